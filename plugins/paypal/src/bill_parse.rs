//! Reading a page of transactions: amounts are signed towards the merchant, fees too.

use serde::Deserialize;
use tollgate_sdk::bills::{self, BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::fault;

use crate::money::{self, Amount};
use crate::objects;

/// A page holds five hundred rows: more than this is none.
const LONGEST_PAGE_MIB: usize = 8;

#[derive(Deserialize)]
struct Page {
    transaction_details: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Row {
    transaction_info: Transaction,
}

#[derive(Deserialize)]
struct Transaction {
    transaction_id: String,
    paypal_reference_id: Option<String>,
    transaction_event_code: String,
    transaction_initiation_date: String,
    transaction_amount: Amount,
    fee_amount: Option<Amount>,
    transaction_status: String,
    custom_field: Option<String>,
}

/// Reads one page.
///
/// # Errors
/// `protocol` for what is no page; a row that cannot be read is reported and skipped.
pub fn parse<I: BillSource, O: BillSink>(
    file_name: &str,
    source: &I,
    sink: &O,
) -> Result<Summary, Fault> {
    let page = bills::whole_page(file_name, source, LONGEST_PAGE_MIB)?;
    let page: Page = serde_json::from_slice(&page)
        .map_err(|error| fault::protocol(format!("{file_name}: {error}")))?;
    bills::hand_over(sink, page.transaction_details, |line, entry| {
        let row: Row = serde_json::from_value(entry).map_err(|error| error.to_string())?;
        bill_row(line, &row.transaction_info)
    })?;
    Ok(Summary { totals: Vec::new(), extra: Vec::new() })
}

/// What an event code stands for, after PayPal's list of them. Within a group a code may be quite another thing: a hold takes
/// money for a while, and is no refund.
fn kind(code: &str) -> RowKind {
    match code {
        "T0001" | "T1114" | "T1115" => RowKind::Payout,
        "T1106" | "T1201" | "T1202" => RowKind::Chargeback,
        "T1107" => RowKind::Refund,
        "T1108" | "T1109" => RowKind::Fee,
        _ => match code.get(..3) {
            Some("T00") => RowKind::Payment,
            Some("T01") => RowKind::Fee,
            Some("T04" | "T20") => RowKind::Payout,
            Some("T11" | "T12" | "T15") => RowKind::Adjustment,
            _ => RowKind::Other,
        },
    }
}

/// Whether money moved. A payment that was given back whole is `V`, and has been paid: what went back is a row of its own.
fn status(kind: RowKind, word: &str) -> RowStatus {
    match (word, kind) {
        ("S", _) | ("V", RowKind::Payment) => RowStatus::Succeeded,
        ("P", _) => RowStatus::Pending,
        _ => RowStatus::Failed,
    }
}

fn bill_row(line: u64, transaction: &Transaction) -> Result<BillRow, String> {
    let read =
        |field: &str, amount: &Amount| money::read(field, amount).map_err(|fault| fault.message);
    let kind = kind(&transaction.transaction_event_code);
    let gross = read("transaction_amount", &transaction.transaction_amount)?;
    let cost = transaction.fee_amount.as_ref().map(|fee| read("fee_amount", fee)).transpose()?;
    // Theirs is negative where the merchant bears it.
    let fee = match cost {
        Some(mut fee) => {
            fee.minor = fee.minor.checked_neg().ok_or("fee_amount: too large")?;
            Some(fee)
        }
        None => None,
    };
    let net = fee.as_ref().filter(|fee| fee.currency == gross.currency).and_then(|fee| {
        let minor = gross.minor.checked_sub(fee.minor)?;
        Some(tollgate_sdk::contract::types::Money { minor, ..gross.clone() })
    });
    let custom = transaction.custom_field.as_deref().filter(|text| !text.is_empty());
    let (is_refund, id) = (kind == RowKind::Refund, transaction.transaction_id.clone());
    Ok(BillRow {
        line,
        kind,
        status: status(kind, &transaction.transaction_status),
        raw: format!("{} {}", transaction.transaction_event_code, transaction.transaction_status),
        payment_ref: custom.filter(|_| !is_refund).map(str::to_owned),
        provider_ref: match kind {
            // The capture that was given or taken back.
            RowKind::Refund | RowKind::Chargeback => transaction.paypal_reference_id.clone(),
            _ => Some(id.clone()),
        },
        refund_ref: custom.filter(|_| is_refund).and_then(objects::refund_ref).map(str::to_owned),
        provider_refund_ref: Some(id).filter(|_| is_refund),
        gross,
        fee,
        net,
        at: Some(transaction.transaction_initiation_date.clone()),
        batch: None,
        extra: Vec::new(),
    })
}
