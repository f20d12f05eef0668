//! The life of an order: what a payer owes. Its state is derived from its payments, never set beside them.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::money::Money;
use crate::payment::Payment;
use crate::time::Moment;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// To be paid.
    Open,
    /// Paid, and nothing given back.
    Paid,
    /// Paid, and part of it given back.
    PartiallyRefunded,
    /// Paid, and all of it given back.
    Refunded,
    /// Ended by the merchant before it was paid.
    Closed,
    /// Ended by time before it was paid.
    Expired,
}

impl OrderState {
    /// Every state.
    pub const ALL: [OrderState; 6] = [
        OrderState::Open,
        OrderState::Paid,
        OrderState::PartiallyRefunded,
        OrderState::Refunded,
        OrderState::Closed,
        OrderState::Expired,
    ];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderState::Open => "open",
            OrderState::Paid => "paid",
            OrderState::PartiallyRefunded => "partially_refunded",
            OrderState::Refunded => "refunded",
            OrderState::Closed => "closed",
            OrderState::Expired => "expired",
        }
    }

    /// What the merchant is told when an order comes into this state.
    pub fn event(self) -> &'static str {
        match self {
            OrderState::Open => "order.reopened",
            OrderState::Paid => "order.paid",
            OrderState::PartiallyRefunded => "order.partially_refunded",
            OrderState::Refunded => "order.refunded",
            OrderState::Closed => "order.closed",
            OrderState::Expired => "order.expired",
        }
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<OrderState, UnknownState> {
        OrderState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for OrderState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<OrderState, UnknownState> {
        text.parse()
    }
}

/// What the rules need to know of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Where it stands.
    pub state: OrderState,
    /// What is owed.
    pub amount: Money,
    /// What becomes of money that comes after it ended.
    pub late: LateSuccess,
    /// After this nobody may start to pay it.
    pub expires: Moment,
}

/// What becomes of money that comes after its order has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LateSuccess {
    /// The order is paid after all.
    #[default]
    Reopen,
    /// The order stays as it is, and all of the money goes back.
    Refund,
}

impl LateSuccess {
    /// Every one.
    pub const ALL: [LateSuccess; 2] = [LateSuccess::Reopen, LateSuccess::Refund];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            LateSuccess::Reopen => "reopen",
            LateSuccess::Refund => "refund",
        }
    }
}

impl FromStr for LateSuccess {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<LateSuccess, UnknownState> {
        LateSuccess::ALL.into_iter().find(|late| late.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for LateSuccess {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<LateSuccess, UnknownState> {
        text.parse()
    }
}

/// What an order makes of a payment whose money has just come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The order counts it, and no other.
    Counted {
        /// The order had ended, and is paid after all.
        late: bool,
    },
    /// The order counts another one: it goes back.
    Duplicate,
    /// The order had ended, and stays so: it goes back.
    Late,
}

/// How long after its time an order is ended: who began to pay at the last moment has paid by then.
pub const GRACE_MS: i64 = 30_000;

/// What is to be done after an order changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEffect {
    /// Tell the merchant.
    Announce(&'static str),
}

/// Why an order does not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// Money has come in.
    #[error("the order is paid")]
    AlreadyPaid,
    /// It has ended.
    #[error("the order is closed")]
    Ended,
    /// Its time is over.
    #[error("the order has expired")]
    Expired,
    /// An attempt may still take money.
    #[error("another payment of the order is still open")]
    PaymentAlive,
    /// Not yet.
    #[error("the order has not expired yet")]
    NotYetExpired,
}

type Outcome = Result<(Order, Vec<OrderEffect>), OrderRefusal>;

impl Order {
    /// Whether a new payment may be started, `payments` being the earlier attempts: one alive at a time.
    pub fn may_start_payment(&self, payments: &[Payment], now: Moment) -> Result<(), OrderRefusal> {
        self.is_open()?;
        if now >= self.expires {
            return Err(OrderRefusal::Expired);
        }
        if payments.iter().any(|payment| payment.state.is_alive()) {
            return Err(OrderRefusal::PaymentAlive);
        }
        Ok(())
    }

    /// The order ended by the merchant. None of `payments` may be alive.
    pub fn close(self, payments: &[Payment]) -> Outcome {
        if self.state == OrderState::Closed {
            return Ok((self, vec![]));
        }
        self.end(OrderState::Closed, payments)
    }

    /// The order ended by time. None of `payments` may be alive.
    pub fn expire(self, payments: &[Payment], now: Moment) -> Outcome {
        if self.state == OrderState::Expired {
            return Ok((self, vec![]));
        }
        if now < self.expires.plus_millis(GRACE_MS) {
            return Err(OrderRefusal::NotYetExpired);
        }
        self.end(OrderState::Expired, payments)
    }

    /// What becomes of a payment whose money has just come in, `others` being the order's other payments. One is
    /// counted: the first.
    pub fn claim(&self, others: &[Payment]) -> Claim {
        if others.iter().any(|other| other.allocated) {
            return Claim::Duplicate;
        }
        match (self.state, self.late) {
            (OrderState::Open, _) => Claim::Counted { late: false },
            (OrderState::Closed | OrderState::Expired, LateSuccess::Reopen) => {
                Claim::Counted { late: true }
            }
            (OrderState::Closed | OrderState::Expired, LateSuccess::Refund) => Claim::Late,
            (OrderState::Paid | OrderState::PartiallyRefunded | OrderState::Refunded, _) => {
                Claim::Duplicate
            }
        }
    }

    /// The order as the payment makes it that it counts. Money wins: one that was closed and then paid is paid. A
    /// reversal and a dispute are facts beside its state; a refund that was reversed takes the state back.
    pub fn derive(self, payments: &[Payment]) -> (Order, Vec<OrderEffect>) {
        let took = || payments.iter().filter(|payment| payment.allocated);
        let taken = took().fold(0i64, |sum, payment| sum.saturating_add(payment.taken));
        let refunded = took().fold(0i64, |sum, payment| sum.saturating_add(payment.refunded));
        let state = if taken == 0 {
            self.state
        } else if refunded == 0 {
            OrderState::Paid
        } else if refunded < taken {
            OrderState::PartiallyRefunded
        } else {
            OrderState::Refunded
        };
        if state == self.state {
            return (self, vec![]);
        }
        (Order { state, ..self }, vec![OrderEffect::Announce(state.event())])
    }

    fn end(self, state: OrderState, payments: &[Payment]) -> Outcome {
        self.is_open()?;
        if payments.iter().any(|payment| payment.state.is_alive()) {
            return Err(OrderRefusal::PaymentAlive);
        }
        Ok((Order { state, ..self }, vec![OrderEffect::Announce(state.event())]))
    }

    fn is_open(&self) -> Result<(), OrderRefusal> {
        match self.state {
            OrderState::Open => Ok(()),
            OrderState::Paid | OrderState::PartiallyRefunded | OrderState::Refunded => {
                Err(OrderRefusal::AlreadyPaid)
            }
            OrderState::Closed => Err(OrderRefusal::Ended),
            OrderState::Expired => Err(OrderRefusal::Expired),
        }
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
