//! The life of an order: what a payer owes. Its state is derived from its payments, never set beside them.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::money::Money;
use crate::payment::{Payment, PaymentState};
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
    /// After this nobody may start to pay it.
    pub expires: Moment,
}

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
        if now < self.expires {
            return Err(OrderRefusal::NotYetExpired);
        }
        self.end(OrderState::Expired, payments)
    }

    /// The order as its payments make it. Money wins: one that was closed and then paid is paid.
    pub fn derive(self, payments: &[Payment]) -> (Order, Vec<OrderEffect>) {
        let took = || payments.iter().filter(|payment| payment.state == PaymentState::Succeeded);
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
mod tests {
    use super::*;

    fn order(state: OrderState) -> Order {
        Order { state, amount: Money::new(1000, "CNY".parse().unwrap()), expires: Moment(100) }
    }

    fn payment(state: PaymentState, taken: i64, refunded: i64) -> Payment {
        Payment {
            state,
            taken,
            refunded,
            ..Payment::new(order(OrderState::Open).amount, Moment(0))
        }
    }

    #[test]
    fn the_state_follows_the_payments() {
        use PaymentState::{Closed, Pending, Succeeded};
        let rows = [
            (OrderState::Open, vec![], OrderState::Open),
            (OrderState::Open, vec![payment(Pending, 0, 0)], OrderState::Open),
            (
                OrderState::Open,
                vec![payment(Closed, 0, 0), payment(Succeeded, 1000, 0)],
                OrderState::Paid,
            ),
            (OrderState::Paid, vec![payment(Succeeded, 1000, 1)], OrderState::PartiallyRefunded),
            (
                OrderState::PartiallyRefunded,
                vec![payment(Succeeded, 1000, 1000)],
                OrderState::Refunded,
            ),
            (OrderState::Closed, vec![payment(Succeeded, 1000, 0)], OrderState::Paid),
            (OrderState::Expired, vec![payment(Succeeded, 1000, 0)], OrderState::Paid),
            (OrderState::Closed, vec![payment(Closed, 0, 0)], OrderState::Closed),
        ];
        for (from, payments, wanted) in rows {
            let (after, effects) = order(from).derive(&payments);
            assert_eq!(after.state, wanted);
            assert_eq!(
                effects.len(),
                usize::from(from != wanted),
                "{from} to {wanted} is told once"
            );
            assert_eq!(after.derive(&payments), (after, vec![]), "again changes nothing");
        }
    }

    #[test]
    fn one_attempt_is_alive_at_a_time() {
        let open = order(OrderState::Open);
        assert_eq!(open.may_start_payment(&[], Moment(99)), Ok(()));
        assert_eq!(open.may_start_payment(&[], Moment(100)), Err(OrderRefusal::Expired));
        for state in PaymentState::ALL {
            let wanted = if state.is_alive() { Err(OrderRefusal::PaymentAlive) } else { Ok(()) };
            assert_eq!(
                open.may_start_payment(&[payment(state, 0, 0)], Moment(1)),
                wanted,
                "{state}"
            );
        }
    }

    #[test]
    fn each_state_and_how_it_ends() {
        use OrderRefusal::*;
        let rows = [
            (OrderState::Open, Ok(OrderState::Closed), Ok(OrderState::Expired)),
            (OrderState::Paid, Err(AlreadyPaid), Err(AlreadyPaid)),
            (OrderState::PartiallyRefunded, Err(AlreadyPaid), Err(AlreadyPaid)),
            (OrderState::Refunded, Err(AlreadyPaid), Err(AlreadyPaid)),
            (OrderState::Closed, Ok(OrderState::Closed), Err(Ended)),
            (OrderState::Expired, Err(Expired), Ok(OrderState::Expired)),
        ];
        for (from, closed, expired) in rows {
            assert_eq!(order(from).close(&[]).map(|(o, _)| o.state), closed, "close {from}");
            assert_eq!(
                order(from).expire(&[], Moment(100)).map(|(o, _)| o.state),
                expired,
                "expire {from}"
            );
        }
        let pending = [payment(PaymentState::Pending, 0, 0)];
        assert_eq!(order(OrderState::Open).close(&pending).err(), Some(PaymentAlive));
        assert_eq!(order(OrderState::Open).expire(&[], Moment(99)).err(), Some(NotYetExpired));
    }
}
