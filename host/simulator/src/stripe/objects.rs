//! Stripe's objects, made from what the ledger knows.
use serde_json::{Value, json};

use super::Stripe;
use super::slow::{self, Slow};
use crate::ledger::{Standing, Trade};

/// The version that events are written for.
pub const VERSION: &str = "2026-10-28.endive";

/// Currencies in which Stripe counts whole units, and those in which it counts thousandths.
const NO_DECIMALS: [&str; 6] = ["CLP", "JPY", "KRW", "PYG", "VND", "MGA"];
const THREE_DECIMALS: [&str; 4] = ["BHD", "JOD", "KWD", "TND"];

/// The decimals in which Stripe counts a currency.
pub fn exponent(code: &str) -> u8 {
    match code {
        code if NO_DECIMALS.contains(&code) => 0,
        code if THREE_DECIMALS.contains(&code) => 3,
        _ => 2,
    }
}

/// Whether money has come in, be it given back since.
pub fn is_paid(trade: &Trade) -> bool {
    trade.paid_at.is_some()
}

/// The API's word for where a payment stands.
pub fn intent_status(stripe: &Stripe, trade: &Trade) -> &'static str {
    match trade.standing {
        _ if is_paid(trade) => "succeeded",
        _ if slow_of(stripe, trade) == Some(Slow::Underway) => "processing",
        Standing::Closed => "canceled",
        _ => "requires_payment_method",
    }
}

fn slow_of(stripe: &Stripe, trade: &Trade) -> Option<Slow> {
    slow::of(stripe, &trade.opening.reference)
}

/// Metadata by which the merchant knows a payment again.
pub fn metadata(trade: &Trade) -> Value {
    json!({ "payment": trade.opening.reference })
}

/// A lower-case currency.
pub fn currency(trade: &Trade) -> String {
    trade.opening.currency.code.to_lowercase()
}

/// Of a payment's id, that of its charge.
pub fn charge_id(trade: &Trade) -> String {
    trade.provider_reference.replacen("pi_", "ch_", 1)
}

/// A charge.
pub fn charge(stripe: &Stripe, trade: &Trade) -> Value {
    json!({
        "id": charge_id(trade), "object": "charge", "amount": trade.opening.amount.0,
        "amount_refunded": refunded(stripe, trade), "currency": currency(trade),
        "livemode": false, "paid": true, "status": "succeeded",
        "created": trade.paid_at.unwrap_or(trade.prepared_at).as_second(),
        "payment_intent": trade.provider_reference, "metadata": metadata(trade),
    })
}

/// What was given back and did not fail.
pub fn refunded(stripe: &Stripe, trade: &Trade) -> i64 {
    let failed = &stripe.desk().failed;
    let held = trade.refunds.iter().filter(|refund| !failed.contains(&refund.request_no));
    held.map(|refund| refund.amount.0).sum()
}

/// A PaymentIntent; with its charge where that was asked for.
pub fn intent(stripe: &Stripe, trade: &Trade, with_charge: bool) -> Value {
    let charge = match (is_paid(trade), with_charge) {
        (false, _) => Value::Null,
        (true, false) => json!(charge_id(trade)),
        (true, true) => charge(stripe, trade),
    };
    let error = (slow_of(stripe, trade) == Some(Slow::Failed)).then(
        || json!({ "code": "payment_method_provider_decline", "message": "The payment failed." }),
    );
    let received = if is_paid(trade) { trade.opening.amount.0 } else { 0 };
    json!({
        "id": trade.provider_reference, "object": "payment_intent",
        "amount": trade.opening.amount.0, "amount_received": received,
        "currency": currency(trade), "status": intent_status(stripe, trade), "livemode": false,
        "created": trade.prepared_at.as_second(), "latest_charge": charge,
        "last_payment_error": error,
        "client_secret": format!("{}_secret_simulated", trade.provider_reference),
        "metadata": metadata(trade),
    })
}

/// A Checkout Session; with its payment where that was asked for.
pub fn session(stripe: &Stripe, id: &str, trade: &Trade, with_intent: bool) -> Value {
    let opening = &trade.opening;
    let status = match trade.standing {
        _ if is_paid(trade) || slow_of(stripe, trade).is_some() => "complete",
        Standing::Closed => "expired",
        _ => "open",
    };
    let payment = match (status == "complete", with_intent) {
        // None before the payer confirms.
        (false, _) => Value::Null,
        (true, false) => json!(trade.provider_reference),
        (true, true) => intent(stripe, trade, true),
    };
    let url = (status == "open").then(|| format!("{}/c/{id}", stripe.base));
    json!({
        "id": id, "object": "checkout.session", "mode": "payment", "status": status,
        "payment_status": if is_paid(trade) { "paid" } else { "unpaid" },
        "amount_total": opening.amount.0, "currency": currency(trade),
        "client_reference_id": opening.reference, "metadata": metadata(trade),
        "payment_intent": payment, "url": url, "livemode": false,
        "created": trade.prepared_at.as_second(), "expires_at": opening.expires_at.as_second(),
        "success_url": opening.return_url, "cancel_url": opening.quit_url,
    })
}

/// A dispute over a payment.
pub fn dispute(trade: &Trade) -> Value {
    json!({
        "id": trade.provider_reference.replacen("pi_", "dp_", 1), "object": "dispute",
        "amount": trade.opening.amount.0, "currency": currency(trade), "livemode": false,
        "status": "needs_response", "reason": "fraudulent", "charge": charge_id(trade),
        "payment_intent": trade.provider_reference,
        "evidence_details": { "due_by": trade.prepared_at.as_second() + 7 * 86_400 },
    })
}
