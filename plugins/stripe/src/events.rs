//! What a verified event says. Its object is a picture of the past: the host asks before it believes, and never goes back.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tollgate_sdk::contract::notices::{Authority, Event};
use tollgate_sdk::contract::types::{DisputeNews, Fact, Fault, PaymentStatus, Subject};
use tollgate_sdk::{facts, fault, utc_time};

use crate::objects::{Charge, Dispute, Intent, PAYMENT, Refund, Session};
use crate::{money, status};

#[derive(Deserialize)]
struct Envelope {
    id: String,
    object: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    livemode: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

/// The event of a body whose signature held.
///
/// # Errors
/// `protocol` if a member is missing or unreadable.
pub fn event(body: &[u8]) -> Result<Event, Fault> {
    let envelope: Envelope =
        serde_json::from_slice(body).map_err(|error| fault::protocol(format!("event: {error}")))?;
    if envelope.object != "event" || envelope.id.is_empty() {
        return Err(fault::protocol("`object` is not event, or `id` is empty"));
    }
    let (kind, object) = (envelope.kind.as_str(), envelope.data.object);
    let mut fact = match Owner::of(kind, &object) {
        Owner::Nobody => ignored(kind),
        Owner::Us => told(kind, object)?,
        Owner::OfItsIntent => Fact { payment_ref: None, ..told(kind, object)? },
    };
    fact.live = Some(envelope.livemode);
    let told_at = || utc_time::rfc3339(envelope.created.saturating_mul(1000));
    fact.at = Some(fact.at.unwrap_or_else(told_at));
    Ok(Event { fact, authority: Authority::Authoritative, dedupe_key: envelope.id })
}

/// Whose an object is. The account may have other integrations, which put what they like where our reference stands: what is
/// not ours is not read, whatever its words and currencies are.
enum Owner {
    /// It bears our reference.
    Us,
    /// A dispute, or a refund that was made in the dashboard: the host knows the payment by its intent, or does not.
    OfItsIntent,
    /// Somebody else, or it is nothing that we use.
    Nobody,
}

impl Owner {
    fn of(kind: &str, object: &Value) -> Owner {
        let text = |name: &str| object[name].as_str().filter(|text| facts::is_reference(text));
        let named = object["metadata"][PAYMENT].as_str().filter(|it| facts::is_reference(it));
        let by_intent = match object["payment_intent"].is_string() {
            true => Owner::OfItsIntent,
            false => Owner::Nobody,
        };
        match kind {
            _ if kind.starts_with("charge.dispute.") => by_intent,
            _ if kind.starts_with("checkout.session.") => match named {
                Some(_) if named == text("client_reference_id") => Owner::Us,
                _ => Owner::Nobody,
            },
            _ if named.is_some() => Owner::Us,
            _ if !object["currency"].as_str().is_some_and(money::is_taken) => Owner::Nobody,
            _ if kind.starts_with("refund.") || kind == "charge.refund.updated" => by_intent,
            _ => Owner::Nobody,
        }
    }
}

/// What an object of ours says.
fn told(kind: &str, object: Value) -> Result<Fact, Fault> {
    match kind {
        "checkout.session.completed"
        | "checkout.session.async_payment_succeeded"
        | "checkout.session.expired" => status::session(&parse::<Session>(object)?),
        "checkout.session.async_payment_failed" => slow_method_failed(&parse(object)?),
        "payment_intent.succeeded"
        | "payment_intent.processing"
        | "payment_intent.payment_failed"
        | "payment_intent.requires_action"
        | "payment_intent.canceled" => status::intent(&parse::<Intent>(object)?),
        "charge.refunded" => charge(&parse(object)?),
        "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
            status::refund(&parse::<Refund>(object)?)
        }
        kind if kind.starts_with("charge.dispute.") => Ok(dispute(&parse(object)?)),
        other => Ok(ignored(other)),
    }
}

fn parse<T: DeserializeOwned>(object: Value) -> Result<T, Fault> {
    serde_json::from_value(object)
        .map_err(|error| fault::protocol(format!("event's object: {error}")))
}

/// Taken and not used: Stripe stops sending to who refuses.
fn ignored(kind: &str) -> Fact {
    facts::fact(Subject::Other("ignored".to_owned()), None, kind)
}

/// A method that takes days said no: this session cannot be paid any more.
fn slow_method_failed(session: &Session) -> Result<Fact, Fault> {
    let mut fact = status::session(session)?;
    if fact.about == Subject::Payment(PaymentStatus::Pending) {
        fact.about = Subject::Payment(PaymentStatus::Failed);
    }
    Ok(fact)
}

/// Something was given back of a charge, by whomever: its sum.
fn charge(charge: &Charge) -> Result<Fact, Fault> {
    let ours = charge.metadata.get(PAYMENT).map(String::as_str);
    let subject = Subject::Payment(PaymentStatus::Succeeded);
    let mut fact = facts::fact(subject, ours, "charge.refunded");
    fact.provider_ref = charge.payment_intent.clone();
    fact.amount = Some(money::read("amount", charge.amount, &charge.currency)?);
    let refunded = money::read("amount_refunded", charge.amount_refunded, &charge.currency)?;
    fact.refunded = Some(refunded);
    Ok(fact)
}

fn dispute(dispute: &Dispute) -> Fact {
    let state = match dispute.status.as_str() {
        "warning_needs_response" | "warning_under_review" => "warned",
        "needs_response" | "under_review" => "opened",
        "won" => "won",
        "lost" => "lost",
        "warning_closed" | "prevented" => "closed",
        // The host refuses it of a payment of ours, and tells people.
        other => other,
    };
    let due_by = dispute.evidence_details.as_ref().and_then(|evidence| evidence.due_by);
    let about = Subject::Dispute(DisputeNews {
        dispute_ref: dispute.id.clone(),
        status: state.to_owned(),
        respond_by: due_by.map(|at| utc_time::rfc3339(at.saturating_mul(1000))),
    });
    let mut fact = facts::fact(about, None, dispute.status.as_str());
    fact.provider_ref = dispute.payment_intent.clone();
    // Without one the host refuses it in the same way.
    fact.amount = money::read("amount", dispute.amount, &dispute.currency).ok();
    fact
}
