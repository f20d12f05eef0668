//! Bills pass through in pieces: where the pieces come from, where the rows go, and what a plugin holds of both.

use std::time::Instant;

use wasmtime::component::Resource;

use crate::contract::{BillRow, bill_io_import};
use crate::plain::Plain;
use crate::state::CallState;

/// Where a bill's bytes come from: unpacked, and in UTF-8 unless its kind says `bytes`.
pub trait BillSource: Send {
    /// The next bytes, at most `max` of them; none at the end.
    ///
    /// # Errors
    /// Why the file cannot be read on; the plugin sees the text.
    fn read(&mut self, max: u32) -> Result<Vec<u8>, String>;
}

/// Where a bill's rows go.
pub trait BillSink: Send {
    /// Takes rows, in the file's order.
    ///
    /// # Errors
    /// Why no more can be taken; the plugin sees the text.
    fn rows(&mut self, rows: Vec<BillRow>) -> Result<(), String>;
    /// Takes note of a line that could not be read.
    fn bad_line(&mut self, line: u64, reason: String);
}

/// A plugin's hold on the file.
pub struct SourceHandle(pub(crate) Box<dyn BillSource>);

/// A plugin's hold on the rows' end.
pub struct SinkHandle(pub(crate) Box<dyn BillSink>);

/// Largest piece that is handed over at once: it has to fit in a small plugin's memory.
const LARGEST_PIECE: u32 = 1 << 20;

/// Characters of a bad line's reason that are kept.
const LONGEST_REASON: usize = 500;

impl bill_io_import::Host for CallState {}

impl bill_io_import::HostBillSource for CallState {
    fn read(
        &mut self,
        handle: Resource<SourceHandle>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let source = self.table.get_mut(&handle)?;
        let mut piece = source.0.read(max.min(LARGEST_PIECE));
        if let Ok(bytes) = &mut piece {
            bytes.truncate(max as usize);
            // An empty piece is the end, and asking again is no progress.
            if !bytes.is_empty() {
                self.progress = Instant::now();
            }
        }
        Ok(piece)
    }

    fn drop(&mut self, handle: Resource<SourceHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl bill_io_import::HostBillSink for CallState {
    fn rows(
        &mut self,
        handle: Resource<SinkHandle>,
        mut batch: Vec<BillRow>,
    ) -> wasmtime::Result<Result<(), String>> {
        self.count_rows(batch.len() as u64)?;
        // References are as the file has them: one that is damaged makes a bad line.
        batch.iter_mut().for_each(|row| row.raw.make_plain());
        Ok(self.table.get_mut(&handle)?.0.rows(batch))
    }

    fn bad_line(
        &mut self,
        handle: Resource<SinkHandle>,
        line: u64,
        reason: String,
    ) -> wasmtime::Result<()> {
        self.count_rows(1)?;
        let reason = reason.plain().chars().take(LONGEST_REASON).collect();
        self.table.get_mut(&handle)?.0.bad_line(line, reason);
        Ok(())
    }

    fn drop(&mut self, handle: Resource<SinkHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
