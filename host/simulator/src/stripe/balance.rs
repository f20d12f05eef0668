//! Balance transactions: what moved on a day, with fees and nets, the newest first.
use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::wire::{Call, Reply};
use super::{Stripe, objects, payments, refunds};
use crate::bill_edit::{BillRow, Edit};
use crate::clock::later;
use crate::ledger::{Refund, Trade};
use crate::money::Amount;
use crate::provider::start_of;

/// Service fee: 2.9 %, as thousandths, and 30 hundredths.
const FEE_PER_MILLE: i64 = 29;
const FEE_FIXED: i64 = 30;

/// One transaction.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    kind: String,
    at: Timestamp,
    reference: String,
    refund: Option<String>,
    /// Signed towards the merchant.
    amount: Amount,
    fee: Amount,
    currency: String,
    exponent: u8,
    source: Value,
}

impl BillRow for Row {
    fn reference(&self) -> &str {
        &self.reference
    }

    fn refund_reference(&self) -> Option<&str> {
        self.refund.as_deref()
    }

    fn read(&self, value: &str) -> Option<Amount> {
        Amount::parse_signed(value, self.exponent)
    }

    fn set_amount(&mut self, amount: Amount) {
        self.amount = amount;
        self.source["amount"] = json!(amount.0.abs());
    }

    fn set_fee(&mut self, fee: Amount) {
        self.fee = fee;
    }

    fn set_status(&mut self, status: &str) {
        status.clone_into(&mut self.kind);
    }

    fn shift_s(&mut self, seconds: i64) {
        self.at = later(self.at, SignedDuration::from_secs(seconds));
    }
}

/// `GET /v1/balance_transactions`
pub fn list(stripe: &Stripe, call: &Call<'_>) -> Reply {
    call.only(&["created[gte]", "created[lt]", "limit", "starting_after", "expand[]", "type"])?;
    let (trades, edits) = {
        let book = stripe.book();
        let trades: Vec<Trade> = book.ledger.trades().cloned().collect();
        (trades, book.edits.clone())
    };
    let mut rows: Vec<Row> = trades.iter().flat_map(|trade| rows_of(stripe, trade)).collect();
    for edit in &edits {
        rows = rows.into_iter().flat_map(|row| edit.apply(row)).collect();
    }
    rows.extend(edits.iter().filter_map(added));
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    let mut copies: HashMap<String, usize> = HashMap::new();
    for row in &mut rows {
        // A row that stands there twice has an id of its own.
        let copy = copies.entry(row.id.clone()).or_default();
        row.id.push_str(&"x".repeat(*copy));
        *copy += 1;
    }
    let most = match stripe.desk().page_rows {
        0 => usize::MAX,
        most => most,
    };
    let place = |row: &Row| (row.id.clone(), row.at.as_second());
    let (page, has_more) = payments::window(call, rows, most, place);
    let data: Vec<Value> = page.iter().map(object).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more }))
}

/// A transaction as the API tells it.
fn object(row: &Row) -> Value {
    json!({
        "id": row.id, "object": "balance_transaction",
        "type": row.kind, "reporting_category": category(row), "amount": row.amount.0,
        "fee": row.fee.0, "net": row.amount.0 - row.fee.0, "currency": row.currency,
        "created": row.at.as_second(), "available_on": row.at.as_second() + 2 * 86_400,
        "status": "available", "source": row.source,
    })
}

/// What a transaction is for bookkeepers.
fn category(row: &Row) -> &str {
    match (row.kind.as_str(), row.source["object"].as_str()) {
        ("adjustment", Some("dispute")) => "dispute",
        ("adjustment", _) => "other_adjustment",
        (kind, _) => kind,
    }
}

fn added(edit: &Edit) -> Option<Row> {
    let (reference, value, day) = edit.addition(edit.day?)?;
    let amount = Amount::parse(value)?;
    Some(Row {
        id: format!("txn_{reference}"),
        kind: "charge".to_owned(),
        at: later(start_of::<Stripe>(day), SignedDuration::from_hours(12)),
        reference: reference.to_owned(),
        refund: None,
        amount,
        fee: fee(amount),
        currency: "usd".to_owned(),
        exponent: 2,
        source: json!({
            "id": "ch_ghost", "object": "charge", "amount": amount.0, "currency": "usd",
            "payment_intent": "pi_ghost", "metadata": { "payment": reference },
        }),
    })
}

fn fee(amount: Amount) -> Amount {
    Amount(amount.fee(FEE_PER_MILLE).0 + FEE_FIXED)
}

fn rows_of(stripe: &Stripe, trade: &Trade) -> Vec<Row> {
    let Some(paid_at) = trade.paid_at else {
        return Vec::new();
    };
    let opening = &trade.opening;
    let payment = Row {
        id: trade.provider_reference.replacen("pi_", "txn_", 1),
        kind: "charge".to_owned(),
        at: paid_at,
        reference: opening.reference.clone(),
        refund: None,
        amount: opening.amount,
        fee: fee(opening.amount),
        currency: objects::currency(trade),
        exponent: opening.currency.exponent,
        source: objects::charge(stripe, trade),
    };
    let mut rows = vec![payment.clone()];
    for refund in &trade.refunds {
        rows.extend(refund_rows(stripe, trade, refund, &payment));
    }
    // What is contested is taken at once.
    rows.extend(stripe.desk().disputed.get(&opening.reference).map(|at| Row {
        id: payment.id.replacen("txn_", "txn_dp_", 1),
        kind: "adjustment".to_owned(),
        at: *at,
        amount: Amount(-opening.amount.0),
        fee: Amount(1_500),
        source: objects::dispute(trade),
        ..payment.clone()
    }));
    rows
}

/// A refund, and its way back if it failed.
fn refund_rows(stripe: &Stripe, trade: &Trade, refund: &Refund, payment: &Row) -> Vec<Row> {
    let row = Row {
        id: refunds::id(trade, refund).replacen("re_", "txn_", 1),
        kind: "refund".to_owned(),
        at: refund.at,
        refund: Some(refund.request_no.clone()),
        amount: Amount(-refund.amount.0),
        fee: Amount(0),
        source: refunds::object(stripe, trade, refund),
        ..payment.clone()
    };
    if !stripe.desk().failed.contains(&refund.request_no) {
        return vec![row];
    }
    let back = Row {
        id: format!("{}_back", row.id),
        kind: "refund_failure".to_owned(),
        amount: refund.amount,
        ..row.clone()
    };
    vec![row, back]
}
