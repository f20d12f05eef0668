//! PayPal in a box: the state behind its Orders API, approval pages, webhooks and transaction reports.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{any, get};
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
use crate::rsa::{SigningKey, key};

mod disputes;
mod draft;
mod events;
mod orders;
mod payer;
mod refunds;
mod reports;
mod wire;

use events::Notice;

/// Up to 25 times over three days; intervals are not published. Any 2xx will do.
const SCHEDULE: Schedule = Schedule {
    gaps_s: &[
        60, 120, 300, 600, 1_200, 1_800, 3_600, 3_600, 7_200, 7_200, 10_800, 10_800, 10_800,
        10_800, 14_400, 14_400, 14_400, 14_400, 18_000, 18_000, 18_000, 21_600, 21_600, 21_600,
    ],
    acknowledged: |status, _| matches!(status, 200..300),
};

const CLIENT_ID: &str = "TollgateSimulatorClient";
const CLIENT_SECRET: &str = "TollgateSimulatorSecret0000000001";
const WEBHOOK_ID: &str = "40Y916089Y8324740";
const MERCHANT_ID: &str = "TLLGATESM2345";

/// One merchant's PayPal.
#[derive(Debug)]
pub struct PayPal {
    base: String,
    till: Till,
    chance: Chance,
    /// Signs webhooks.
    signer: SigningKey,
    desk: Mutex<Desk>,
}

/// What changes while the box runs, beside the books.
#[derive(Debug, Default)]
struct Desk {
    /// Where webhooks go: the app has one address for all.
    endpoint: Option<String>,
    /// Numbers of orders, and the payment of each.
    orders: HashMap<String, String>,
    /// Payments that their payer has approved.
    approved: HashSet<String>,
    /// Payments whose money waits when it is captured, until it is released.
    held: HashSet<String>,
    /// Payments whose captures wait.
    waiting: HashSet<String>,
    /// Those of them whose money will not come.
    denied: HashSet<String>,
    /// Payments whose next capture the payer's bank declines.
    declined: HashSet<String>,
    /// Refunds that turned out to have failed, by the merchant's numbers.
    failed: HashSet<String>,
    /// What payers contest, by the merchant's numbers of the payments.
    disputes: HashMap<String, disputes::Dispute>,
    /// Rows of a stretch that are too many to be listed; none: the usual limit.
    most_rows: Option<usize>,
    /// Tokens that are good.
    tokens: HashSet<String>,
    /// What was answered under each id of a request.
    answered: HashMap<String, (String, Result<Value, wire::ApiError>)>,
}

impl PayPal {
    /// An empty box, with the keys of a folder or new ones.
    pub fn new(setup: &Setup, keys: Option<&Path>) -> anyhow::Result<PayPal> {
        Ok(PayPal {
            base: setup.base.clone(),
            till: Till::new(setup, SCHEDULE)?,
            chance: Chance::new(setup.seed),
            signer: key(keys, "paypal-webhook.key")?,
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

    fn trade(&self, reference: &str) -> Result<Trade, Refusal> {
        self.book().ledger.get(reference).cloned().ok_or(Refusal::UnknownTrade)
    }

    /// Queues a webhook, if there is an address.
    fn tell(&self, notice: &Notice, reference: &str, kind: &EventKind) {
        let Some(url) = self.desk().endpoint.clone() else {
            return;
        };
        let hit = self.fault("notify", Some(reference));
        let notice = notice.clone().with_faults(&hit);
        let delivery = Delivery::new(&notice.id, reference, kind, url, notice.message(self));
        self.till.notifier.queue(delivery.named(&notice.kind), &hit, self.now());
    }
}

impl Provider for PayPal {
    const ID: &'static str = "paypal";
    const CURRENCY: (&'static str, u8) = ("USD", 2);
    const ZONE_HOURS: i8 = 0;
    const POINTS: &'static [&'static str] = &[
        "token",
        "pay",
        "capture",
        "query",
        "refund",
        "refund_query",
        "dispute",
        "verify",
        "bill",
        "notify",
    ];

    fn till(&self) -> &Till {
        &self.till
    }

    fn wire(self: Arc<PayPal>) -> Router {
        Router::new()
            .route("/paypal/v1/{*path}", any(wire::call))
            .route("/paypal/v2/{*path}", any(wire::call))
            .route("/paypal/checkoutnow/{order}", get(payer::show).post(payer::decide))
            .with_state(self)
    }

    fn accounts(&self) -> Value {
        json!({
            "plugin": "paypal",
            // Where webhooks go is set once for the app, not with each order.
            "register_notify_url": true,
            "account": {
                "plugin": "paypal", "name": "PayPal (simulator)", "live": false, "simulator": true,
                "settings": {
                    "client_id": CLIENT_ID, "webhook_id": WEBHOOK_ID, "merchant_id": MERCHANT_ID,
                },
                "secrets": { "client-secret": CLIENT_SECRET },
                "origins": { "api": self.base, "page": self.base },
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
            if let Some(notice) = Notice::of(self, &trade, &kind) {
                self.tell(&notice, &trade.opening.reference, &kind);
            }
        }
        Ok(())
    }

    fn status(&self, trade: &Trade) -> Option<String> {
        Some(orders::status(self, trade).to_owned())
    }

    /// The payer approves; the money moves when the merchant captures it.
    fn pay(&self, reference: &str) -> Result<WayBack, Denied> {
        self.book().ledger.open(reference, self.now())?;
        let trade = self.trade(reference)?;
        let is_new = self.desk().approved.insert(reference.to_owned());
        if is_new {
            let order = orders::order(self, &trade);
            let notice = Notice::new(self, "CHECKOUT.ORDER.APPROVED", "checkout-order", order);
            self.tell(&notice, reference, &EventKind::Paid);
        }
        Ok(WayBack { url: payer::back(self, &trade), form: None })
    }

    /// `hold`: what is captured from now on waits; `release`: it does no longer; `deny`: what waits does not come; `decline`: the
    /// payer's bank declines the next capture; `expire_tokens`: no token is good any more; `fail_refund`: the newest refund, which had succeeded, turns out to
    /// have failed. For those of disputes see [`disputes::act`].
    fn act(&self, reference: &str, act: &str) -> Result<(), Denied> {
        let trade = self.trade(reference)?;
        let owned = reference.to_owned();
        match act {
            "hold" => drop(self.desk().held.insert(owned)),
            "decline" => drop(self.desk().declined.insert(owned)),
            "expire_tokens" => self.desk().tokens.clear(),
            "release" => {
                self.desk().held.remove(reference);
                if self.desk().waiting.remove(reference) {
                    self.book().ledger.pay(reference, self.now())?;
                }
            }
            "deny" => {
                self.desk().denied.insert(owned);
                let capture = orders::capture_of(self, &trade);
                let capture = capture.ok_or_else(|| Denied::Conflict("nothing waits".into()))?;
                let notice = Notice::new(self, "PAYMENT.CAPTURE.DENIED", "capture", capture);
                self.tell(&notice, reference, &EventKind::Paid);
            }
            "fail_refund" => {
                let refund = trade.refunds.last();
                let refund = refund.ok_or_else(|| Denied::Conflict("nothing refunded".into()))?;
                self.desk().failed.insert(refund.request_no.clone());
                let kind = EventKind::Refunded(refund.request_no.clone());
                let object = refunds::object(self, &trade, refund);
                let notice = Notice::new(self, "PAYMENT.REFUND.FAILED", "refund", object);
                self.tell(&notice, reference, &kind);
            }
            _ => {
                let told = disputes::act(self, &trade, act);
                let unknown = || Denied::Unknown(format!("there is no act {act:?}"));
                self.tell(&told.ok_or_else(unknown)??, reference, &EventKind::Paid);
            }
        }
        Ok(())
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
            currency: currency::<PayPal>(),
            subject: "Seeded".to_owned(),
            product: "wallet".to_owned(),
            echoed: BTreeMap::new(),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(at, SignedDuration::from_hours(3)),
        };
        (orders::number(&self.chance), opening)
    }

    /// `endpoint` `{url}`: webhooks go there from now on. `most_rows` `{rows}`: the report lists no more of a stretch.
    fn special(&self, verb: &str, body: &Value) -> Result<Value, Denied> {
        match verb {
            "endpoint" => {
                let url = body["url"].as_str();
                let url = url.ok_or_else(|| Denied::Unfit("url: missing".to_owned()))?;
                self.desk().endpoint = Some(url.to_owned());
                Ok(json!({ "url": url, "webhook_id": WEBHOOK_ID }))
            }
            "most_rows" => {
                let rows = body["rows"].as_u64().and_then(|rows| usize::try_from(rows).ok());
                self.desk().most_rows = rows;
                Ok(json!({ "rows": rows }))
            }
            _ => Err(Denied::Unknown(format!("there is no verb {verb:?}"))),
        }
    }
}
