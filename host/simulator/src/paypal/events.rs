//! Webhooks: what they tell, the signature over a checksum of the body, and the call that checks one.
use axum::http::StatusCode;
use flate2::Crc;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::orders::{capture_of, utc};
use super::wire::{ApiError, Call, Reply};
use super::{PayPal, WEBHOOK_ID, refunds};
use crate::clock::later;
use crate::faults::{Hit, Verb};
use crate::ledger::{EventKind, Trade};
use crate::notifier::Message;
use crate::rsa::verify as holds;

/// A webhook before it is signed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number, the same over repeats.
    pub id: String,
    /// `PAYMENT.CAPTURE.COMPLETED`, ...
    pub kind: String,
    /// What it is about.
    pub resource: Value,
    /// Whether the signature holds.
    pub is_signed_right: bool,
    /// Headers that are left out.
    pub without: Vec<String>,
    /// Whether the body is written anew after it was signed.
    pub rewritten: bool,
    /// How many seconds ago it was signed; below zero: how many ahead.
    pub age_s: i64,
    /// The webhook that it is signed for.
    pub webhook_id: &'static str,
    resource_type: &'static str,
}

impl Notice {
    /// A webhook of a kind about a resource.
    pub fn new(
        paypal: &PayPal,
        kind: &str,
        resource_type: &'static str,
        resource: Value,
    ) -> Notice {
        Notice {
            id: format!("WH-{}", super::orders::number(&paypal.chance)),
            kind: kind.to_owned(),
            resource,
            is_signed_right: true,
            without: Vec::new(),
            rewritten: false,
            age_s: 0,
            webhook_id: WEBHOOK_ID,
            resource_type,
        }
    }

    /// The truthful webhook of what happened; none for what nobody is told of.
    pub fn of(paypal: &PayPal, trade: &Trade, kind: &EventKind) -> Option<Notice> {
        Some(match kind {
            EventKind::Paid => {
                let capture = capture_of(paypal, trade)?;
                Notice::new(paypal, "PAYMENT.CAPTURE.COMPLETED", "capture", capture)
            }
            EventKind::Refunded(number) => {
                let refund = refunds::object(paypal, trade, trade.refund(number)?);
                Notice::new(paypal, "PAYMENT.CAPTURE.REFUNDED", "refund", refund)
            }
            EventKind::Closed | EventKind::Finished => return None,
        })
    }

    /// Bends the webhook as the rules in force want it.
    pub fn with_faults(mut self, hit: &Hit) -> Notice {
        super::wire::distort(&mut self.resource, hit);
        if hit.has(Verb::BadSignature) {
            self.is_signed_right = false;
        }
        if hit.has(Verb::Unsigned) {
            self.without.push("paypal-transmission-sig".to_owned());
        }
        self
    }

    /// Writes and signs it.
    pub fn message(&self, paypal: &PayPal) -> Message {
        let event = json!({
            "id": self.id, "event_version": "1.0", "create_time": utc(paypal.now()),
            "resource_type": self.resource_type, "event_type": self.kind,
            "summary": "Simulated", "resource": self.resource, "links": [],
        });
        let mut body = event.to_string();
        let signed_at = later(paypal.till.clock.now(), SignedDuration::from_secs(-self.age_s));
        let (id, time) = (paypal.chance.hex(32), utc(signed_at));
        let signed = signed_text(&id, &time, self.webhook_id, body.as_bytes());
        let mut signature = paypal.signer.sign(signed.as_bytes());
        if !self.is_signed_right {
            signature = paypal.signer.sign(b"something else");
        }
        if self.rewritten {
            body = serde_json::to_string_pretty(&event).unwrap_or(body);
        }
        let cert = "https://api.paypal.com/v1/notifications/certs/CERT-simulated";
        let headers = [
            ("content-type", "application/json"),
            ("paypal-transmission-id", &id),
            ("paypal-transmission-time", &time),
            ("paypal-transmission-sig", &signature),
            ("paypal-cert-url", cert),
            ("paypal-auth-algo", "SHA256withRSA"),
        ];
        let kept = headers.iter().filter(|(name, _)| !self.without.iter().any(|out| out == name));
        let headers = kept.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Message { headers, body }
    }
}

/// What is signed: numbers, the time, and a checksum of the body, which is no hash.
fn signed_text(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    let mut crc = Crc::new();
    crc.update(body);
    format!("{id}|{time}|{webhook_id}|{}", crc.sum())
}

/// `POST /v1/notifications/verify-webhook-signature`: whether a webhook is PayPal's own, byte for byte.
pub fn verify(paypal: &PayPal, call: &Call<'_>) -> Reply {
    let text = |name: &str| call.json[name].as_str();
    let marker = b"\"webhook_event\":";
    let at = call.body.windows(marker.len()).position(|window| window == marker);
    let (Some(at), Some(id), Some(time), Some(signature)) =
        (at, text("transmission_id"), text("transmission_time"), text("transmission_sig"))
    else {
        return Err(ApiError::invalid("MISSING_REQUIRED_PARAMETER"));
    };
    let event = &call.body[at + marker.len()..call.body.len() - 1];
    let is_ours = text("webhook_id") == Some(WEBHOOK_ID)
        && text("auth_algo") == Some("SHA256withRSA")
        && text("cert_url").is_some_and(|url| url.starts_with("https://api.paypal.com/"));
    let signed = signed_text(id, time, WEBHOOK_ID, event);
    let verdict = match is_ours && holds(paypal.signer.spki(), signed.as_bytes(), signature) {
        true => "SUCCESS",
        false => "FAILURE",
    };
    Ok((StatusCode::OK, json!({ "verification_status": verdict })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published checksums, and the end of a published text.
    #[test]
    fn the_checksum_is_the_published_one() {
        for (body, sum) in [("123456789", 3_421_780_262_u32), ("{}", 2_745_614_147)] {
            let text = signed_text("id", "time", WEBHOOK_ID, body.as_bytes());
            assert_eq!(text, format!("id|time|{WEBHOOK_ID}|{sum}"));
        }
    }
}
