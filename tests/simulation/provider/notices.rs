//! What the provider pushes, and what strangers push in its name.

use rand::RngExt;
use tollgate_domain::time::Moment;

use super::{Pairs, Provider, SHOPS, SIGNATURE, encode, sign};

/// What a message is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The provider's own, and true when it was written.
    True,
    /// Signed by the provider, and wrong.
    Lie,
    /// Not the provider's.
    Forged,
}

/// A message to a shop.
#[derive(Clone)]
pub struct Notice {
    /// Which of [`SHOPS`] it goes to.
    pub shop: usize,
    /// The payment that it is about.
    pub reference: String,
    /// What it says of it.
    pub status: &'static str,
    /// Whether it is about a refund.
    pub of_refund: bool,
    /// Whether it is about a dispute.
    pub of_dispute: bool,
    /// What it is worth.
    pub worth: Worth,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it is sent.
    pub due: Moment,
    /// How often it was sent.
    pub tries: u32,
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.worth, String::from_utf8_lossy(&self.body))
    }
}

/// Messages that are not acknowledged yet.
#[derive(Debug, Default)]
pub struct Outbox {
    /// In the order in which they were written.
    pub waiting: Vec<Notice>,
    written: u64,
}

impl Provider {
    /// Tells of a trade as it is.
    pub fn announce_trade(&mut self, reference: &str) {
        let Some(trade) = self.trades.get(reference) else { return };
        let status = match trade.state {
            super::TradeState::Paid if trade.reversed_at.is_some() => "failed",
            super::TradeState::Paid => "succeeded",
            super::TradeState::Failed => "failed",
            super::TradeState::Closed => "closed",
            super::TradeState::Waiting => "pending",
            super::TradeState::Approved => "approved",
        };
        let pairs = trade.told(reference, status);
        self.post(reference, status, pairs, Worth::True);
    }

    /// Tells of a refund as it is.
    pub fn announce_back(&mut self, reference: &str, ours: &str) {
        let back = self.trades.get(reference).and_then(|trade| trade.backs.get(ours));
        let Some(back) = back else { return };
        let status = match back.state {
            super::BackState::Pending => "pending",
            super::BackState::Done => "succeeded",
            super::BackState::Failed => "failed",
        };
        let pairs = back.tell(reference, ours);
        self.post(reference, status, pairs, Worth::True);
    }

    pub(super) fn post(
        &mut self,
        reference: &str,
        status: &'static str,
        pairs: Pairs,
        worth: Worth,
    ) {
        // Who cannot be asked about refunds tells of them in any case.
        let must = self.is_stern && pairs.iter().any(|(name, _)| *name == "refund");
        if worth == Worth::True && self.happens(self.whims.silent) && !must {
            return;
        }
        let name = self.trades.get(reference).map(|trade| trade.shop.clone());
        let Some(shop) = SHOPS.iter().position(|shop| Some(shop.name) == name.as_deref()) else {
            return;
        };
        let due = self.time.now().plus_millis(self.chance.random_range(0..5_000));
        let notice = self.seal(shop, (reference, status), pairs, worth, due);
        self.outbox.waiting.push(notice);
    }

    fn seal(
        &mut self,
        shop: usize,
        (reference, status): (&str, &'static str),
        mut pairs: Pairs,
        worth: Worth,
        due: Moment,
    ) -> Notice {
        self.outbox.written += 1;
        let is_about = |what: &str| pairs.iter().any(|(name, _)| *name == what);
        let (of_refund, of_dispute) = (is_about("refund"), is_about("dispute"));
        pairs.push(("shop", SHOPS[shop].name.to_owned()));
        pairs.push(("id", format!("N{}", self.outbox.written)));
        let body = encode(&pairs).into_bytes();
        let key = if worth == Worth::Forged { "a stranger's key" } else { SHOPS[shop].theirs };
        let headers = vec![(SIGNATURE.to_owned(), sign(key.as_bytes(), &body))];
        let reference = reference.to_owned();
        Notice {
            shop,
            reference,
            status,
            of_refund,
            of_dispute,
            worth,
            headers,
            body,
            due,
            tries: 0,
        }
    }

    /// Copies what the simulator knows, and what it pushed, after it was called by this path.
    pub(super) fn copy(&mut self, path: &str) {
        let Some(simulated) = &mut self.simulated else { return };
        for (reference, trade) in simulated.trades() {
            if self.trades.insert(reference.clone(), trade).is_none() {
                self.heard.push((path.to_owned(), reference));
            }
        }
        for pushed in simulated.pushed() {
            let shop = self.accounts.iter().position(|account| pushed.url.ends_with(account));
            let due = self.time.now().plus_millis(self.chance.random_range(0..5_000));
            let silent = self.chance.random_range(0..100) < self.whims.silent;
            let (Some(shop), false) = (shop, silent) else { continue };
            self.outbox.waiting.push(Notice {
                shop,
                reference: pushed.reference,
                status: if pushed.of_payment { "succeeded" } else { "other" },
                of_refund: false,
                of_dispute: false,
                worth: Worth::True,
                headers: pushed.headers,
                body: pushed.body.into_bytes(),
                due,
                tries: 0,
            });
        }
    }

    /// A message of the simulator's with another signature, or that its signature is not about.
    fn altered(&mut self) -> Option<Notice> {
        let mut notice = self.outbox.waiting.last()?.clone();
        let text = String::from_utf8_lossy(&notice.body).into_owned();
        let changed = text.replace("sign=", "sign=AAAA").replace("signature=", "signature=AAAA");
        notice.body = if changed == text { text + " " } else { changed }.into_bytes();
        notice.worth = Worth::Forged;
        Some(notice)
    }

    /// Says something that is not so: success of what nobody paid, or another amount. Some: the message.
    pub fn lie(&mut self, reference: &str, worth: Worth) -> Option<Notice> {
        if self.simulated.is_some() {
            return self.altered();
        }
        let trade = self.trades.get(reference)?.clone();
        let shop = SHOPS.iter().position(|shop| shop.name == trade.shop)?;
        let mut pairs = trade.told(reference, "succeeded");
        match self.chance.random_range(0..4) {
            0 => put(&mut pairs, "amount", (trade.amount - 1).to_string()),
            1 => put(&mut pairs, "currency", "USD".to_owned()),
            2 => put(&mut pairs, "id-there", "T9999999999".to_owned()),
            _ => {}
        }
        let now = self.time.now();
        Some(self.seal(shop, (reference, "succeeded"), pairs, worth, now))
    }
}

pub(super) fn put(pairs: &mut Pairs, name: &str, value: String) {
    for (key, old) in pairs {
        if *key == name {
            old.clone_from(&value);
        }
    }
}
