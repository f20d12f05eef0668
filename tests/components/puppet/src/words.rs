//! The words that a test uses, as the contract has them. Whatever is said, in an answer, a message or a bill, is a form.

use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::types::{
    DisputeNews, Fact, Fault, Fields, Money, PaymentStatus, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::form::Form;
use tollgate_sdk::{decimal, fault};

/// What a form says of a payment, a refund or a dispute.
pub fn fact(form: &Form) -> Result<Fact, Fault> {
    let text = |name: &str| form.filled(name).map(str::to_owned);
    let status = form.filled("status").unwrap_or("unknown");
    let about = match form.filled("about").unwrap_or("payment") {
        "payment" => Subject::Payment(payment(status)?),
        "refund" => Subject::Refund(RefundNews {
            status: refund(status)?,
            refund_ref: text("refund_ref"),
            provider_refund_ref: text("provider_refund_ref"),
        }),
        "dispute" => Subject::Dispute(DisputeNews {
            dispute_ref: text("dispute_ref").unwrap_or_default(),
            status: status.to_owned(),
            respond_by: text("respond_by"),
        }),
        other => return Err(fault::protocol(format!("about: {other}"))),
    };
    Ok(Fact {
        about,
        payment_ref: text("payment_ref"),
        provider_ref: text("provider_ref"),
        aliases: Vec::new(),
        raw_status: status.to_owned(),
        reason: text("reason"),
        amount: money(form, "amount")?,
        refunded: money(form, "refunded")?,
        at: text("at"),
        live: None,
        seen: Fields::new(),
        extra: Fields::new(),
    })
}

/// A row of a bill.
pub fn row(line: u64, form: &Form) -> Result<BillRow, Fault> {
    let text = |name: &str| form.filled(name).map(str::to_owned);
    let kind = form.filled("kind").unwrap_or_default();
    Ok(BillRow {
        line,
        kind: match kind {
            "payment" => RowKind::Payment,
            "refund" => RowKind::Refund,
            "reversal" => RowKind::Reversal,
            "chargeback" => RowKind::Chargeback,
            other => return Err(fault::protocol(format!("kind: {other}"))),
        },
        status: RowStatus::Succeeded,
        raw: kind.to_owned(),
        payment_ref: text("payment_ref"),
        provider_ref: text("provider_ref"),
        refund_ref: text("refund_ref"),
        provider_refund_ref: text("provider_refund_ref"),
        gross: money(form, "gross")?.ok_or_else(|| fault::protocol("gross"))?,
        fee: None,
        net: None,
        at: text("at"),
        batch: None,
        extra: Fields::new(),
    })
}

/// An amount in fen.
fn money(form: &Form, name: &str) -> Result<Option<Money>, Fault> {
    let Some(text) = form.filled(name) else { return Ok(None) };
    let minor = decimal::to_minor(text, 0).map_err(|error| fault::protocol(error.to_string()))?;
    Ok(Some(Money { minor, currency: "CNY".to_owned(), exponent: 2 }))
}

fn payment(word: &str) -> Result<PaymentStatus, Fault> {
    Ok(match word {
        "pending" => PaymentStatus::Pending,
        "succeeded" => PaymentStatus::Succeeded,
        "failed" => PaymentStatus::Failed,
        "closed" => PaymentStatus::Closed,
        "unknown" => PaymentStatus::Unknown,
        "not-found" => PaymentStatus::NotFound,
        other => return Err(fault::protocol(format!("status of a payment: {other}"))),
    })
}

fn refund(word: &str) -> Result<RefundStatus, Fault> {
    Ok(match word {
        "pending" => RefundStatus::Pending,
        "succeeded" => RefundStatus::Succeeded,
        "failed" => RefundStatus::Failed,
        "unknown" => RefundStatus::Unknown,
        "not-found" => RefundStatus::NotFound,
        other => return Err(fault::protocol(format!("status of a refund: {other}"))),
    })
}
