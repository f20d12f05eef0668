//! Where a bill comes from and where its rows go, as plugin logic sees them: the host's handles in a component, plain
//! memory in tests and benchmarks.

use crate::contract::bill_io::{self, BillRow};

/// A bill's bytes, unpacked and decoded by the host.
pub trait BillSource {
    /// Up to `max` bytes; empty at the end.
    ///
    /// # Errors
    /// Why the bill cannot be read further.
    fn read(&self, max: u32) -> Result<Vec<u8>, String>;
}

/// Where rows go.
pub trait BillSink {
    /// Takes rows, best some hundred at a time.
    ///
    /// # Errors
    /// Why the host takes no more.
    fn rows(&self, batch: &[BillRow]) -> Result<(), String>;
    /// Reports a line that could not be read.
    fn bad_line(&self, line: u64, reason: &str);
}

impl BillSource for bill_io::BillSource {
    fn read(&self, max: u32) -> Result<Vec<u8>, String> {
        bill_io::BillSource::read(self, max)
    }
}

impl BillSink for bill_io::BillSink {
    fn rows(&self, batch: &[BillRow]) -> Result<(), String> {
        bill_io::BillSink::rows(self, batch)
    }

    fn bad_line(&self, line: u64, reason: &str) {
        bill_io::BillSink::bad_line(self, line, reason);
    }
}
