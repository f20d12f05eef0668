//! Stripe's words for what became of a payment or refund, and the facts made of them.

use tollgate_sdk::contract::types::{
    Fact, Fault, PaymentStatus, RefundNews, RefundStatus, Subject,
};

use tollgate_sdk::{facts, utc_time};

use crate::money;
use crate::objects::{Intent, PAYMENT, REFUND, Reference, Refund, Session};

/// The contract's word for a PaymentIntent. A payer whose card was refused may try another: that is no end.
pub fn of_intent(status: &str) -> PaymentStatus {
    match status {
        "requires_payment_method" | "requires_confirmation" | "requires_action" | "processing" => {
            PaymentStatus::Pending
        }
        "requires_capture" => PaymentStatus::Authorized,
        "succeeded" => PaymentStatus::Succeeded,
        "canceled" => PaymentStatus::Closed,
        _ => PaymentStatus::Unknown,
    }
}

/// The contract's word for a Checkout Session.
pub fn of_session(session: &Session) -> PaymentStatus {
    match (session.status.as_deref(), session.payment_status.as_str()) {
        (_, "paid") => PaymentStatus::Succeeded,
        (Some("expired"), _) => PaymentStatus::Closed,
        (Some("open"), "unpaid") => PaymentStatus::Pending,
        (Some("complete"), "unpaid") => of_slow_method(session),
        _ => PaymentStatus::Unknown,
    }
}

/// A session that is complete and unpaid waits for a slow method. It takes no other one: where that failed, its payment asks
/// for a method in vain. An intent that came as its id alone says nothing.
fn of_slow_method(session: &Session) -> PaymentStatus {
    let intent = session.payment_intent.as_ref().and_then(Reference::object);
    match intent.map(|intent| intent.status.as_str()) {
        Some("requires_payment_method" | "canceled") => PaymentStatus::Failed,
        _ => PaymentStatus::Pending,
    }
}

/// The contract's word for a refund. One that succeeded may still fail later.
pub fn of_refund(status: &str) -> RefundStatus {
    match status {
        "pending" => RefundStatus::Pending,
        "requires_action" => RefundStatus::NeedsAction,
        "succeeded" => RefundStatus::Succeeded,
        "failed" | "canceled" => RefundStatus::Failed,
        _ => RefundStatus::Unknown,
    }
}

/// What a session says of its payment.
///
/// # Errors
/// `protocol` for a paid session without an amount.
pub fn session(session: &Session) -> Result<Fact, Fault> {
    let status = of_session(session);
    let raw = format!("{} {}", session.status.as_deref().unwrap_or("-"), session.payment_status);
    let ours = session.client_reference_id.as_deref();
    let mut fact = facts::fact(Subject::Payment(status), ours, raw);
    fact.live = Some(session.livemode);
    let intent = session.payment_intent.as_ref();
    fact.provider_ref = intent.map(|intent| intent.id().to_owned());
    let error = intent.and_then(|intent| intent.object()?.last_payment_error.as_ref());
    fact.reason = error.and_then(|error| error.message.clone());
    if status == PaymentStatus::Succeeded {
        let (Some(total), Some(currency)) = (session.amount_total, &session.currency) else {
            return Err(tollgate_sdk::fault::protocol("a paid session without an amount"));
        };
        fact.amount = Some(money::read("amount_total", total, currency)?);
        put_charge(&mut fact, intent.and_then(|intent| intent.object()))?;
    }
    Ok(fact)
}

/// What a PaymentIntent says of the payment.
///
/// # Errors
/// `protocol` for an amount that cannot be read.
pub fn intent(intent: &Intent) -> Result<Fact, Fault> {
    let status = of_intent(&intent.status);
    let ours = intent.metadata.get(PAYMENT).map(String::as_str);
    let mut fact = facts::fact(Subject::Payment(status), ours, intent.status.as_str());
    fact.live = Some(intent.livemode);
    fact.provider_ref = Some(intent.id.clone());
    if status == PaymentStatus::Succeeded {
        let taken = money::read("amount_received", intent.amount_received, &intent.currency)?;
        fact.amount = Some(taken);
        put_charge(&mut fact, Some(intent))?;
    }
    Ok(fact)
}

/// When a payment's charge took the money and what was given back of it, where the charge came with it.
fn put_charge(fact: &mut Fact, intent: Option<&Intent>) -> Result<(), Fault> {
    let charge = intent.and_then(|intent| intent.latest_charge.as_ref()?.object());
    if let Some(charge) = charge {
        fact.at = Some(utc_time::rfc3339(charge.created.saturating_mul(1000)));
        let refunded = money::read("amount_refunded", charge.amount_refunded, &charge.currency)?;
        fact.refunded = Some(refunded);
    }
    Ok(())
}

/// What a refund says of itself.
///
/// # Errors
/// `protocol` for an amount that cannot be read.
pub fn refund(refund: &Refund) -> Result<Fact, Fault> {
    let raw = refund.status.as_deref().unwrap_or_default();
    let about = Subject::Refund(RefundNews {
        status: of_refund(raw),
        refund_ref: refund.metadata.get(REFUND).cloned(),
        provider_refund_ref: Some(refund.id.clone()),
    });
    let ours = refund.metadata.get(PAYMENT).map(String::as_str);
    let mut fact = facts::fact(about, ours, raw);
    fact.provider_ref = refund.payment_intent.clone();
    fact.reason = refund.failure_reason.clone();
    fact.at = Some(utc_time::rfc3339(refund.created.saturating_mul(1000)));
    fact.amount = Some(money::read("amount", refund.amount, &refund.currency)?);
    Ok(fact)
}
