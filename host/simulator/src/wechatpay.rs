//! WeChat Pay in a box: the state behind its API v3, payer pages, notifications and bills.
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
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
mod draft;
mod keys;
mod notice;
mod numbers;
mod orders;
mod payer;
mod refunds;
mod wire;

use keys::Credentials;
use notice::Notice;

/// It repeats after 15 s, 15 s, 30 s, 3 m, 10 m, 20 m, 30 m, 30 m, 30 m, 60 m, 3 h, 3 h, 3 h, 6 h and 6 h; the status decides.
const SCHEDULE: Schedule = Schedule {
    gaps_s: &[
        15, 15, 30, 180, 600, 1_200, 1_800, 1_800, 1_800, 3_600, 10_800, 10_800, 10_800, 21_600,
        21_600,
    ],
    acknowledged: |status, _| matches!(status, 200 | 204),
};

/// One merchant's WeChat Pay.
#[derive(Debug)]
pub struct WechatPay {
    credentials: Credentials,
    base: String,
    till: Till,
    chance: Chance,
    desk: Mutex<Desk>,
}

/// What changes while the box runs, beside the books.
#[derive(Debug, Default)]
struct Desk {
    /// Tokens in codes, pages and prepared orders, and the order of each.
    tickets: HashMap<String, String>,
    /// Tokens of bill links, and the day of each.
    links: HashMap<String, bill::Link>,
    /// What payers used of coupons that the merchant bears, by the merchant's numbers.
    coupons: HashMap<String, Amount>,
}

impl WechatPay {
    /// An empty box, with the keys of a folder or new ones.
    pub fn new(setup: &Setup, keys: Option<&Path>) -> anyhow::Result<WechatPay> {
        Ok(WechatPay {
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

    /// What of a trade is a coupon that the merchant bears.
    fn coupon(&self, trade: &Trade) -> Amount {
        self.desk().coupons.get(&trade.opening.reference).copied().unwrap_or(Amount(0))
    }

    fn fault(&self, operation: &str, reference: Option<&str>) -> Hit {
        self.till.fault(operation, reference)
    }

    fn tell(&self, trade: &Trade, kind: &EventKind) -> anyhow::Result<()> {
        let Some(url) = trade.opening.notify_url.clone() else {
            return Ok(());
        };
        // Of an order that was closed nobody is told.
        let Some(notice) = Notice::of(self, trade, kind) else {
            return Ok(());
        };
        let (reference, now) = (&trade.opening.reference, self.now());
        let hit = self.fault("notify", Some(reference));
        let notice = notice.with_faults(&hit);
        let delivery = Delivery::new(&notice.id, reference, kind, url, notice.seal(self)?);
        self.till.notifier.queue(delivery, &hit, now);
        Ok(())
    }
}

impl Provider for WechatPay {
    const ID: &'static str = "wechatpay";
    const CURRENCY: (&'static str, u8) = ("CNY", 2);
    const ZONE_HOURS: i8 = 8;
    const POINTS: &'static [&'static str] = &[
        "pay",
        "query",
        "close",
        "refund",
        "refund_query",
        "bill",
        "download",
        "certificates",
        "notify",
    ];

    fn till(&self) -> &Till {
        &self.till
    }

    fn wire(self: Arc<WechatPay>) -> Router {
        Router::new()
            .route("/wechatpay/v3/{*path}", any(wire::call))
            .route("/wechatpay/h5/{token}", get(payer::show).post(payer::decide))
            .route("/wechatpay/app/pay", post(payer::app))
            .with_state(self)
    }

    fn accounts(&self) -> Value {
        let own = &self.credentials;
        let account = |name: &str, keys: Value| {
            let mut secrets = json!({
                "merchant-private-key": STANDARD.encode(own.merchant.pkcs8()),
                "api-v3-key": own.api_v3_key,
            });
            for (slot, key) in keys.as_object().into_iter().flatten() {
                secrets[slot] = key.clone();
            }
            json!({
                "plugin": "wechatpay", "name": name, "live": false, "simulator": true,
                "settings": {
                    "appid": own.appid, "mchid": own.mchid, "merchant_serial": own.merchant_serial,
                },
                "secrets": secrets,
                "origins": { "api": self.base, "h5": self.base },
            })
        };
        let public = format!("{}:{}", own.public_key_id, STANDARD.encode(own.public.spki()));
        json!({
            "plugin": "wechatpay",
            "account": account("WeChat Pay (simulator)", json!({ "wechatpay-public-key": public })),
            "certificate_account": account("WeChat Pay (simulator, certificates)", json!({})),
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
        Some(orders::trade_state(trade).to_owned())
    }

    fn pay(&self, reference: &str) -> Result<WayBack, Denied> {
        let now = self.now();
        match self.book().ledger.pay(reference, now) {
            // Nothing leads a payer back who scanned a code or paid in an app.
            Ok(_) | Err(Refusal::AlreadyPaid) => Ok(WayBack::default()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn draft(&self, trade: &Trade, order: &Order) -> Result<Message, Denied> {
        draft::draft(self, trade, order)
    }

    fn planted(&self, reference: String, amount: Amount, at: Timestamp) -> (String, Opening) {
        let opening = Opening {
            reference,
            amount,
            currency: currency::<WechatPay>(),
            subject: "Seeded".to_owned(),
            product: "native".to_owned(),
            echoed: BTreeMap::new(),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(at, SignedDuration::from_hours(24)),
        };
        (numbers::transaction_id(&self.chance, at), opening)
    }

    /// `certificate` `{life_s?}`: the platform signs by a new certificate from now on, which is good for so many seconds; it
    /// hands over all that it had. `coupon` `{reference, value}`: so many yuan of a trade are a coupon of the merchant's own.
    fn special(&self, verb: &str, body: &Value) -> Result<Value, Denied> {
        let life = match &body["life_s"] {
            Value::Null => None,
            given => Some(given.as_u64().ok_or_else(|| Denied::Unfit("life_s: no number".into()))?),
        };
        let life = life.map(Duration::from_secs);
        match verb {
            "certificate" => Ok(json!({ "serial": self.credentials.rotate(life)? })),
            "coupon" => {
                let text = |name: &str| body[name].as_str().unwrap_or_default();
                let book = self.book();
                let trade = book.ledger.get(text("reference")).ok_or(Refusal::UnknownTrade)?;
                let fits = |value: &Amount| (1..trade.opening.amount.0).contains(&value.0);
                let value = Amount::parse(text("value")).filter(fits);
                let value = value.ok_or_else(|| Denied::Unfit("value: not part of it".into()))?;
                self.desk().coupons.insert(text("reference").to_owned(), value);
                Ok(json!({}))
            }
            _ => Err(Denied::Unknown(format!("there is no verb {verb:?}"))),
        }
    }
}

/// Whether money has come in, be it given back since.
fn is_paid(trade: &Trade) -> bool {
    matches!(trade.standing, Standing::Paid | Standing::Finished) || trade.paid_at.is_some()
}
