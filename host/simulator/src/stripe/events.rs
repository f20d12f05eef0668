//! Events: what they tell, and the signature over the time and the very bytes that are sent.
use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::objects::VERSION;
use super::{Stripe, WEBHOOK_SECRET, objects, refunds, slow};
use crate::faults::{Hit, Verb};
use crate::ledger::{EventKind, Trade};
use crate::notifier::Message;

/// Who signs an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The endpoint's secret.
    Endpoint,
    /// Another secret.
    Forged,
    /// Nobody.
    Unsigned,
    /// Another secret first, the endpoint's second: it is being rolled.
    Rolled,
    /// The old scheme alone.
    OnlyV0,
}

/// An event before it is signed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number, the same over repeats.
    pub id: String,
    /// `checkout.session.completed`, ...
    pub kind: String,
    /// The picture of what it is about.
    pub object: Value,
    /// Who signs.
    pub seal: Seal,
    /// How many seconds ago it was signed.
    pub age_s: i64,
    /// Which mode it says that it is of.
    pub livemode: bool,
    /// Whether the body is written anew after it was signed.
    pub rewritten: bool,
}

impl Notice {
    /// An event of a kind about an object.
    pub fn new(stripe: &Stripe, kind: &str, object: Value) -> Notice {
        Notice {
            id: format!("evt_{}", stripe.chance.alphanumeric(24)),
            kind: kind.to_owned(),
            object,
            seal: Seal::Endpoint,
            age_s: 0,
            livemode: false,
            rewritten: false,
        }
    }

    /// Events of these kinds about a payment's intent and its session; without a session, the first alone.
    pub fn both(stripe: &Stripe, trade: &Trade, [of_intent, of_session]: [&str; 2]) -> Vec<Notice> {
        let intent = Notice::new(stripe, of_intent, objects::intent(stripe, trade, false));
        let session = session(stripe, trade).map(|it| Notice::new(stripe, of_session, it));
        [intent].into_iter().chain(session).collect()
    }

    /// The truthful events of what happened.
    pub fn all_of(stripe: &Stripe, trade: &Trade, kind: &EventKind) -> Vec<Notice> {
        let session = session(stripe, trade);
        let intent = || objects::intent(stripe, trade, false);
        let new = |kind: &str, object: Value| Notice::new(stripe, kind, object);
        match (kind, session) {
            (EventKind::Paid, _) => {
                let of_session = match slow::of(stripe, &trade.opening.reference) {
                    Some(_) => "checkout.session.async_payment_succeeded",
                    None => "checkout.session.completed",
                };
                Notice::both(stripe, trade, ["payment_intent.succeeded", of_session])
            }
            (EventKind::Closed, Some(session)) => vec![new("checkout.session.expired", session)],
            (EventKind::Closed, None) => vec![new("payment_intent.canceled", intent())],
            (EventKind::Refunded(number), _) => {
                let refund = trade.refund(number);
                let refund = refund.map(|refund| refunds::object(stripe, trade, refund));
                let charge = new("charge.refunded", objects::charge(stripe, trade));
                refund
                    .map(|refund| new("refund.created", refund))
                    .into_iter()
                    .chain([charge])
                    .collect()
            }
            (EventKind::Finished, _) => Vec::new(),
        }
    }

    /// Bends the event as the rules in force want it.
    pub fn with_faults(mut self, hit: &Hit) -> Notice {
        super::wire::distort(&mut self.object, hit);
        if hit.has(Verb::BadSignature) {
            self.seal = Seal::Forged;
        }
        if hit.has(Verb::Unsigned) {
            self.seal = Seal::Unsigned;
        }
        self
    }

    /// Writes and signs it.
    pub fn seal(&self, stripe: &Stripe) -> Message {
        let event = json!({
            "id": self.id, "object": "event", "api_version": VERSION, "type": self.kind,
            "created": stripe.now().as_second(), "livemode": self.livemode,
            "data": { "object": self.object }, "pending_webhooks": 1,
        });
        let mut body = event.to_string();
        let time = stripe.till.clock.now().as_second() - self.age_s;
        let sign = |secret: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
            hex::encode(hmac::sign(&key, format!("{time}.{body}").as_bytes()))
        };
        let (own, other) = (sign(WEBHOOK_SECRET), sign("whsec_of_somebody_else_00000001"));
        let signature = match self.seal {
            Seal::Endpoint => Some(format!("t={time},v1={own},v0={other}")),
            Seal::Forged => Some(format!("t={time},v1={other}")),
            Seal::Rolled => Some(format!("t={time},v1={other},v1={own}")),
            Seal::OnlyV0 => Some(format!("t={time},v0={own}")),
            Seal::Unsigned => None,
        };
        if self.rewritten {
            body = serde_json::to_string_pretty(&event).unwrap_or(body);
        }
        let named = |name: &str, value: String| (name.to_owned(), value);
        let mut headers = vec![named("content-type", "application/json; charset=utf-8".to_owned())];
        headers.extend(signature.map(|value| named("stripe-signature", value)));
        Message { headers, body }
    }
}

/// The session of a payment, where a hosted page is how it is paid.
fn session(stripe: &Stripe, trade: &Trade) -> Option<Value> {
    let id = {
        let desk = stripe.desk();
        let of_trade = |entry: &(&String, &String)| *entry.1 == trade.opening.reference;
        desk.sessions.iter().find(of_trade).map(|(id, _)| id.clone())
    };
    id.map(|id| objects::session(stripe, &id, trade, false))
}
