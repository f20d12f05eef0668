//! Stripe in a box: the state behind its API, hosted pages, webhooks and balance transactions.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{any, get, post};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::later;
use crate::faults::Hit;
use crate::ledger::{Event, EventKind, Opening, Refusal, Trade};
use crate::money::Amount;
use crate::notifier::{Delivery, Message, Schedule};
use crate::order::Order;
use crate::provider::{Book, Denied, Provider, Setup, Till, WayBack, currency};

mod balance;
mod draft;
mod events;
mod objects;
mod payer;
mod payments;
mod refunds;
mod slow;
mod wire;

use events::Notice;

/// Intervals are not published; live, it goes on for three days. Any 2xx will do.
const SCHEDULE: Schedule = Schedule {
    gaps_s: &[60, 300, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 86_400],
    acknowledged: |status, _| matches!(status, 200..300),
};

/// The key that the box takes, and the secret that it signs with.
const SECRET_KEY: &str = "sk_test_TollgateSimulator0000000001";
const WEBHOOK_SECRET: &str = "whsec_TollgateSimulator0000000001";

/// One merchant's Stripe.
#[derive(Debug)]
pub struct Stripe {
    base: String,
    till: Till,
    chance: Chance,
    desk: Mutex<Desk>,
}

/// What changes while the box runs, beside the books.
#[derive(Debug, Default)]
struct Desk {
    /// Where events go: one endpoint for all, as the dashboard has it.
    endpoint: Option<String>,
    /// Ids of sessions, and the payment of each.
    sessions: HashMap<String, String>,
    /// Payments that a method is to bring which takes days, by the merchant's number.
    slow: HashMap<String, slow::Slow>,
    /// Payments that were contested, by the merchant's number.
    disputed: HashMap<String, Timestamp>,
    /// How many balance transactions a page holds at most; 0: as many as are asked for.
    page_rows: usize,
    /// Refunds that were asked for by the API, by the merchant's number: the others were made in the dashboard.
    asked: HashSet<String>,
    /// Refunds that turned out to have failed, by the merchant's number.
    failed: HashSet<String>,
    /// What was answered under each idempotency key.
    answered: HashMap<String, wire::Answered>,
}

impl Stripe {
    /// An empty box. Its keys are fixed, so a folder has nothing to keep.
    pub fn new(setup: &Setup, _keys: Option<&Path>) -> anyhow::Result<Stripe> {
        Ok(Stripe {
            base: setup.base.clone(),
            till: Till::new(setup, SCHEDULE)?,
            chance: Chance::new(setup.seed),
            desk: Mutex::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.till.book()
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.till.now()
    }

    fn fault(&self, operation: &str, reference: Option<&str>) -> Hit {
        self.till.fault(operation, reference)
    }

    /// Queues an event, if there is an endpoint.
    fn tell(&self, notice: Notice, reference: &str, kind: &EventKind) {
        let Some(url) = self.desk().endpoint.clone() else {
            return;
        };
        let hit = self.fault("notify", Some(reference));
        let notice = notice.with_faults(&hit);
        let message = notice.seal(self);
        let delivery = Delivery::new(&notice.id, reference, kind, url, message).named(&notice.kind);
        self.till.notifier.queue(delivery, &hit, self.now());
    }
}

impl Provider for Stripe {
    const ID: &'static str = "stripe";
    const CURRENCY: (&'static str, u8) = ("USD", 2);
    const ZONE_HOURS: i8 = 0;
    const POINTS: &'static [&'static str] =
        &["pay", "query", "list", "close", "refund", "refund_query", "bill", "notify"];

    fn till(&self) -> &Till {
        &self.till
    }

    fn wire(self: Arc<Stripe>) -> Router {
        Router::new()
            .route("/stripe/v1/{*path}", any(wire::call))
            .route("/stripe/c/{session}", get(payer::show).post(payer::decide))
            .route("/stripe/app/pay", post(payer::app))
            .with_state(self)
    }

    fn accounts(&self) -> Value {
        json!({
            "plugin": "stripe",
            // Where events go is set once for the account, not with each payment.
            "register_notify_url": true,
            "account": {
                "plugin": "stripe", "name": "Stripe (simulator)", "live": false, "simulator": true,
                "settings": {},
                "secrets": { "secret-key": SECRET_KEY, "webhook-secret": WEBHOOK_SECRET },
                "origins": { "api": self.base, "checkout": self.base },
            },
        })
    }

    fn publish(&self) -> anyhow::Result<()> {
        let told: Vec<(Trade, EventKind)> = {
            let mut book = self.book();
            let events = book.ledger.take_events();
            let known =
                |event: Event| Some((book.ledger.get(&event.reference)?.clone(), event.kind));
            events.into_iter().filter_map(known).collect()
        };
        for (trade, kind) in told {
            for notice in Notice::all_of(self, &trade, &kind) {
                self.tell(notice, &trade.opening.reference, &kind);
            }
        }
        Ok(())
    }

    fn status(&self, trade: &Trade) -> Option<String> {
        Some(objects::intent_status(self, trade).to_owned())
    }

    fn pay(&self, reference: &str) -> Result<WayBack, Denied> {
        if slow::of(self, reference) == Some(slow::Slow::Failed) {
            return Err(Denied::Conflict("the session is over".to_owned()));
        }
        let mut book = self.book();
        if let Err(refusal) = book.ledger.pay(reference, self.now())
            && refusal != Refusal::AlreadyPaid
        {
            return Err(refusal.into());
        }
        let trade = book.ledger.get(reference).cloned().ok_or(Refusal::UnknownTrade)?;
        drop(book);
        Ok(WayBack { url: payer::back(&trade), form: None })
    }

    /// `fail_refund`: the newest refund, which had succeeded, turns out to have failed.
    /// `dispute`: somebody contests the payment. For those of methods that take days see [`slow::act`].
    fn act(&self, reference: &str, act: &str) -> Result<(), Denied> {
        let trade = self.book().ledger.get(reference).cloned().ok_or(Refusal::UnknownTrade)?;
        match act {
            "fail_refund" => {
                let refund = trade.refunds.last();
                let refund = refund.ok_or_else(|| Denied::Conflict("nothing refunded".into()))?;
                self.desk().failed.insert(refund.request_no.clone());
                let kind = EventKind::Refunded(refund.request_no.clone());
                let object = refunds::object(self, &trade, refund);
                self.tell(Notice::new(self, "refund.failed", object), reference, &kind);
                Ok(())
            }
            "dispute" => {
                self.desk().disputed.insert(reference.to_owned(), self.now());
                let object = objects::dispute(&trade);
                let notice = Notice::new(self, "charge.dispute.created", object);
                self.tell(notice, reference, &EventKind::Paid);
                Ok(())
            }
            _ => slow::act(self, &trade, act),
        }
    }

    fn notify_url(&self, _trade: &Trade) -> Option<String> {
        self.desk().endpoint.clone()
    }

    fn draft(&self, trade: &Trade, order: &Order) -> Result<Message, Denied> {
        draft::draft(self, trade, order)
    }

    fn planted(&self, reference: String, amount: Amount, at: Timestamp) -> (String, Opening) {
        let opening = Opening {
            reference,
            amount,
            currency: currency::<Stripe>(),
            subject: "Seeded".to_owned(),
            product: "checkout".to_owned(),
            echoed: BTreeMap::new(),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(at, SignedDuration::from_hours(24)),
        };
        (format!("pi_{}", self.chance.alphanumeric(24)), opening)
    }

    /// `endpoint` `{url}`: events go there from now on. `page_rows` `{most}`: a page of the balance holds no more.
    fn special(&self, verb: &str, body: &Value) -> Result<Value, Denied> {
        match (verb, body["url"].as_str(), body["most"].as_u64()) {
            ("endpoint", Some(url), _) => {
                self.desk().endpoint = Some(url.to_owned());
                Ok(json!({ "url": url, "secret": WEBHOOK_SECRET }))
            }
            ("endpoint", None, _) => Err(Denied::Unfit("url: missing".to_owned())),
            ("page_rows", _, Some(most)) => {
                self.desk().page_rows = usize::try_from(most).unwrap_or(0);
                Ok(json!({ "most": most }))
            }
            _ => Err(Denied::Unknown(format!("there is no verb {verb:?}"))),
        }
    }
}
