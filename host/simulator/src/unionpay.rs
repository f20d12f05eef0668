//! UnionPay in a box: the state behind its gateway, payer pages, notifications and settlement files.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::later;
use crate::faults::Hit;
use crate::ledger::{Event, EventKind, Opening, Refusal, Standing, Trade};
use crate::money::Amount;
use crate::notifier::{Delivery, Message, Schedule};
use crate::order::Order;
use crate::provider::{Book, Denied, Provider, Setup, Till, WayBack, currency};

mod bill;
mod card;
mod draft;
mod fields;
mod keys;
mod notice;
mod payer;
mod transactions;
mod wire;

use keys::Credentials;
use notice::Notice;

/// It sends five times, after 1, 2, 4 and 5 minutes; HTTP 200 is taken.
const SCHEDULE: Schedule =
    Schedule { gaps_s: &[60, 120, 240, 300], acknowledged: |status, _| status == 200 };

/// One merchant's UnionPay.
#[derive(Debug)]
pub struct UnionPay {
    credentials: Credentials,
    base: String,
    till: Till,
    chance: Chance,
    desk: Mutex<Desk>,
}

/// What changes while the box runs, beside the books.
#[derive(Debug, Default)]
struct Desk {
    /// Payer page tokens and numbers for apps, and the order of each.
    tickets: HashMap<String, String>,
    /// The time under which each refund was asked for: queries name it.
    refund_times: HashMap<String, String>,
}

impl UnionPay {
    /// An empty box, with the keys of a folder or new ones.
    pub fn new(setup: &Setup, keys: Option<&Path>) -> anyhow::Result<UnionPay> {
        Ok(UnionPay {
            credentials: Credentials::load(keys)?,
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

    fn tell(&self, trade: &Trade, kind: &EventKind) -> anyhow::Result<()> {
        let Some(url) = trade.opening.notify_url.clone() else {
            return Ok(());
        };
        let Some(notice) = Notice::of(self, trade, kind) else {
            return Ok(());
        };
        let (reference, now) = (&trade.opening.reference, self.now());
        let hit = self.fault("notify", Some(reference));
        let notice = notice.with_faults(&hit);
        let id = notice.fields.get("queryId").cloned().unwrap_or_default();
        let delivery = Delivery::new(&id, reference, kind, url, notice.message(self)?);
        self.till.notifier.queue(delivery, &hit, now);
        Ok(())
    }
}

impl Provider for UnionPay {
    const ID: &'static str = "unionpay";
    const CURRENCY: (&'static str, u8) = ("CNY", 2);
    /// The clearing day begins at 23:00 in China, which is midnight an hour further east.
    const ZONE_HOURS: i8 = 9;
    const POINTS: &'static [&'static str] = &[
        "pay",
        "app",
        "query",
        "refund",
        "refund_query",
        "encryption",
        "bill",
        "notify",
        "return",
    ];

    fn till(&self) -> &Till {
        &self.till
    }

    fn wire(self: Arc<UnionPay>) -> Router {
        Router::new()
            .route("/unionpay/gateway/api/frontTransReq.do", post(payer::front))
            .route("/unionpay/gateway/api/appTransReq.do", post(wire::call))
            .route("/unionpay/gateway/api/backTransReq.do", post(wire::call))
            .route("/unionpay/gateway/api/queryTrans.do", post(wire::call))
            .route("/unionpay/", post(wire::call))
            .route("/unionpay/pay/{token}", get(payer::show).post(payer::decide))
            .route("/unionpay/app/pay", post(payer::app))
            .with_state(self)
    }

    fn accounts(&self) -> Value {
        let own = &self.credentials;
        json!({
            "plugin": "unionpay",
            "account": {
                "plugin": "unionpay", "name": "UnionPay (simulator)",
                "live": false, "simulator": true,
                "settings": { "mer_id": own.mer_id },
                "secrets": {
                    "merchant-private-key": STANDARD.encode(own.merchant.pkcs8()),
                    "merchant-certificate": own.merchant_pem,
                    "unionpay-encryption": own.sealing().first().map(|it| it.pem.clone()),
                    "unionpay-root": format!("{}{}", own.root_pem, own.middle_pem),
                },
                "origins": { "gateway": self.base, "file": self.base },
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
        told.iter().try_for_each(|(trade, kind)| self.tell(trade, kind))
    }

    fn status(&self, trade: &Trade) -> Option<String> {
        let code = match trade.standing {
            _ if trade.paid_at.is_some() => "00",
            Standing::Closed => "34",
            _ => return None,
        };
        Some(code.to_owned())
    }

    fn pay(&self, reference: &str) -> Result<WayBack, Denied> {
        let trade = match self.book().ledger.pay(reference, self.now()) {
            Ok(trade) => Some(trade.clone()),
            Err(Refusal::AlreadyPaid) => None,
            Err(refusal) => return Err(refusal.into()),
        };
        let trade = match trade {
            Some(trade) => trade,
            None => self.book().ledger.get(reference).cloned().ok_or(Refusal::UnknownTrade)?,
        };
        Ok(notice::way_back(self, &trade)?)
    }

    fn draft(&self, trade: &Trade, order: &Order) -> Result<Message, Denied> {
        draft::draft(self, trade, order)
    }

    fn planted(&self, reference: String, amount: Amount, at: Timestamp) -> (String, Opening) {
        let opening = Opening {
            reference,
            amount,
            currency: currency::<UnionPay>(),
            subject: "Seeded".to_owned(),
            product: "page".to_owned(),
            echoed: BTreeMap::from([("txnTime".to_owned(), fields::compact(at))]),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(at, SignedDuration::from_hours(24)),
        };
        (fields::query_id(&self.chance, at), opening)
    }

    /// `encryption`: cards are sealed to a new certificate from now on.
    fn special(&self, verb: &str, _body: &Value) -> Result<Value, Denied> {
        match verb {
            "encryption" => Ok(json!({ "serial": self.credentials.renew_sealing()? })),
            _ => Err(Denied::Unknown(format!("there is no verb {verb:?}"))),
        }
    }
}
