//! What the opened content of a notification says: an order was paid, or a refund came to an end.

use serde::de::DeserializeOwned;
use tollgate_sdk::contract::notices::{Authority, Event};
use tollgate_sdk::contract::types::{Fact, Fault, Subject};
use tollgate_sdk::{facts, fault};

use crate::reading::Envelope;
use crate::status::{Refunded, Transaction};

/// The event of an envelope whose signature held, with its content.
///
/// # Errors
/// `protocol` if a member is missing or unreadable.
pub fn event(envelope: &Envelope, plain: &[u8]) -> Result<Event, Fault> {
    let fact = match envelope.event_type.as_str() {
        "TRANSACTION.SUCCESS" => transaction(plain)?,
        "REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED" => refund(plain)?,
        // Taken and not used: the provider sends until it hears that it was.
        other => facts::fact(Subject::Other("ignored".to_owned()), None, other),
    };
    if envelope.id.is_empty() {
        return Err(fault::protocol("notification: `id` is empty"));
    }
    Ok(Event { fact, authority: Authority::Authoritative, dedupe_key: envelope.id.clone() })
}

fn transaction(plain: &[u8]) -> Result<Fact, Fault> {
    let found: Transaction = parse(plain)?;
    if found.appid.is_empty() || found.mchid.is_empty() {
        return Err(fault::protocol("notification: `appid` or `mchid` is missing"));
    }
    found.fact()
}

fn refund(plain: &[u8]) -> Result<Fact, Fault> {
    let found: Refunded = parse(plain)?;
    if found.mchid.is_empty() || found.out_trade_no.is_empty() {
        return Err(fault::protocol("notification: `mchid` or `out_trade_no` is missing"));
    }
    found.fact()
}

fn parse<T: DeserializeOwned>(plain: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(plain)
        .map_err(|error| fault::protocol(format!("notification's content: {error}")))
}
