//! What every provider in a box has, and what only it can say of itself.
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use serde_json::Value;

use crate::bill_edit::Edit;
use crate::clock::Clock;
use crate::faults::{Faults, Hit};
use crate::ledger::{Ledger, Opening, Refusal, Trade};
use crate::money::{Amount, Currency};
use crate::notifier::{Message, Notifier, Schedule};
use crate::order::Order;

/// How a box is set up, whoever's it is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Address under which the box is reached, without a slash at the end: `http://127.0.0.1:PORT/ID`.
    pub base: String,
    /// Seed of all numbers and tokens.
    pub seed: u64,
    /// How many times faster than real the notification schedule runs.
    pub time_scale: u64,
    /// Whether the bill of any day, today included, is ready.
    pub bill_ready_at_once: bool,
    /// The one clock.
    pub clock: Arc<Clock>,
}

/// What every box keeps: books, faults in force, notifications on their way.
#[derive(Debug)]
pub struct Till {
    /// The one clock.
    pub clock: Arc<Clock>,
    /// The sender of notifications.
    pub notifier: Notifier,
    book: Mutex<Book>,
    faults: Mutex<Faults>,
}

/// What changes while a box runs, and every box has.
#[derive(Debug)]
pub struct Book {
    /// Trades and refunds.
    pub ledger: Ledger,
    /// How often each call was made.
    pub calls: Calls,
    /// Differences planted in bills.
    pub edits: Vec<Edit>,
    /// Whether the bill of any day that has begun is ready.
    pub bill_ready_at_once: bool,
}

/// How often each call was made, in all and for each trade.
#[derive(Debug, Default)]
pub struct Calls {
    all: BTreeMap<String, u64>,
    by_trade: HashMap<String, BTreeMap<String, u64>>,
}

impl Calls {
    /// Counts a call by its name, and for the trade that it names.
    pub fn count(&mut self, name: &str, reference: Option<&str>) {
        *self.all.entry(name.to_owned()).or_default() += 1;
        if let Some(reference) = reference {
            let counts = self.by_trade.entry(reference.to_owned()).or_default();
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// The counts of one trade, or of all calls.
    pub fn of(&self, reference: Option<&str>) -> BTreeMap<String, u64> {
        match reference {
            None => self.all.clone(),
            Some(reference) => self.by_trade.get(reference).cloned().unwrap_or_default(),
        }
    }
}

impl Till {
    /// Empty books, and a sender with the provider's schedule.
    pub fn new(setup: &Setup, schedule: Schedule) -> anyhow::Result<Till> {
        let book = Book {
            ledger: Ledger::default(),
            calls: Calls::default(),
            edits: Vec::new(),
            bill_ready_at_once: setup.bill_ready_at_once,
        };
        Ok(Till {
            clock: Arc::clone(&setup.clock),
            notifier: Notifier::new(schedule, setup.time_scale)?,
            book: Mutex::new(book),
            faults: Mutex::new(Faults::default()),
        })
    }

    /// The books. Who needs a box's own state too takes the books first.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules in force.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one use of each rule that fits this call about this trade.
    pub fn fault(&self, operation: &str, reference: Option<&str>) -> Hit {
        self.faults().take(operation, reference)
    }

    /// The time of the books.
    pub fn now(&self) -> Timestamp {
        self.clock.of_books()
    }
}

/// Where a payer's browser goes after paying: an address, or a form that it posts there.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WayBack {
    /// The address; none where the provider sends nobody back.
    #[serde(rename = "return_to")]
    pub url: Option<String>,
    /// The fields to post there; none: the browser follows the address.
    #[serde(rename = "return_form", skip_serializing_if = "Option::is_none")]
    pub form: Option<Vec<(String, String)>>,
}

/// Why a verb of the control API is not done.
#[derive(Debug)]
pub enum Denied {
    /// There is nothing by that name.
    Unknown(String),
    /// What was asked for does not fit where things stand.
    Conflict(String),
    /// A member has no such value.
    Unfit(String),
    /// The simulator itself failed.
    Failed(String),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Denied {
        match refusal {
            Refusal::UnknownTrade => Denied::Unknown(refusal.to_string()),
            other => Denied::Conflict(other.to_string()),
        }
    }
}

impl From<anyhow::Error> for Denied {
    fn from(error: anyhow::Error) -> Denied {
        Denied::Failed(format!("{error:#}"))
    }
}

/// A provider in a box. The control API in front of it is the same for all.
pub trait Provider: Send + Sync + Sized + 'static {
    /// The plugin that speaks with it; its addresses are `/ID/...` and `/control/ID/...`.
    const ID: &'static str;
    /// Its currency where nothing else is said.
    const CURRENCY: (&'static str, u8);
    /// Hours between UTC and the zone in which its days begin.
    const ZONE_HOURS: i8;
    /// Where faults can be put, `any` apart.
    const POINTS: &'static [&'static str];

    /// What every box keeps.
    fn till(&self) -> &Till;

    /// What the provider's own protocol is served from.
    fn wire(self: Arc<Self>) -> Router;

    /// How a gateway signs up this merchant: `plugin`, and bodies of `POST /v1/accounts`, `account` before others.
    fn accounts(&self) -> Value;

    /// Turns what the ledger noted into notifications. Called after each thing that was done.
    fn publish(&self) -> anyhow::Result<()>;

    /// The wire's word for where a trade stands; none while the provider denies that it exists.
    fn status(&self, trade: &Trade) -> Option<String>;

    /// The payer pays without a browser, and would go where the answer says. A trade that is paid already is fine.
    fn pay(&self, reference: &str) -> Result<WayBack, Denied>;

    /// An act of this provider's own beyond `open`, `pay`, `cancel`, `close` and `finish`.
    fn act(&self, _reference: &str, act: &str) -> Result<(), Denied> {
        Err(Denied::Unknown(format!("there is no act {act:?}")))
    }

    /// Where notifications of a trade go: as it was asked for with the trade, unless that is set for the whole account.
    fn notify_url(&self, trade: &Trade) -> Option<String> {
        trade.opening.notify_url.clone()
    }

    /// A notification on demand, of a kind that the order names.
    fn draft(&self, trade: &Trade, order: &Order) -> Result<Message, Denied>;

    /// A trade that is planted as paid at `at`: the provider's number of it, and what was asked.
    fn planted(&self, reference: String, amount: Amount, at: Timestamp) -> (String, Opening);

    /// Rows that are in bills only, from the first moment of a day on.
    fn plant_rows(
        &self,
        _from: Timestamp,
        _count: u64,
        _prefix: String,
        _amount: Amount,
    ) -> Result<(), Denied> {
        Err(Denied::Unfit("count: this provider's bills hold the ledger's rows alone".to_owned()))
    }

    /// A verb of this provider's own: `POST /control/ID/special/{verb}`.
    fn special(&self, verb: &str, _body: &Value) -> Result<Value, Denied> {
        Err(Denied::Unknown(format!("there is no verb {verb:?}")))
    }
}

/// Its currency where nothing else is said.
pub fn currency<P: Provider>() -> Currency {
    Currency { code: P::CURRENCY.0.to_owned(), exponent: P::CURRENCY.1 }
}

/// The zone in which its days begin, without daylight saving.
pub fn zone<P: Provider>() -> TimeZone {
    TimeZone::fixed(Offset::constant(P::ZONE_HOURS))
}

/// The first moment of a day.
pub fn start_of<P: Provider>(day: Date) -> Timestamp {
    day.to_zoned(zone::<P>()).map(|zoned| zoned.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}
