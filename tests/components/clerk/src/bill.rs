//! The bill: a line for each payment, `reference,status,minor units,time`, without a header.

use tollgate_sdk::bills::{BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::types::{Fault, Fields, Money};
use tollgate_sdk::fault;
use tollgate_sdk::lines::{Line, Lines};

/// Reads it.
pub fn parse<I: BillSource, O: BillSink>(source: &I, sink: &O) -> Result<Summary, Fault> {
    let mut lines = Lines::new(source);
    while let Some((number, line)) = lines.next_line().map_err(fault::unavailable)? {
        let row = match line {
            Line::Bad(reason) => Err(reason),
            Line::Text(text) => row(number, text),
        };
        match row {
            Ok(row) => sink.rows(&[row]).map_err(fault::unavailable)?,
            Err(reason) => sink.bad_line(number, reason),
        }
    }
    Ok(Summary { totals: Vec::new(), extra: Fields::new() })
}

fn row(line: u64, text: &str) -> Result<BillRow, &'static str> {
    let cells: Vec<&str> = text.split(',').collect();
    let [reference, status, minor, at] = cells[..] else { return Err("not four cells") };
    let minor = minor.parse().map_err(|_| "no amount")?;
    Ok(BillRow {
        line,
        kind: RowKind::Payment,
        status: match status {
            "succeeded" => RowStatus::Succeeded,
            "pending" => RowStatus::Pending,
            "failed" => RowStatus::Failed,
            _ => return Err("no status"),
        },
        raw: status.to_owned(),
        payment_ref: Some(reference.to_owned()),
        provider_ref: None,
        refund_ref: None,
        provider_refund_ref: None,
        gross: Money { minor, currency: "CNY".to_owned(), exponent: 2 },
        fee: None,
        net: None,
        at: Some(at.to_owned()),
        batch: None,
        extra: Fields::new(),
    })
}
