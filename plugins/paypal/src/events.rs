//! What a webhook says: of whom to ask, no more.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tollgate_sdk::contract::notices::{Authority, Event};
use tollgate_sdk::contract::types::{Fact, Fault, PaymentStatus, RefundNews, Subject};
use tollgate_sdk::{facts, fault};

use crate::objects::{self, Link};
use crate::{dispute_query, status};

#[derive(Deserialize)]
struct Envelope<R> {
    id: String,
    event_type: String,
    create_time: Option<String>,
    resource: R,
}

/// Whether it is one JSON object with the members of an event: what is spliced into a request must not break out of it.
///
/// # Errors
/// `protocol` if it is not.
pub fn check(body: &str) -> Result<(), Fault> {
    // Anybody may have sent it: nothing is made of what it holds.
    read::<IgnoredAny>(body.as_bytes()).map(|_| ())
}

fn read<R: DeserializeOwned>(body: &[u8]) -> Result<Envelope<R>, Fault> {
    let envelope: Envelope<R> = serde_json::from_slice(body)
        .map_err(|error| fault::protocol(format!("webhook: {error}")))?;
    match envelope.id.is_empty() {
        true => Err(fault::protocol("webhook: `id` is empty")),
        false => Ok(envelope),
    }
}

/// The event of a webhook whose signature PayPal has confirmed.
///
/// # Errors
/// `protocol` if a member is missing or unreadable.
pub fn event(body: &[u8]) -> Result<Event, Fault> {
    let envelope = read::<Value>(body)?;
    let resource = envelope.resource;
    let mut fact = match envelope.event_type.as_str() {
        "CHECKOUT.ORDER.APPROVED"
        | "CHECKOUT.ORDER.COMPLETED"
        | "CHECKOUT.PAYMENT-APPROVAL.REVERSED" => of_order(&resource),
        "PAYMENT.CAPTURE.COMPLETED"
        | "PAYMENT.CAPTURE.PENDING"
        | "PAYMENT.CAPTURE.DENIED"
        | "PAYMENT.CAPTURE.DECLINED" => of_capture(&resource),
        "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" | "PAYMENT.REFUND.FAILED" => {
            of_refund(&resource)
        }
        "CUSTOMER.DISPUTE.CREATED" | "CUSTOMER.DISPUTE.UPDATED" | "CUSTOMER.DISPUTE.RESOLVED" => {
            dispute_query::named(&parse(resource)?)?
        }
        other => ignored(other),
    };
    fact.at = envelope.create_time;
    // What others put where our reference stands is none: of those the host knows what their captures name, or does not.
    fact.payment_ref = fact.payment_ref.filter(|text| facts::is_reference(text));
    let is_ours = fact.payment_ref.is_some() || fact.provider_ref.is_some();
    if !is_ours && !matches!(fact.about, Subject::Other(_)) {
        fact = ignored(&envelope.event_type);
    }
    Ok(Event { fact, authority: Authority::Hint, dedupe_key: envelope.id })
}

fn parse<T: DeserializeOwned>(resource: Value) -> Result<T, Fault> {
    serde_json::from_value(resource)
        .map_err(|error| fault::protocol(format!("webhook's resource: {error}")))
}

/// Taken and not used: PayPal stops sending to who refuses.
fn ignored(kind: &str) -> Fact {
    facts::fact(Subject::Other("ignored".to_owned()), None, kind)
}

/// An order, or what is left of one whose approval was taken back: that has neither number nor state.
fn of_order(resource: &Value) -> Fact {
    let ours = resource.pointer("/purchase_units/0/custom_id").and_then(Value::as_str);
    let status = resource["status"].as_str().unwrap_or_default();
    facts::fact(Subject::Payment(PaymentStatus::Unknown), ours, status)
}

fn of_capture(resource: &Value) -> Fact {
    let text = |name: &str| resource[name].as_str();
    let subject = Subject::Payment(PaymentStatus::Unknown);
    let mut fact = facts::fact(subject, text("custom_id"), text("status").unwrap_or_default());
    fact.provider_ref = text("id").map(str::to_owned);
    fact
}

/// A refund, or whatever PayPal takes back: the shape of that is not published. A refund of ours is asked about by itself, any
/// other shows in the sum of its payment.
fn of_refund(resource: &Value) -> Fact {
    let text = |name: &str| resource[name].as_str();
    let status = text("status").unwrap_or_default();
    let about = Subject::Refund(RefundNews {
        status: status::of_refund(status),
        refund_ref: text("custom_id").and_then(objects::refund_ref).map(str::to_owned),
        provider_refund_ref: text("id").map(str::to_owned),
    });
    let mut fact = facts::fact(about, None, status);
    let links = Vec::<Link>::deserialize(&resource["links"]).unwrap_or_default();
    fact.provider_ref = objects::capture_in(&links).map(str::to_owned);
    fact
}
