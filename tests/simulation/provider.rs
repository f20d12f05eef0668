//! The scripted provider: a ledger with a truth of its own, which it tells late, twice, out of order, or not at all.
//!
//! What it says in answer to a question, signed, is true as far as its books go; those may lag behind the money. What
//! it pushes may be anything.

pub mod bills;
pub mod elsewhere;
pub mod notices;
pub mod simulated;
pub mod trade;

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tollgate_domain::time::Moment;
use tollgate_plugin::Outgoing;
use tollgate_plugin::contract::HttpResponse;
use tollgate_sdk::form::{self, Form};

use self::bills::{BillWhims, Statement};
use self::notices::Outbox;
use self::simulated::Simulated;
use self::trade::{Back, BackState, Trade, TradeState};
use crate::time::Time;

/// The header that signatures are in.
pub const SIGNATURE: &str = "signature";

/// A shop at the provider, and the two keys that it shares with it.
#[derive(Clone, Copy, Debug)]
pub struct Shop {
    /// Its name there.
    pub name: &'static str,
    /// What the shop signs with.
    pub ours: &'static str,
    /// What the provider signs with.
    pub theirs: &'static str,
}

/// The shops: one a merchant.
pub const SHOPS: [Shop; 2] = [
    Shop {
        name: "shop-1",
        ours: "first shop's own key ....",
        theirs: "key for the first shop ...",
    },
    Shop {
        name: "shop-2",
        ours: "second shop's own key ...",
        theirs: "key for the second shop ..",
    },
];

/// A keyed hash in base64.
pub fn sign(key: &[u8], body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), body);
    STANDARD.encode(tag.as_ref())
}

/// How a provider behaves in a seed: how often, out of a hundred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Whims {
    /// It declines a payment.
    pub declines: u32,
    /// It refuses a refund.
    pub refuses: u32,
    /// It takes a refund and decides later.
    pub ponders: u32,
    /// Its books show something only after a while.
    pub lags: u32,
    /// A notice is not sent at all.
    pub silent: u32,
    /// An answer to a question, signed, of another amount (18).
    pub misstates: u32,
    /// An error of its own, behind which a call was done or not, of a simulator that has idempotency keys.
    pub errs: u32,
    /// How it goes with bills.
    pub bills: BillWhims,
}

/// A call to the provider.
#[derive(Clone, Debug)]
pub struct Call {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Call {
    fn of(outgoing: &Outgoing) -> Call {
        let Outgoing { method, url, headers, body, .. } = outgoing;
        let (method, url) = (method.clone(), url.clone());
        Call { method, url, headers: headers.clone(), body: body.clone() }
    }

    fn path(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }
}

/// The provider.
pub struct Provider {
    /// Every trade, by the reference that the shop gave it.
    pub trades: BTreeMap<String, Trade>,
    /// What it is about to push.
    pub outbox: Outbox,
    /// The references that it was called about since they were last looked at, with the path.
    pub heard: Vec<(String, String)>,
    /// How it behaves.
    pub whims: Whims,
    /// Whether its rules are the other ones: see [`crate::ground::Which`].
    pub is_stern: bool,
    /// Whether the sum that went back of a payment, in answer to a question, counts what is not decided yet.
    pub counts_pending: bool,
    /// A simulator, where it is the provider; what it knows is copied to `trades`.
    pub simulated: Option<Simulated>,
    /// The accounts at our side, in the order of the shops.
    accounts: Vec<String>,
    /// The bills that were drawn up, by shop and day.
    statements: BTreeMap<(usize, String), Statement>,
    /// In which day's bill each thing is that moved.
    placed: BTreeMap<String, String>,
    /// How many rows of bills are wrong on purpose, out of a hundred.
    pub flaws: u32,
    under_way: Vec<(Moment, Call)>,
    chance: StdRng,
    time: Time,
}

impl Provider {
    /// An empty ledger.
    pub fn new(
        seed: u64,
        whims: Whims,
        time: Time,
        (simulated, accounts): (Option<Simulated>, Vec<String>),
    ) -> Provider {
        Provider {
            trades: BTreeMap::new(),
            outbox: Outbox::default(),
            heard: Vec::new(),
            whims,
            is_stern: false,
            counts_pending: false,
            simulated,
            accounts,
            statements: BTreeMap::new(),
            placed: BTreeMap::new(),
            flaws: 0,
            under_way: Vec::new(),
            chance: StdRng::seed_from_u64(seed),
            time,
        }
    }

    fn happens(&mut self, percent: u32) -> bool {
        self.chance.random_range(0..100) < percent
    }

    /// When the books will show what happens now.
    fn visible_from(&mut self) -> Moment {
        let now = self.time.now();
        if self.happens(self.whims.lags) {
            now.plus_millis(self.chance.random_range(1_000..60_000))
        } else {
            now
        }
    }

    /// Takes a call that arrives later than its sender waits.
    pub fn put_off(&mut self, outgoing: &Outgoing) {
        let due = self.time.now().plus_millis(self.chance.random_range(1_000..120_000));
        self.under_way.push((due, Call::of(outgoing)));
    }

    /// Lets calls arrive whose time has come. Nobody hears the answers.
    pub fn arrivals(&mut self) {
        let now = self.time.now();
        let (due, later): (Vec<_>, Vec<_>) =
            self.under_way.drain(..).partition(|(due, _)| *due <= now);
        self.under_way = later;
        for (_, call) in due {
            self.answer(&call);
        }
    }

    /// When the next call arrives that is under way.
    pub fn next_arrival(&self) -> Option<Moment> {
        self.under_way.iter().map(|(due, _)| *due).min()
    }

    /// Answers a call.
    pub fn serve(&mut self, outgoing: &Outgoing) -> HttpResponse {
        self.answer(&Call::of(outgoing))
    }

    fn answer(&mut self, call: &Call) -> HttpResponse {
        let errs = self.simulated.as_ref().is_some_and(Simulated::has_keys);
        let error = errs && self.happens(self.whims.errs);
        let error = error.then(|| self.happens(50));
        if let Some(simulated) = &mut self.simulated {
            let answer = simulated.serve(call, error);
            self.copy(call.path());
            return answer;
        }
        let signature = call.headers.iter().find(|(name, _)| name == SIGNATURE);
        let form = accepted(&call.body).filter(|form| {
            let shop = shop_of(form);
            let wanted = shop.map(|shop| sign(shop.ours.as_bytes(), &call.body));
            wanted.is_some() && wanted.as_ref() == signature.map(|(_, value)| value)
        });
        let Some(form) = form else {
            return HttpResponse { status: 401, headers: Vec::new(), body: Vec::new() };
        };
        let theirs = shop_of(&form).map_or("", |shop| shop.theirs);
        let body = match (call.path(), form.filled("shop"), form.filled("day")) {
            ("bill", Some(shop), Some(day)) => self.bill(shop, day),
            (path, ..) => encode(&self.act(path, &form)).into_bytes(),
        };
        let headers = vec![(SIGNATURE.to_owned(), sign(theirs.as_bytes(), &body))];
        HttpResponse { status: 200, headers, body }
    }

    fn act(&mut self, path: &str, form: &Form) -> Pairs {
        self.expire();
        let reference = form.filled("ref").unwrap_or_default().to_owned();
        self.heard.push((path.to_owned(), reference.clone()));
        let mut pairs = match path {
            "pay" => self.pay(&reference, form),
            "query" => self.query(&reference),
            "close" => self.close(&reference),
            "take" => self.take(&reference),
            "refund" => self.refund(&reference, form),
            _ => self.refund_query(&reference, form.filled("refund").unwrap_or_default()),
        };
        pairs.push(("shop", form.filled("shop").unwrap_or_default().to_owned()));
        pairs
    }

    fn pay(&mut self, reference: &str, form: &Form) -> Pairs {
        if !self.trades.contains_key(reference) {
            let number = |name: &str| form.filled(name).and_then(|text| text.parse().ok());
            let expires = Moment::from_millis(number("expires").unwrap_or(0));
            let mut state = TradeState::Waiting;
            if self.happens(self.whims.declines) {
                state = TradeState::Failed;
            } else if expires <= self.time.now() {
                state = TradeState::Closed;
            }
            let trade = Trade {
                shop: form.filled("shop").unwrap_or_default().to_owned(),
                there: format!("T{:010}", self.trades.len()),
                amount: number("amount").unwrap_or(0),
                state,
                expires,
                seen_from: self.visible_from(),
                paid_at: None,
                paid_seen_from: self.time.now(),
                said_over: false,
                backs: BTreeMap::new(),
                reversed_at: None,
                contest: None,
            };
            self.trades.insert(reference.to_owned(), trade);
        }
        let Some(trade) = self.trades.get_mut(reference) else { return Vec::new() };
        let mut pairs = trade.tell(reference, self.time.now());
        if trade.state == TradeState::Waiting {
            pairs.push(("page", format!("https://provider.invalid/page/{reference}")));
        }
        pairs
    }

    fn query(&mut self, reference: &str) -> Pairs {
        let now = self.time.now();
        let misstates = self.happens(self.whims.misstates);
        let counts_pending = self.counts_pending;
        match self.trades.get_mut(reference).filter(|trade| trade.seen_from <= now) {
            Some(trade) => {
                let mut pairs = trade.tell(reference, now);
                if counts_pending {
                    notices::put(&mut pairs, "refunded", trade.asked_back().to_string());
                }
                if misstates {
                    notices::put(&mut pairs, "amount", (trade.amount - 1).to_string());
                }
                pairs
            }
            None => absent(reference),
        }
    }

    fn close(&mut self, reference: &str) -> Pairs {
        let now = self.time.now();
        match self.trades.get_mut(reference) {
            Some(trade) => {
                if trade.state == TradeState::Waiting {
                    trade.state = TradeState::Closed;
                }
                trade.tell(reference, now)
            }
            None => absent(reference),
        }
    }

    fn refund(&mut self, reference: &str, form: &Form) -> Pairs {
        let now = self.time.now();
        let ours = form.filled("refund").unwrap_or_default().to_owned();
        let amount: i64 = form.filled("amount").and_then(|text| text.parse().ok()).unwrap_or(0);
        let (refused, ponders) =
            (self.happens(self.whims.refuses), self.happens(self.whims.ponders));
        let (seen_from, pause) = (self.visible_from(), self.chance.random_range(1_000..600_000));
        let Some(trade) = self.trades.get_mut(reference) else { return absent(reference) };
        if !trade.backs.contains_key(&ours) {
            let fits = trade.state == TradeState::Paid && trade.left() >= amount;
            let (state, settles_at) = match (refused || !fits, ponders) {
                (true, false) => (BackState::Failed, now),
                (false, false) => (BackState::Done, now),
                // What does not fit is refused, whenever.
                (_, true) => (BackState::Pending, now.plus_millis(pause)),
            };
            let there = format!("{}-{}", trade.there, trade.backs.len());
            let back = Back {
                amount,
                state,
                there,
                seen_from,
                settles_at,
                refused: refused || !fits,
                done_at: (state == BackState::Done).then_some(now),
                made_there: false,
            };
            trade.backs.insert(ours.clone(), back);
            if state != BackState::Pending {
                self.announce_back(reference, &ours);
            }
        }
        self.tell_back(reference, &ours)
    }

    fn refund_query(&mut self, reference: &str, ours: &str) -> Pairs {
        let now = self.time.now();
        let back = self.trades.get(reference).and_then(|trade| trade.backs.get(ours));
        if back.is_some_and(|back| back.seen_from <= now) {
            self.tell_back(reference, ours)
        } else {
            let mut pairs = absent(reference);
            pairs.push(("refund", ours.to_owned()));
            pairs
        }
    }

    fn tell_back(&self, reference: &str, ours: &str) -> Pairs {
        let back = self.trades.get(reference).and_then(|trade| trade.backs.get(ours));
        back.map_or_else(|| absent(reference), |back| back.tell(reference, ours))
    }

    /// Closes trades whose time is over.
    pub fn expire(&mut self) {
        let now = self.time.now();
        for trade in self.trades.values_mut() {
            if trade.state.is_open() && trade.expires <= now {
                trade.state = TradeState::Closed;
            }
        }
    }

    /// A payer goes where the gateway sent him, and pays or not.
    pub fn payer_browses(&mut self, reference: &str, action: &serde_json::Value, pays: bool) {
        let Some(simulated) = &mut self.simulated else { return };
        simulated.browse(action);
        simulated.act(reference, if pays { "pay" } else { "open" });
        self.copy("the payer's page");
    }

    /// A payer pays. False: it cannot be paid any more.
    pub fn payer_pays(&mut self, reference: &str) -> bool {
        self.expire();
        let (now, seen_from) = (self.time.now(), self.visible_from());
        let Some(trade) = self.trades.get_mut(reference) else { return false };
        if trade.state != TradeState::Waiting {
            return false;
        }
        if self.is_stern {
            trade.state = TradeState::Approved;
        } else {
            trade.state = TradeState::Paid;
            trade.paid_at = Some(now);
            trade.paid_seen_from = seen_from;
        }
        self.announce_trade(reference);
        true
    }

    /// Takes what the payer approved.
    fn take(&mut self, reference: &str) -> Pairs {
        let (now, seen_from) = (self.time.now(), self.visible_from());
        let Some(trade) = self.trades.get_mut(reference) else { return absent(reference) };
        if trade.state == TradeState::Approved {
            trade.state = TradeState::Paid;
            trade.paid_at = Some(now);
            trade.paid_seen_from = seen_from;
            self.announce_trade(reference);
        }
        let Some(trade) = self.trades.get_mut(reference) else { return absent(reference) };
        trade.tell(reference, now)
    }

    /// A payment breaks down while it is made: it cannot be paid any more.
    pub fn payer_fails(&mut self, reference: &str) {
        if let Some(trade) = self.trades.get_mut(reference)
            && trade.state == TradeState::Waiting
        {
            trade.state = TradeState::Failed;
            self.announce_trade(reference);
        }
    }

    /// Decides about refunds whose time has come.
    pub fn settle(&mut self) {
        let now = self.time.now();
        let mut settled = Vec::new();
        for (reference, trade) in &mut self.trades {
            for (ours, back) in &mut trade.backs {
                if back.state == BackState::Pending && back.settles_at <= now {
                    back.state = if back.refused { BackState::Failed } else { BackState::Done };
                    back.done_at = (!back.refused).then_some(back.settles_at);
                    settled.push((reference.clone(), ours.clone()));
                }
            }
        }
        for (reference, ours) in settled {
            self.announce_back(&reference, &ours);
        }
    }

    /// When the next refund is decided.
    pub fn next_settling(&self) -> Option<Moment> {
        let backs = self.trades.values().flat_map(|trade| trade.backs.values());
        let open = backs.filter(|back| back.state == BackState::Pending);
        open.map(|back| back.settles_at).min()
    }

    /// When the next trade can no longer be paid.
    pub fn next_expiry(&self) -> Option<Moment> {
        let trades = self.trades.values().filter(|trade| trade.state.is_open());
        trades.map(|trade| trade.expires).min()
    }
}

/// Names and values.
pub type Pairs = Vec<(&'static str, String)>;

/// As a form.
pub fn encode(pairs: &Pairs) -> String {
    form::encode(pairs.iter().map(|(name, value)| (*name, value.as_str())))
}

fn absent(reference: &str) -> Pairs {
    vec![("status", "not-found".to_owned()), ("ref", reference.to_owned())]
}

fn accepted(body: &[u8]) -> Option<Form> {
    Form::parse(body).ok().filter(|form| shop_of(form).is_some())
}

fn shop_of(form: &Form) -> Option<Shop> {
    let name = form.filled("shop")?;
    SHOPS.into_iter().find(|shop| shop.name == name)
}
