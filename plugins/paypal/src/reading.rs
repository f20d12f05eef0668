//! Reading what PayPal or the payer's browser brings. A webhook's signature is checked by PayPal itself: the checksum within it
//! is no hash, so that one captured signature would fit other bodies. Whatever is read is a hint.

use serde::Deserialize;
use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::types::{
    Channel, Context, Fault, HttpResponse, Inbound, Payment, PaymentStatus,
};
use tollgate_sdk::{facts, fault, headers, utc_time};

use crate::{events, gateway, reply};

/// Where signatures are checked.
pub const VERIFY: &str = "/v1/notifications/verify-webhook-signature";

/// How old a transmission may be. PayPal repeats one for three days, and does not say whether a repeat has a time of its own.
const OLDEST_MS: i64 = 4 * 86_400_000;
/// How far its clock may be ahead of ours.
const AHEAD_MS: i64 = 300_000;

#[derive(Deserialize)]
struct Verdict {
    verification_status: String,
}

/// Reads one message; the second time with what PayPal says of its signature.
///
/// # Errors
/// `protocol` or `signature` reject the message; any other is ours, and PayPal may send again.
pub fn read(
    context: &Context,
    message: &Inbound,
    about: Option<&Payment>,
    answer: Option<(Vec<u8>, HttpResponse)>,
) -> Result<Reading, Fault> {
    if message.channel != Channel::Notification && message.method == "GET" {
        return returned(message, about);
    }
    let Some((_, response)) = answer else {
        return ask(context, message);
    };
    let verdict: Verdict = match reply::read(&response)? {
        Ok(verdict) => verdict,
        Err(refusal) => return Err(refusal.fault()),
    };
    if verdict.verification_status != "SUCCESS" {
        return Err(fault::signature("PayPal says that the signature does not hold"));
    }
    Ok(Reading::Events((Channel::Notification, vec![events::event(&message.body)?])))
}

/// The payer's browser came back: `token` is the order's number, and nothing of it is signed.
fn returned(message: &Inbound, about: Option<&Payment>) -> Result<Reading, Fault> {
    let about = about.ok_or_else(|| fault::protocol("it names no payment"))?;
    let fact = facts::payment(PaymentStatus::Unknown, &about.payment_ref, "returned");
    let dedupe_key = format!("return:{}:{}", about.payment_ref, message.received_ms);
    let event = Event { fact, authority: Authority::Hint, dedupe_key };
    Ok(Reading::Events((Channel::BrowserReturn, vec![event])))
}

/// Has PayPal check the signature. The event goes there byte for byte: written anew it would be another.
fn ask(context: &Context, message: &Inbound) -> Result<Reading, Fault> {
    let body =
        std::str::from_utf8(&message.body).map_err(|_| fault::protocol("webhook: not UTF-8"))?;
    events::check(body)?;
    check_time(message)?;
    let mut request = String::with_capacity(body.len() + 1024);
    request.push('{');
    for (name, header) in [
        ("auth_algo", "paypal-auth-algo"),
        ("cert_url", "paypal-cert-url"),
        ("transmission_id", "paypal-transmission-id"),
        ("transmission_sig", "paypal-transmission-sig"),
        ("transmission_time", "paypal-transmission-time"),
    ] {
        let value = headers::one(&message.headers, header)?;
        request.push_str(&format!("\"{name}\":{},", serde_json::Value::from(value)));
    }
    let webhook = serde_json::Value::from(context.required_setting("webhook_id")?);
    request.push_str(&format!("\"webhook_id\":{webhook},\"webhook_event\":{body}}}"));
    let request = gateway::post_bytes(context, VERIFY, request.into_bytes())?;
    Ok(Reading::Ask((request, Vec::new())))
}

/// What was signed long ago is a replay, whatever the signature is worth.
fn check_time(message: &Inbound) -> Result<(), Fault> {
    let name = "paypal-transmission-time";
    let at = utc_time::unix_ms(headers::one(&message.headers, name)?)
        .ok_or_else(|| fault::signature(format!("`{name}` is no time in UTC")))?;
    let age_ms = message.received_ms.saturating_sub(at);
    if !(-AHEAD_MS..=OLDEST_MS).contains(&age_ms) {
        return Err(fault::signature(format!("`{name}` is not within 4 days of now")));
    }
    Ok(())
}
