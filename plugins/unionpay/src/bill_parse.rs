//! Reading the file of good transactions: lines of 607 bytes whose fields have fixed widths in bytes of GBK, so that nothing
//! may decode them first. The files beside it, of errors and for people, have no rows here.

use tollgate_sdk::bills::{self, BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::fault;

use crate::{money, times};

/// Rows handed over at a time.
const BATCH: usize = 500;
/// Bytes asked for at a time.
const PIECE: u32 = 256 * 1024;
/// Bytes of a line, without its end; the last field may be shorter in newer files.
const WIDTH: usize = 509;
/// Beyond this a line is not one of a bill.
const LONGEST_LINE: usize = 4096;

/// Where a field is: its first byte and its length.
type Place = (usize, usize);
const TRACE_TIME: Place = (35, 10);
const AMOUNT: Place = (66, 12);
const QUERY_ID: Place = (87, 21);
const ORDER_ID: Place = (112, 32);
const FEE: Place = (166, 13);
const SETTLED: Place = (180, 13);
const TXN_TYPE: Place = (215, 2);
const ORIGINAL_QUERY_ID: Place = (271, 21);
const ORIGINAL_ORDER_ID: Place = (476, 32);

/// Reads one member of the zip that was asked for as `period`, a day.
///
/// # Errors
/// `protocol` for a file whose name has no date or that of another day: a day is asked for without its year. A line that
/// cannot be read is reported and skipped.
pub fn parse<I: BillSource, O: BillSink>(
    period: &str,
    file_name: &str,
    source: &I,
    sink: &O,
) -> Result<Summary, Fault> {
    if !file_name.contains("ZM_") {
        return Ok(bills::side_file());
    }
    let day = day_of(file_name)
        .ok_or_else(|| fault::protocol(format!("{file_name}: no date in the name")))?;
    if day != period.replace('-', "") {
        return Err(fault::protocol(format!("{file_name}: not the file of {period}")));
    }
    // Rows have no year.
    let near = times::year_and_month(&day)
        .ok_or_else(|| fault::protocol(format!("{file_name}: no date in the name")))?;
    let unreadable = |reason: String| fault::unavailable(format!("bill: {reason}"));
    let (mut buffer, mut batch, mut number) = (Vec::new(), Vec::new(), 0_u64);
    loop {
        let piece = source.read(PIECE).map_err(unreadable)?;
        let is_last = piece.is_empty();
        buffer.extend_from_slice(&piece);
        let mut start = 0;
        while let Some(end) = line_end(&buffer[start..], is_last) {
            let line = &buffer[start..start + end];
            start = (start + end + 1).min(buffer.len());
            number += 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            match row(number, line, near) {
                Ok(row) => batch.push(row),
                Err(reason) => sink.bad_line(number, &reason),
            }
            if batch.len() >= BATCH {
                sink.rows(&batch).map_err(unreadable)?;
                batch.clear();
            }
        }
        buffer.drain(..start);
        if buffer.len() > LONGEST_LINE {
            return Err(fault::protocol(format!("{file_name}: a line of more than 4096 bytes")));
        }
        if is_last {
            break;
        }
    }
    if !batch.is_empty() {
        sink.rows(&batch).map_err(unreadable)?;
    }
    Ok(Summary { totals: Vec::new(), extra: Vec::new() })
}

/// Where the next line ends; at the end of the file, the rest is one.
fn line_end(bytes: &[u8], is_last: bool) -> Option<usize> {
    let found = bytes.iter().position(|byte| *byte == b'\n');
    found.or_else(|| (is_last && !bytes.is_empty()).then_some(bytes.len()))
}

/// `yyyyMMdd` of `INNyyMMdd...`.
fn day_of(file_name: &str) -> Option<String> {
    let at = file_name.find("INN")?;
    Some(format!("20{}", file_name.get(at + 3..at + 9)?))
}

fn cell(line: &[u8], (from, length): Place) -> Result<&str, String> {
    let bytes = line.get(from..from + length).ok_or("a line that is too short")?;
    let text = std::str::from_utf8(bytes).map_err(|_| "bytes that are no text in a field")?;
    Ok(text.trim())
}

fn filled(line: &[u8], place: Place) -> Result<Option<String>, String> {
    let text = cell(line, place)?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(str::to_owned))
}

/// `C` towards the merchant, `D` away from him, and twelve digits; blank or zeros where there is nothing.
fn signed(line: &[u8], place: Place, name: &str) -> Result<i64, String> {
    let text = cell(line, place)?;
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'C') => (1, &text[1..]),
        Some(b'D') => (-1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() {
        return Ok(0);
    }
    let is_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let minor: i64 = digits.parse().map_err(|_| format!("{name}: no amount"))?;
    if is_digits { Ok(sign * minor) } else { Err(format!("{name}: no amount")) }
}

fn row(number: u64, line: &[u8], (year, month): (i64, u32)) -> Result<BillRow, String> {
    if line.len() < WIDTH {
        return Err(format!("{} bytes, and {WIDTH} at least are needed", line.len()));
    }
    let raw = cell(line, TXN_TYPE)?;
    let amount = signed(line, AMOUNT, "amount")?;
    let kind = match raw {
        "01" => RowKind::Payment,
        "04" | "31" => RowKind::Refund,
        _ => RowKind::Other,
    };
    let is_refund = kind == RowKind::Refund;
    // The file has amounts without a sign.
    let gross = if is_refund { -amount } else { amount };
    // A cost is a debit there, and positive here.
    let fee = -signed(line, FEE, "fee")?;
    let trace = cell(line, TRACE_TIME)?;
    let (order_id, query_id) = (filled(line, ORDER_ID)?, filled(line, QUERY_ID)?);
    let (payment_ref, provider_ref) = match is_refund {
        true => (filled(line, ORIGINAL_ORDER_ID)?, filled(line, ORIGINAL_QUERY_ID)?),
        false => (order_id.clone(), query_id.clone()),
    };
    Ok(BillRow {
        line: number,
        kind,
        status: RowStatus::Succeeded,
        raw: raw.to_owned(),
        payment_ref,
        provider_ref,
        refund_ref: order_id.filter(|_| is_refund),
        provider_refund_ref: query_id.filter(|_| is_refund),
        gross: money::cny(gross),
        fee: Some(money::cny(fee)),
        net: Some(money::cny(signed(line, SETTLED, "settled amount")?)),
        at: Some(times::rfc3339_near(trace, year, month).ok_or("trace time: no time")?),
        batch: None,
        extra: Vec::new(),
    })
}
