//! PayPal's words for what became of an order or refund, and the facts made of them.

use tollgate_sdk::contract::types::{
    Fact, Fault, Money, PaymentStatus, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::money;
use crate::objects::{self, Capture, Order, Payments, Refund};

/// The contract's word for an order nothing of which was captured.
fn of_order(status: &str) -> PaymentStatus {
    match status {
        "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" => PaymentStatus::Pending,
        "APPROVED" => PaymentStatus::Approved,
        "VOIDED" => PaymentStatus::Closed,
        _ => PaymentStatus::Unknown,
    }
}

/// The contract's word for a capture. That its order is COMPLETED says nothing: the money may wait, or not come.
fn of_capture(status: &str) -> PaymentStatus {
    match status {
        "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED" => PaymentStatus::Succeeded,
        "PENDING" => PaymentStatus::Pending,
        "DECLINED" | "FAILED" => PaymentStatus::Failed,
        _ => PaymentStatus::Unknown,
    }
}

/// The contract's word for a refund.
pub fn of_refund(status: &str) -> RefundStatus {
    match status {
        "COMPLETED" => RefundStatus::Succeeded,
        "PENDING" => RefundStatus::Pending,
        "FAILED" | "CANCELLED" => RefundStatus::Failed,
        _ => RefundStatus::Unknown,
    }
}

/// What an order says of its payment.
///
/// # Errors
/// `protocol` for an order of several things, or an amount that cannot be read.
pub fn order(order: &Order) -> Result<Fact, Fault> {
    let [unit] = &order.purchase_units[..] else {
        return Err(fault::protocol("an order of more or fewer than one thing"));
    };
    let ours = unit.custom_id.as_deref();
    let payee = unit.payee.as_ref().and_then(|payee| payee.merchant_id.clone());
    let none = Payments::default();
    let payments = unit.payments.as_ref().unwrap_or(&none);
    // The best of several tries: one that was declined may have been followed by one that was not.
    let rank = |capture: &&Capture| match of_capture(&capture.status) {
        PaymentStatus::Succeeded => 3,
        PaymentStatus::Pending => 2,
        PaymentStatus::Unknown => 1,
        _ => 0,
    };
    let mut fact = match payments.captures.iter().max_by_key(rank) {
        None => facts::fact(Subject::Payment(of_order(&order.status)), ours, order.status.as_str()),
        Some(capture) => {
            let status = of_capture(&capture.status);
            let raw = format!("{} {}", order.status, capture.status);
            let mut fact = facts::fact(Subject::Payment(status), ours, raw);
            fact.provider_ref = Some(capture.id.clone());
            fact.at = capture.create_time.clone();
            let details = capture.status_details.as_ref();
            fact.reason = details.and_then(|details| details.reason.clone());
            if status == PaymentStatus::Succeeded {
                fact.amount = Some(money::read("captures.amount", &capture.amount)?);
                fact.refunded = Some(given_back(payments, &capture.amount.currency_code)?);
            }
            fact
        }
    };
    fact.seen.extend(payee.map(|merchant| ("merchant_id".to_owned(), merchant)));
    Ok(fact)
}

/// What was given back, by whomever.
fn given_back(payments: &Payments, currency: &str) -> Result<Money, Fault> {
    let zero = money::Amount { currency_code: currency.to_owned(), value: "0".to_owned() };
    let mut sum = money::read("refunds.amount", &zero)?;
    for refund in payments.refunds.iter().filter(|it| it.status == "COMPLETED") {
        let back = money::read("refunds.amount", &refund.amount)?;
        let total = sum.minor.checked_add(back.minor);
        sum.minor = total.ok_or_else(|| fault::protocol("refunds.amount: too much"))?;
    }
    Ok(sum)
}

/// What a refund says of itself.
///
/// # Errors
/// `protocol` for an amount that cannot be read.
pub fn refund(refund: &Refund, payment_ref: Option<&str>) -> Result<Fact, Fault> {
    let about = Subject::Refund(RefundNews {
        status: of_refund(&refund.status),
        refund_ref: refund.ours().map(str::to_owned),
        provider_refund_ref: Some(refund.id.clone()),
    });
    let mut fact = facts::fact(about, payment_ref, refund.status.as_str());
    fact.amount = Some(money::read("amount", &refund.amount)?);
    fact.at = refund.create_time.clone();
    fact.reason = refund.status_details.as_ref().and_then(|details| details.reason.clone());
    fact.provider_ref = objects::capture_in(&refund.links).map(str::to_owned);
    Ok(fact)
}
