//! Alipay in a box: the state behind its gateway, payer pages, notifications and bills.
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::clock::later;
use crate::faults::Hit;
use crate::ledger::{EventKind, Opening, Trade};
use crate::money::Amount;
use crate::notifier::{Delivery, Message, Schedule};
use crate::order::Order;
use crate::provider::{Book, Denied, Provider, Setup, Till, WayBack, currency};

pub mod bill;
pub mod canonical;
mod certificates;
mod download;
mod draft;
mod gateway;
pub mod keys;
pub mod notice;
mod numbers;
mod pay;
mod payer;
mod refund;
mod reply;
mod request;
mod seed;
mod trade;

use certificates::Rotation;
use download::Link;
use keys::Credentials;
use notice::{CONTENT_TYPE, Notice, Truth, trade_status};
use seed::Block;

/// It repeats after 4 m, 10 m, 10 m, 1 h, 2 h, 6 h and 15 h, until it hears exactly `success`.
const SCHEDULE: Schedule = Schedule {
    gaps_s: &[240, 600, 600, 3_600, 7_200, 21_600, 54_000],
    acknowledged: |status, body| status == 200 && body == "success",
};

/// One merchant's Alipay.
#[derive(Debug)]
pub struct Alipay {
    credentials: Credentials,
    base: String,
    till: Till,
    chance: Chance,
    desk: Mutex<Desk>,
}

/// What changes while the box runs, beside the books.
#[derive(Debug, Default)]
struct Desk {
    /// Payer page tokens and the trade that each shows.
    tickets: HashMap<String, String>,
    links: HashMap<String, Link>,
    blocks: Vec<Block>,
}

impl Alipay {
    /// An empty box, with the keys of a folder or new ones.
    pub fn new(setup: &Setup, keys: Option<&Path>) -> anyhow::Result<Alipay> {
        Ok(Alipay {
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

    fn tell(&self, trade: &Trade, kind: &EventKind, now: Timestamp) -> anyhow::Result<()> {
        let Some(url) = trade.opening.notify_url.clone() else {
            return Ok(());
        };
        let reference = &trade.opening.reference;
        let hit = self.fault("notify", Some(reference));
        let notify_id = numbers::notify_id(&self.chance, now);
        let truth = Truth { trade, kind, credentials: &self.credentials, notify_id, now };
        let sealed = Notice::of(&truth).with_faults(&hit).seal(&self.credentials)?;
        let delivery = Delivery::new(&truth.notify_id, reference, kind, url, form(sealed));
        self.till.notifier.queue(delivery, &hit, now);
        Ok(())
    }
}

/// A form as it is posted.
fn form(body: String) -> Message {
    Message { headers: vec![("content-type".to_owned(), CONTENT_TYPE.to_owned())], body }
}

impl Provider for Alipay {
    const ID: &'static str = "alipay";
    const CURRENCY: (&'static str, u8) = ("CNY", 2);
    const ZONE_HOURS: i8 = 8;
    const POINTS: &'static [&'static str] = &[
        "pay",
        "app",
        "app_result",
        "precreate",
        "query",
        "close",
        "cancel",
        "refund",
        "refund_query",
        "bill",
        "certificate",
        "download",
        "notify",
        "return",
    ];

    fn till(&self) -> &Till {
        &self.till
    }

    fn wire(self: Arc<Alipay>) -> Router {
        Router::new()
            .route("/alipay/gateway.do", get(gateway::call).post(gateway::call))
            .route("/alipay/pay/{token}", get(payer::show).post(payer::decide))
            .route("/alipay/qr/{token}", get(payer::show))
            .route("/alipay/app/pay", post(payer::app))
            .route("/alipay/download/{token}", get(download::file))
            .with_state(self)
    }

    fn accounts(&self) -> Value {
        let settings =
            json!({ "app_id": self.credentials.app_id, "seller_id": self.credentials.seller_id });
        let origins = json!({ "gateway": self.base, "bill": self.base });
        let account = |name: &str, secrets: Value| {
            json!({
                "plugin": "alipay", "name": name, "live": false, "simulator": true,
                "settings": settings, "secrets": secrets, "origins": origins,
            })
        };
        let key = STANDARD.encode(self.credentials.merchant.pkcs8());
        let certificates = &self.credentials.certificates;
        json!({
            "plugin": "alipay",
            "account": account("Alipay (simulator)", json!({
                "app-private-key": key,
                "alipay-public-key": STANDARD.encode(self.credentials.provider.spki()),
            })),
            "certificate_account": account("Alipay (simulator, certificates)", json!({
                "app-private-key": key,
                "app-certificate": certificates.merchant_pem,
                "alipay-certificate": certificates.provider_pem,
                "alipay-root": certificates.root_pem,
            })),
        })
    }

    fn publish(&self) -> anyhow::Result<()> {
        let now = self.now();
        let told: Vec<(Trade, EventKind)> = {
            let mut book = self.book();
            let events = book.ledger.take_events();
            let known = |event: crate::ledger::Event| {
                Some((book.ledger.get(&event.reference)?.clone(), event.kind))
            };
            events.into_iter().filter_map(known).collect()
        };
        told.iter().try_for_each(|(trade, kind)| self.tell(trade, kind, now))
    }

    fn status(&self, trade: &Trade) -> Option<String> {
        trade.opened_at.map(|_| trade_status(trade.standing).to_owned())
    }

    fn pay(&self, reference: &str) -> Result<WayBack, Denied> {
        let (_, url) = payer::paid(self, reference).map_err(|error| match error.sub_code {
            code if code == "ACQ.TRADE_NOT_EXIST" => Denied::Unknown(code),
            code => Denied::Conflict(code),
        })?;
        Ok(WayBack { url, form: None })
    }

    fn draft(&self, trade: &Trade, order: &Order) -> Result<Message, Denied> {
        draft::draft(self, trade, order)
    }

    fn planted(&self, reference: String, amount: Amount, at: Timestamp) -> (String, Opening) {
        let opening = Opening {
            reference,
            amount,
            currency: currency::<Alipay>(),
            subject: "Seeded".to_owned(),
            product: "alipay.trade.page.pay".to_owned(),
            echoed: std::collections::BTreeMap::new(),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(at, SignedDuration::from_hours(24)),
        };
        (numbers::trade_no(&self.chance, at), opening)
    }

    fn plant_rows(
        &self,
        from: Timestamp,
        count: u64,
        prefix: String,
        amount: Amount,
    ) -> Result<(), Denied> {
        self.desk().blocks.push(Block { from, count, prefix, amount });
        Ok(())
    }

    /// `certificate` `{kind}`: the provider signs with another key from now on.
    fn special(&self, verb: &str, body: &Value) -> Result<Value, Denied> {
        if verb != "certificate" {
            return Err(Denied::Unknown(format!("there is no verb {verb:?}")));
        }
        let kind = Rotation::deserialize(&body["kind"])
            .map_err(|error| Denied::Unfit(format!("kind: {error}")))?;
        match self.credentials.rotate(kind) {
            Ok(serial) => Ok(json!({ "alipay_cert_sn": serial })),
            Err(error) => Err(Denied::Conflict(error.to_string())),
        }
    }
}
