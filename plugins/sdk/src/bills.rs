//! Where a bill comes from and where its rows go, as plugin logic sees them: the host's handles in a component, plain
//! memory in tests and benchmarks.

use crate::contract::bill_io::{self, BillRow};
use crate::contract::bills::Summary;
use crate::contract::types::{BillRequest, Fault};
use crate::{fault, utc_time};

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

/// The day that a bill is about: `yyyy-MM-dd`.
///
/// # Errors
/// `invalid-request` for another kind of bill than `kind`, or a period that is no day.
pub fn day<'a>(request: &'a BillRequest, kind: &str) -> Result<&'a str, Fault> {
    if request.kind != kind {
        return Err(fault::invalid_request(format!("there is no bill `{}`", request.kind)));
    }
    match utc_time::start_of_day(&request.period) {
        Some(_) => Ok(&request.period),
        None => Err(fault::invalid_request("`period` is a day, yyyy-MM-dd")),
    }
}

/// Bytes asked for at a time.
const PIECE: u32 = 256 * 1024;

/// All of a page, which is read as a whole: of more than `most_mib` it is none.
///
/// # Errors
/// `unavailable` where the host cannot read on, `protocol` for more.
pub fn whole_page<I: BillSource>(
    file_name: &str,
    source: &I,
    most_mib: usize,
) -> Result<Vec<u8>, Fault> {
    let mut page = Vec::new();
    loop {
        let piece = source.read(PIECE).map_err(unreadable)?;
        if piece.is_empty() {
            return Ok(page);
        }
        page.extend_from_slice(&piece);
        if page.len() > most_mib << 20 {
            return Err(fault::protocol(format!(
                "{file_name}: a page of more than {most_mib} MiB"
            )));
        }
    }
}

/// Hands over the rows of a page, whose lines are its entries; one that cannot be read is reported and skipped.
///
/// # Errors
/// `unavailable` where the host takes no more.
pub fn hand_over<O: BillSink, T>(
    sink: &O,
    entries: Vec<T>,
    read: impl Fn(u64, T) -> Result<BillRow, String>,
) -> Result<(), Fault> {
    let mut rows = Vec::with_capacity(entries.len());
    for (line, entry) in (1..).zip(entries) {
        match read(line, entry) {
            Ok(row) => rows.push(row),
            Err(reason) => sink.bad_line(line, &reason),
        }
    }
    if rows.is_empty() { Ok(()) } else { sink.rows(&rows).map_err(unreadable) }
}

/// What is said of a file that has no rows of its own and lies beside the one that does: a summary, a text for people. The host
/// takes no bill of such files alone.
pub fn side_file() -> Summary {
    Summary { totals: Vec::new(), extra: vec![("side-file".to_owned(), String::new())] }
}

/// What the host could not do with a bill, as a plugin's fault.
pub fn unreadable(reason: String) -> Fault {
    fault::unavailable(format!("bill: {reason}"))
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
