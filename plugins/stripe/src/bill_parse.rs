//! Reading a page of balance transactions: gross in the payment's currency, fee and net in that of the settlement.

use serde::Deserialize;
use tollgate_sdk::bills::{self, BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::{fault, utc_time};

use crate::money;
use crate::objects::{List, Metadata, PAYMENT, REFUND, Reference};

/// A page holds a hundred rows: more than this is none.
const LONGEST_PAGE_MIB: usize = 4;

#[derive(Deserialize)]
struct Transaction {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    /// What it is for bookkeepers: it tells adjustments apart.
    reporting_category: Option<String>,
    amount: i64,
    fee: i64,
    net: i64,
    currency: String,
    created: i64,
    status: String,
    source: Option<Reference<Source>>,
}

/// What a transaction came from: a charge, a refund, a dispute, a payout.
#[derive(Deserialize)]
struct Source {
    id: String,
    object: Option<String>,
    amount: Option<i64>,
    currency: Option<String>,
    payment_intent: Option<String>,
    #[serde(default)]
    metadata: Metadata,
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
    let list: List<serde_json::Value> = serde_json::from_slice(&page)
        .map_err(|error| fault::protocol(format!("{file_name}: {error}")))?;
    bills::hand_over(sink, list.data, |line, entry| {
        row(line, &serde_json::from_value(entry).map_err(|error| error.to_string())?)
    })?;
    Ok(Summary { totals: Vec::new(), extra: Vec::new() })
}

fn kind(transaction: &Transaction, source: Option<&Source>) -> RowKind {
    match transaction.kind.as_str() {
        "charge" | "payment" => RowKind::Payment,
        "refund" | "payment_refund" => RowKind::Refund,
        "payment_failure_refund" | "payment_reversal" => RowKind::Reversal,
        // Of a refund that failed after it had succeeded: its own state is told by events and queries.
        "refund_failure" => RowKind::Adjustment,
        "adjustment" if is_of_dispute(transaction, source) => RowKind::Chargeback,
        "adjustment" => RowKind::Adjustment,
        "stripe_fee" | "application_fee" | "network_cost" => RowKind::Fee,
        "payout" | "payout_failure" | "payout_cancel" | "transfer" => RowKind::Payout,
        _ => RowKind::Other,
    }
}

/// Stripe has one type for what a dispute moves and for what it sets right by itself.
fn is_of_dispute(transaction: &Transaction, source: Option<&Source>) -> bool {
    source.and_then(|source| source.object.as_deref()) == Some("dispute")
        || matches!(transaction.reporting_category.as_deref(), Some("dispute" | "dispute_reversal"))
}

fn row(line: u64, transaction: &Transaction) -> Result<BillRow, String> {
    let money = |field: &str, units: i64, currency: &str| -> Result<Money, String> {
        money::read(field, units, currency).map_err(|fault| fault.message)
    };
    let settled = |field: &str, units: i64| money(field, units, &transaction.currency);
    let source = transaction.source.as_ref().and_then(Reference::object);
    let kind = kind(transaction, source);
    let named = |name: &str| source.and_then(|source| source.metadata.get(name).cloned());
    // What the payer paid or got back is in his currency; the transaction itself is in that of the settlement.
    let paid = source.and_then(|source| Some((source.amount?, source.currency.as_deref()?)));
    let gross = match (kind, paid) {
        (RowKind::Payment, Some((amount, currency))) => money("source.amount", amount, currency)?,
        (RowKind::Refund, Some((amount, currency))) => {
            let taken_back = amount.checked_neg().ok_or("source.amount: too large")?;
            money("source.amount", taken_back, currency)?
        }
        // Taken by a dispute or a bank, or given back when it was won: the sign is the transaction's.
        (RowKind::Chargeback | RowKind::Reversal, Some((amount, currency))) => {
            let signed = if transaction.amount < 0 { amount.checked_neg() } else { Some(amount) };
            money("source.amount", signed.ok_or("source.amount: too large")?, currency)?
        }
        _ => settled("amount", transaction.amount)?,
    };
    let is_refund = matches!(kind, RowKind::Refund | RowKind::Reversal);
    Ok(BillRow {
        line,
        kind,
        status: RowStatus::Succeeded,
        raw: format!("{} {}", transaction.kind, transaction.status),
        payment_ref: named(PAYMENT),
        provider_ref: source.and_then(|source| source.payment_intent.clone()),
        refund_ref: named(REFUND).filter(|_| is_refund),
        // Of a chargeback, the dispute's number: by it the next row finds the same one.
        provider_refund_ref: source
            .filter(|_| is_refund || kind == RowKind::Chargeback)
            .map(|source| source.id.clone()),
        gross,
        fee: Some(settled("fee", transaction.fee)?),
        net: Some(settled("net", transaction.net)?),
        at: Some(utc_time::rfc3339(transaction.created.saturating_mul(1000))),
        batch: None,
        extra: vec![("balance_transaction".to_owned(), transaction.id.clone())],
    })
}
