//! Reading what WeChat Pay sends: a signed JSON whose content is sealed. No browser and no client library brings anything
//! that is signed, so there is nothing else to read.

use serde::Deserialize;
use tollgate_sdk::contract::notices::Reading;
use tollgate_sdk::contract::types::{Channel, Fault, Inbound};
use tollgate_sdk::{Keyring, fault};

use crate::certificates::Sealed;
use crate::notification;
use crate::reply::Signed;

/// The envelope.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    /// The same for each delivery of one event.
    pub id: String,
    /// What happened.
    pub event_type: String,
    resource_type: String,
    resource: Sealed,
}

/// Reads one message. Its signature is checked before it is opened, and opened before anything in it is used.
///
/// # Errors
/// `protocol` or `signature` reject the message; `config` is ours, and WeChat Pay may send again.
pub fn read<K: Keyring>(keys: &K, message: &Inbound) -> Result<Reading, Fault> {
    if message.channel == Channel::ClientResult || message.method != "POST" {
        return Err(fault::protocol("WeChat Pay signs nothing that a browser or an app brings"));
    }
    let signed = Signed::of(&message.headers, &message.body, message.received_ms)?;
    if !signed.holds(keys)? {
        return Err(fault::signature("the signature does not hold"));
    }
    let envelope: Envelope = serde_json::from_slice(&message.body)
        .map_err(|error| fault::protocol(format!("notification: {error}")))?;
    if envelope.resource_type != "encrypt-resource" {
        return Err(fault::protocol("`resource_type` is not encrypt-resource"));
    }
    let plain = envelope.resource.open(keys)?;
    let event = notification::event(&envelope, &plain)?;
    Ok(Reading::Events((Channel::Notification, vec![event])))
}
