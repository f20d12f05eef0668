//! What the provider knows of a trade, and how it tells it.

use std::collections::BTreeMap;

use tollgate_domain::time::Moment;

use super::Pairs;
use super::elsewhere::Contest;

/// Where a trade stands, in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeState {
    /// The payer may pay.
    Waiting,
    /// The payer agreed, and nobody has taken the money yet.
    Approved,
    /// Money moved.
    Paid,
    /// It broke down, or was declined.
    Failed,
    /// It was ended, or its time was over.
    Closed,
}

impl TradeState {
    /// Whether it may still be paid.
    pub fn is_open(self) -> bool {
        matches!(self, TradeState::Waiting | TradeState::Approved)
    }
}

/// A trade.
#[derive(Clone, Debug)]
pub struct Trade {
    /// Whose.
    pub shop: String,
    /// The provider's own number.
    pub there: String,
    /// What is owed, in minor units.
    pub amount: i64,
    /// The truth.
    pub state: TradeState,
    /// Until when it can be paid.
    pub expires: Moment,
    /// From when on a question finds it.
    pub seen_from: Moment,
    /// When it was paid.
    pub paid_at: Option<Moment>,
    /// From when on a question finds it paid.
    pub paid_seen_from: Moment,
    /// Whether a signed answer said that it failed or was closed.
    pub said_over: bool,
    /// Refunds by the shop's reference.
    pub backs: BTreeMap<String, Back>,
    /// When the provider took its success back.
    pub reversed_at: Option<Moment>,
    /// Whether its payer contests it.
    pub contest: Option<Contest>,
}

/// Where a refund stands, in truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackState {
    /// Not decided.
    Pending,
    /// Money went back.
    Done,
    /// It did not.
    Failed,
}

/// A refund.
#[derive(Clone, Debug)]
pub struct Back {
    /// How much.
    pub amount: i64,
    /// The truth.
    pub state: BackState,
    /// The provider's own number.
    pub there: String,
    /// From when on a question finds it.
    pub seen_from: Moment,
    /// When it is decided, if it is not.
    pub settles_at: Moment,
    /// What will be decided.
    pub refused: bool,
    /// When money went back.
    pub done_at: Option<Moment>,
    /// Whether it was made at the provider, without us.
    pub made_there: bool,
}

impl Trade {
    /// What is left to give back, counting what is not decided.
    pub fn left(&self) -> i64 {
        let held = self.backs.values().filter(|back| back.state != BackState::Failed);
        let lost = self.charged_back().map_or(0, |(contest, _)| contest.amount);
        let reversed = if self.reversed_at.is_some() { self.amount } else { 0 };
        self.amount - held.map(|back| back.amount).sum::<i64>() - lost - reversed
    }

    /// What was given back.
    pub fn given_back(&self) -> i64 {
        let done = self.backs.values().filter(|back| back.state == BackState::Done);
        done.map(|back| back.amount).sum()
    }

    /// What was given back, and what may yet be.
    pub fn asked_back(&self) -> i64 {
        let open = self.backs.values().filter(|back| back.state == BackState::Pending);
        self.given_back() + open.map(|back| back.amount).sum::<i64>()
    }

    /// What the books say now.
    pub fn tell(&mut self, reference: &str, now: Moment) -> Pairs {
        let status = match self.state {
            TradeState::Paid if self.reversed_at.is_some() => "failed",
            TradeState::Paid if self.paid_seen_from <= now => "succeeded",
            TradeState::Waiting | TradeState::Paid => "pending",
            TradeState::Approved => "approved",
            TradeState::Failed => "failed",
            TradeState::Closed => "closed",
        };
        self.said_over |= matches!(status, "failed" | "closed");
        self.told(reference, status)
    }

    /// What it says when it says that the trade stands at `status`.
    pub fn told(&self, reference: &str, status: &str) -> Pairs {
        let mut pairs = vec![
            ("status", status.to_owned()),
            ("ref", reference.to_owned()),
            ("id-there", self.there.clone()),
            ("amount", self.amount.to_string()),
            ("currency", "CNY".to_owned()),
            ("refunded", self.given_back().to_string()),
        ];
        if let Some(at) = self.reversed_at.or(self.paid_at) {
            pairs.push(("at", at.to_string()));
        }
        pairs
    }
}

impl Back {
    /// What the books say.
    pub fn tell(&self, reference: &str, ours: &str) -> Pairs {
        let status = match self.state {
            BackState::Pending => "pending",
            BackState::Done => "succeeded",
            BackState::Failed => "failed",
        };
        let mut pairs = vec![
            ("status", status.to_owned()),
            ("ref", reference.to_owned()),
            ("refund", ours.to_owned()),
            ("refund-id", self.there.clone()),
            ("amount", self.amount.to_string()),
            ("currency", "CNY".to_owned()),
        ];
        if let Some(at) = self.done_at {
            pairs.push(("at", at.to_string()));
        }
        pairs
    }
}
