//! Alipay in a box: the state behind its gateway, payer pages, notifications and bills.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::routing::{get, post};
use jiff::Timestamp;
use serde_json::json;

use crate::clock::Clock;
use crate::faults::{Faults, Hit};
use crate::ledger::{EventKind, Ledger, Trade};

pub mod bill;
pub mod bill_edit;
pub mod canonical;
mod certificates;
mod chance;
mod control;
mod download;
mod gateway;
pub mod keys;
pub mod notice;
mod notifier;
mod pay;
mod payer;
mod refund;
mod reply;
mod request;
mod seed;
mod trade;

use bill_edit::Edit;
use chance::Chance;
use download::Link;
use keys::Credentials;
use notice::{Notice, Truth};
use notifier::{Delivery, Notifier};
use seed::Block;

/// How the box is set up.
#[derive(Debug)]
pub struct Setup {
    /// Who signs what.
    pub credentials: Credentials,
    /// Address under which the box is reached, without a slash at the end.
    pub base: String,
    /// Seed of all numbers and tokens.
    pub seed: u64,
    /// How many times faster than real the notification schedule runs.
    pub time_scale: u64,
    /// Whether the bill of any day, today included, is ready.
    pub bill_ready_at_once: bool,
}

/// One merchant's Alipay.
#[derive(Debug)]
pub struct Alipay {
    credentials: Credentials,
    clock: Arc<Clock>,
    base: String,
    book: Mutex<Book>,
    faults: Mutex<Faults>,
    notifier: Notifier,
}

/// What changes while the box runs.
#[derive(Debug)]
struct Book {
    ledger: Ledger,
    chance: Chance,
    /// Payer page tokens and the trade that each shows.
    tickets: HashMap<String, String>,
    links: HashMap<String, Link>,
    edits: Vec<Edit>,
    blocks: Vec<Block>,
    calls: Calls,
    bill_ready_at_once: bool,
}

/// How often each API was called, in all and for each trade.
#[derive(Debug, Default)]
struct Calls {
    all: BTreeMap<String, u64>,
    by_trade: HashMap<String, BTreeMap<String, u64>>,
}

impl Calls {
    fn count(&mut self, method: &str, reference: Option<&str>) {
        *self.all.entry(method.to_owned()).or_default() += 1;
        if let Some(reference) = reference {
            let counts = self.by_trade.entry(reference.to_owned()).or_default();
            *counts.entry(method.to_owned()).or_default() += 1;
        }
    }
}

impl Alipay {
    /// An empty box.
    pub fn new(setup: Setup, clock: Arc<Clock>) -> anyhow::Result<Alipay> {
        Ok(Alipay {
            credentials: setup.credentials,
            clock,
            base: setup.base,
            book: Mutex::new(Book {
                ledger: Ledger::default(),
                chance: Chance::new(setup.seed),
                tickets: HashMap::new(),
                links: HashMap::new(),
                edits: Vec::new(),
                blocks: Vec::new(),
                calls: Calls::default(),
                bill_ready_at_once: setup.bill_ready_at_once,
            }),
            faults: Mutex::new(Faults::default()),
            notifier: Notifier::new(setup.time_scale).context("notification sender")?,
        })
    }

    /// The routes of the box, `/alipay/...` and `/control/alipay/...`.
    pub fn routes(self: &Arc<Alipay>) -> Router {
        Router::new()
            .route("/alipay/gateway.do", get(gateway::call).post(gateway::call))
            .route("/alipay/pay/{token}", get(payer::show).post(payer::decide))
            .route("/alipay/qr/{token}", get(payer::show))
            .route("/alipay/app/pay", post(payer::app))
            .route("/alipay/download/{token}", get(download::file))
            .merge(control::routes())
            .with_state(Arc::clone(self))
    }

    /// Sends due notifications until it is dropped.
    pub async fn run(self: Arc<Alipay>) {
        self.notifier.run(&self.clock).await;
    }

    /// How a gateway signs up this merchant: bodies of `POST /v1/accounts`.
    pub fn provider(&self) -> serde_json::Value {
        use base64::Engine as _;
        let text = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
        let settings =
            json!({ "app_id": self.credentials.app_id, "seller_id": self.credentials.seller_id });
        let origins = json!({ "gateway": self.base, "bill": self.base });
        let account = |name: &str, secrets: serde_json::Value| {
            json!({
                "plugin": "alipay", "name": name, "live": false, "simulator": true,
                "settings": settings, "secrets": secrets, "origins": origins,
            })
        };
        let key = text(self.credentials.merchant.pkcs8());
        let certificates = &self.credentials.certificates;
        json!({
            "plugin": "alipay",
            "account": account("Alipay (simulator)", json!({
                "app-private-key": key,
                "alipay-public-key": text(self.credentials.provider.spki()),
            })),
            "certificate_account": account("Alipay (simulator, certificates)", json!({
                "app-private-key": key,
                "app-certificate": certificates.merchant_pem,
                "alipay-certificate": certificates.provider_pem,
                "alipay-root": certificates.root_pem,
            })),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn fault(&self, operation: &str, reference: Option<&str>) -> Hit {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).take(operation, reference)
    }

    /// Turns what the ledger noted into notifications. Called after each thing that was done.
    fn publish(&self) -> anyhow::Result<()> {
        let now = self.now();
        let mut book = self.book();
        let mut told = Vec::new();
        for event in book.ledger.take_events() {
            let Some(trade) = book.ledger.get(&event.reference).cloned() else {
                continue;
            };
            let notify_id = book.chance.notify_id(now);
            told.push((trade, event.kind, notify_id));
        }
        drop(book);
        for (trade, kind, notify_id) in told {
            self.tell(&trade, &kind, notify_id, now)?;
        }
        Ok(())
    }

    fn tell(
        &self,
        trade: &Trade,
        kind: &EventKind,
        notify_id: String,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let Some(url) = trade.opening.notify_url.clone() else {
            return Ok(());
        };
        let hit = self.fault("notify", Some(&trade.opening.reference));
        let truth = Truth { trade, kind, credentials: &self.credentials, notify_id, now };
        let notice = Notice::of(&truth).with_faults(&hit);
        let sealed = notice.seal(&self.credentials)?;
        let delivery = Delivery::new(trade, kind, &truth.notify_id, url, sealed);
        self.notifier.queue(delivery, &hit, now);
        Ok(())
    }
}
