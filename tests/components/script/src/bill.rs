//! A day's bill: lines of `kind,status,ref,id-there,refund,refund-id,amount,fee,at`, and at the end `rows=COUNT`. One that
//! begins with `open` may get more rows.

use tollgate_sdk::bills::{BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::{Summary, Total};
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome};
use tollgate_sdk::contract::types::{BillRequest, Fault, HttpResponse, Money};
use tollgate_sdk::fault;
use tollgate_sdk::lines::{Line, Lines};

const OPEN: &str = "open";

/// The body is the bill, or says that there is none yet.
pub fn report(request: &BillRequest, response: &HttpResponse) -> Result<Outcome, Fault> {
    if response.body.starts_with(b"status=not-found") {
        return Err(fault::not_found("the bill is not there yet"));
    }
    Ok(Outcome::Bill(BillReport {
        files: vec![BillFile {
            name: format!("{}.csv", request.period),
            content: BillContent::Bytes(response.body.clone()),
            unpack: Vec::new(),
            digest: None,
        }],
        more: None,
        complete: !response.body.starts_with(OPEN.as_bytes()),
        extra: Vec::new(),
    }))
}

/// Reads the rows; the last line says how many there are.
pub fn parse<I: BillSource, O: BillSink>(source: &I, sink: &O) -> Result<Summary, Fault> {
    let unreadable = |reason: String| fault::unavailable(reason);
    let mut lines = Lines::new(source);
    let (mut rows, mut totals) = (Vec::new(), Vec::new());
    while let Some((number, line)) = lines.next_line().map_err(unreadable)? {
        let Line::Text(text) = line else {
            sink.bad_line(number, "no text");
            continue;
        };
        if let Some(count) = text.strip_prefix("rows=") {
            let count = Some(count.parse().map_err(|_| fault::protocol("rows"))?);
            totals.push(Total { kind: None, count, gross: None, fee: None });
        } else if text != OPEN {
            match row(number, text) {
                Some(row) => rows.push(row),
                None => sink.bad_line(number, "no row"),
            }
        }
    }
    if totals.is_empty() {
        return Err(fault::protocol("the bill breaks off"));
    }
    sink.rows(&rows).map_err(unreadable)?;
    Ok(Summary { totals, extra: Vec::new() })
}

fn row(line: u64, text: &str) -> Option<BillRow> {
    let cells: Vec<&str> = text.split(',').collect();
    let [kind, status, payment, there, refund, refund_there, amount, fee, at] = cells[..] else {
        return None;
    };
    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let money = |text: &str| {
        let minor = text.parse().ok()?;
        Some(Money { minor, currency: "CNY".to_owned(), exponent: 2 })
    };
    Some(BillRow {
        line,
        kind: match kind {
            "payment" => RowKind::Payment,
            "refund" => RowKind::Refund,
            "reversal" => RowKind::Reversal,
            "chargeback" => RowKind::Chargeback,
            _ => return None,
        },
        status: match status {
            "succeeded" => RowStatus::Succeeded,
            "pending" => RowStatus::Pending,
            "failed" => RowStatus::Failed,
            _ => return None,
        },
        raw: format!("{kind} {status}"),
        payment_ref: filled(payment),
        provider_ref: filled(there),
        refund_ref: filled(refund),
        provider_refund_ref: filled(refund_there),
        gross: money(amount)?,
        fee: Some(money(fee)?),
        net: None,
        at: filled(at),
        batch: None,
        extra: Vec::new(),
    })
}
