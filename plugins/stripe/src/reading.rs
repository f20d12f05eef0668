//! Reading what Stripe, the payer's browser or the shop's page brings. Only the first is signed.

use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::contract::types::{Channel, Fault, Inbound, Payment, PaymentStatus, Subject};
use tollgate_sdk::keys::{HMAC_SHA256, Pick};
use tollgate_sdk::{Keyring, facts, fault};

use crate::events;

/// The slot of the endpoint's secrets: several while one is replaced by the next.
pub const WEBHOOK_SECRET: &str = "webhook-secret";
/// How old, or how far ahead, a signature may be, in seconds. Stripe's own library looks at the past alone.
const TOLERANCE_S: u64 = 300;

/// Reads one message. Its signature is checked before anything in it is used.
///
/// # Errors
/// `protocol` or `signature` reject the message.
pub fn read<K: Keyring>(
    keys: &K,
    message: &Inbound,
    about: Option<&Payment>,
) -> Result<Reading, Fault> {
    if message.channel == Channel::Notification || header(message, "stripe-signature").is_some() {
        verify(keys, message)?;
        let event = events::event(&message.body)?;
        return Ok(Reading::Events((Channel::Notification, vec![event])));
    }
    // A browser that comes back, or a page that thinks it is done: worth a question, no more.
    let about = about.ok_or_else(|| fault::protocol("it names no payment"))?;
    let subject = Subject::Payment(PaymentStatus::Unknown);
    let fact = facts::fact(subject, Some(&about.payment_ref), "returned");
    let dedupe_key = format!("return:{}:{}", about.payment_ref, message.received_ms);
    let event = Event { fact, authority: Authority::Hint, dedupe_key };
    Ok(Reading::Events((message.channel, vec![event])))
}

fn header<'a>(message: &'a Inbound, name: &str) -> Option<&'a str> {
    let mut found = message.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.as_str())
}

/// Checks `Stripe-Signature: t=...,v1=...[,v1=...]` over the time, a dot and the raw body. Other schemes are not looked at.
fn verify<K: Keyring>(keys: &K, message: &Inbound) -> Result<(), Fault> {
    let value = header(message, "stripe-signature")
        .ok_or_else(|| fault::signature("`Stripe-Signature` is missing"))?;
    let parts = || value.split(',').filter_map(|part| part.trim().split_once('='));
    let mut times = parts().filter(|(name, _)| *name == "t").map(|(_, time)| time);
    let (Some(time), None) = (times.next(), times.next()) else {
        return Err(fault::signature("`t` stands there once"));
    };
    let seconds: i64 = time.parse().map_err(|_| fault::signature("`t` is no number of seconds"))?;
    if seconds.abs_diff(message.received_ms.div_euclid(1000)) > TOLERANCE_S {
        return Err(fault::signature("`t` is not within 300 s of now"));
    }
    let mut signed = format!("{time}.").into_bytes();
    signed.extend_from_slice(&message.body);
    let data = [Piece::Text(signed)];
    let mut any = false;
    for (_, text) in parts().filter(|(name, _)| *name == "v1") {
        any = true;
        // What is not hexadecimal is a signature that does not hold.
        let Ok(signature) = hex::decode(text) else { continue };
        if keys.verify(Pick::Slot(WEBHOOK_SECRET), HMAC_SHA256, &data, &signature)? {
            return Ok(());
        }
    }
    Err(fault::signature(if any { "no `v1` holds" } else { "`v1` is missing" }))
}
