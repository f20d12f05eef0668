//! The life of a payment: one attempt to pay an order, told about by calls, messages and queries in any order.
//!
//! Facts only move up a lattice: whatever comes late or twice, money that moved is never forgotten.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::money::{Money, MoneyError};
use crate::time::Moment;

/// Where a payment stands. *Never sent* (`Created`), *pending* and *unknown* are three different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentState {
    /// Written, and nobody has been asked yet.
    Created,
    /// The payer may pay, or the provider is still at it.
    Pending,
    /// Something was sent and the answer is not known: money may have moved.
    Unknown,
    /// The payer agreed; nothing moves before it is completed.
    Approved,
    /// The amount is held, not taken.
    Authorized,
    /// The money was taken.
    Succeeded,
    /// It cannot succeed any more.
    Failed,
    /// It was ended before it took anything.
    Closed,
}

impl PaymentState {
    /// Every state, in the order of the lattice.
    pub const ALL: [PaymentState; 8] = [
        PaymentState::Created,
        PaymentState::Pending,
        PaymentState::Unknown,
        PaymentState::Approved,
        PaymentState::Authorized,
        PaymentState::Failed,
        PaymentState::Closed,
        PaymentState::Succeeded,
    ];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            PaymentState::Created => "created",
            PaymentState::Pending => "pending",
            PaymentState::Unknown => "unknown",
            PaymentState::Approved => "approved",
            PaymentState::Authorized => "authorized",
            PaymentState::Succeeded => "succeeded",
            PaymentState::Failed => "failed",
            PaymentState::Closed => "closed",
        }
    }

    /// Whether it may still take money without anybody doing more than finishing it.
    pub fn is_alive(self) -> bool {
        match self {
            PaymentState::Created
            | PaymentState::Pending
            | PaymentState::Unknown
            | PaymentState::Approved
            | PaymentState::Authorized => true,
            PaymentState::Succeeded | PaymentState::Failed | PaymentState::Closed => false,
        }
    }

    /// How much is known: a fact of a lower rank never replaces one of a higher.
    fn rank(self) -> u8 {
        match self {
            PaymentState::Created => 0,
            PaymentState::Pending | PaymentState::Unknown => 1,
            PaymentState::Approved => 2,
            PaymentState::Authorized => 3,
            PaymentState::Failed | PaymentState::Closed => 4,
            PaymentState::Succeeded => 5,
        }
    }
}

impl fmt::Display for PaymentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PaymentState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<PaymentState, UnknownState> {
        PaymentState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for PaymentState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<PaymentState, UnknownState> {
        text.parse()
    }
}

/// What the rules need to know of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Where it stands.
    pub state: PaymentState,
    /// What it is to take.
    pub amount: Money,
    /// What it took, in minor units.
    pub taken: i64,
    /// What refunds in flight hold, in minor units.
    pub reserved: i64,
    /// What refunds gave back, in minor units: the sum of those that succeeded and were not reversed.
    pub refunded: i64,
    /// What the provider took back of its success, in minor units.
    pub reversed: i64,
    /// What payers contest and the merchant still has, in minor units.
    pub disputed: i64,
    /// What payers' banks took back, in minor units.
    pub charged_back: i64,
    /// Whether it is the one that its order counts.
    pub allocated: bool,
    /// When it last changed.
    pub changed: Moment,
}

/// What happened to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentCommand {
    /// It was handed to the payer or the provider, who answered.
    Offer,
    /// It was sent, and no answer that says anything came.
    LoseSight,
    /// It was refused before anything was sent, or by an answer that proves that nothing happened.
    Refuse,
    /// The provider said so, and the host checked what it said.
    Learn(Told),
    /// The provider took so many minor units of its success back. Told first, it tells of the success as well.
    Reverse(i64),
    /// So much is in dispute now, and so much was charged back.
    Contest {
        /// The sum of the disputes that are open, and whose money is still with the merchant.
        disputed: i64,
        /// The sum of those whose money is gone.
        charged_back: i64,
    },
    /// A refund of so many minor units is about to be asked for.
    Reserve(i64),
    /// The same, of a payment in dispute: the merchant said that both may happen.
    ReserveDespiteDispute(i64),
    /// A refund that held so much turned out to have given it back.
    Refund(i64),
    /// A refund that held so much turned out to have failed.
    Release(i64),
    /// So much went back that nothing was held for: by a refund that was called failed, or by one that the merchant
    /// made at the provider.
    RefundUnreserved(i64),
    /// A refund's success was reversed: so much is with the merchant again.
    ReverseRefund(i64),
}

/// What a provider said of a payment, after the host's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Not finished.
    Pending,
    /// The payer agreed.
    Approved,
    /// The amount is held.
    Authorized,
    /// So many minor units were taken.
    Succeeded(i64),
    /// It cannot succeed.
    Failed,
    /// It was ended.
    Closed,
    /// Nobody can say.
    Unknown,
    /// There is no such payment there, which proves nothing yet.
    NotFound,
}

/// What is to be done after a payment changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentEffect {
    /// Its money came in: see whether its order counts it, in the same transaction.
    ClaimOrder,
    /// Derive the order anew, in the same transaction.
    DeriveOrder,
    /// Tell the merchant.
    Announce(&'static str),
    /// Ask the provider again by its schedule.
    KeepAsking,
}

/// Why a command does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRefusal {
    /// Another amount than the one that was asked for.
    #[error("the provider took another amount than the payment's")]
    OtherAmount,
    /// No money to give back.
    #[error("only a payment that succeeded can be refunded")]
    NotSucceeded,
    /// More than is left.
    #[error("the refund exceeds what is left of the payment")]
    ExceedsPayment,
    /// The payer may get the money back another way.
    #[error("the payment is in dispute: a refund beside that may give the money back twice")]
    Disputed,
    /// Not a positive amount, or beyond 64 bits.
    #[error(transparent)]
    Amount(#[from] MoneyError),
    /// A refund's outcome came twice, or for more than was held.
    #[error("no refund of this size is in flight")]
    NotReserved,
    /// More is undone than was done.
    #[error("no refund of this size has succeeded")]
    NotRefunded,
}

type Outcome = Result<(Payment, Vec<PaymentEffect>), PaymentRefusal>;

impl Payment {
    /// A new one: nobody has been asked.
    pub fn new(amount: Money, now: Moment) -> Payment {
        Payment {
            state: PaymentState::Created,
            amount,
            taken: 0,
            reserved: 0,
            refunded: 0,
            reversed: 0,
            disputed: 0,
            charged_back: 0,
            allocated: false,
            changed: now,
        }
    }

    /// What may still be given back, in minor units: what was taken, less what has gone back by whatever way.
    pub fn refundable(&self) -> i64 {
        self.room().saturating_sub(self.reversed).saturating_sub(self.charged_back).max(0)
    }

    /// What no refund holds or has given back. A refund at the provider may reach so far whatever else went back.
    fn room(&self) -> i64 {
        self.taken.saturating_sub(self.reserved).saturating_sub(self.refunded)
    }

    /// Whether a refund of `minor` that nothing is held for fits: see [`PaymentCommand::RefundUnreserved`].
    pub fn fits(&self, minor: i64) -> bool {
        minor <= self.room()
    }

    /// The payment after `command`, and what follows. A repeat changes nothing and has no effects.
    pub fn apply(self, command: PaymentCommand, now: Moment) -> Outcome {
        match command {
            PaymentCommand::Offer => self.offer(now),
            PaymentCommand::LoseSight => Ok(self.rise(PaymentState::Unknown, now)),
            // Once it may have been sent, a sending that came to nothing proves nothing about the one before.
            PaymentCommand::Refuse => match self.state {
                PaymentState::Created => Ok(self.rise(PaymentState::Failed, now)),
                _ => Ok((self, vec![])),
            },
            PaymentCommand::Learn(told) => self.learn(told, now),
            PaymentCommand::Reverse(minor) => self.reverse(minor, now),
            PaymentCommand::Contest { disputed, charged_back } => {
                self.contest(disputed, charged_back, now)
            }
            PaymentCommand::Reserve(_) if self.disputed > 0 || self.charged_back > 0 => {
                Err(PaymentRefusal::Disputed)
            }
            PaymentCommand::Reserve(minor) | PaymentCommand::ReserveDespiteDispute(minor) => {
                self.reserve(minor, self.refundable(), now)
            }
            PaymentCommand::Refund(minor) => self.refund(minor, now),
            PaymentCommand::Release(minor) => self.release(minor, now),
            PaymentCommand::RefundUnreserved(minor) => self.refund_unreserved(minor, now),
            PaymentCommand::ReverseRefund(minor) => self.reverse_refund(minor, now),
        }
    }

    fn offer(self, now: Moment) -> Outcome {
        // Where a message or a query was faster than our own answer, what that one said stands.
        self.learn(Told::Pending, now)
    }

    fn learn(self, told: Told, now: Moment) -> Outcome {
        match told {
            Told::Succeeded(minor) if minor != self.amount.minor => {
                Err(PaymentRefusal::OtherAmount)
            }
            Told::Succeeded(minor) if self.state != PaymentState::Succeeded => {
                Ok(Payment { taken: minor, ..self }.rise(PaymentState::Succeeded, now))
            }
            Told::Succeeded(_) => Ok((self, vec![])),
            // Knowing that it is pending is better than not knowing.
            Told::Pending if self.state == PaymentState::Unknown => {
                let known = Payment { state: PaymentState::Pending, changed: now, ..self };
                Ok((known, vec![PaymentEffect::KeepAsking]))
            }
            Told::Pending => Ok(self.rise(PaymentState::Pending, now)),
            Told::Approved => Ok(self.rise(PaymentState::Approved, now)),
            Told::Authorized => Ok(self.rise(PaymentState::Authorized, now)),
            Told::Failed => Ok(self.rise(PaymentState::Failed, now)),
            Told::Closed => Ok(self.rise(PaymentState::Closed, now)),
            Told::Unknown | Told::NotFound => Ok((self, vec![])),
        }
    }

    /// Takes the new state if it says more than the old one.
    fn rise(self, state: PaymentState, now: Moment) -> (Payment, Vec<PaymentEffect>) {
        if state.rank() <= self.state.rank() {
            return (self, vec![]);
        }
        let effects = match state {
            PaymentState::Created => vec![],
            PaymentState::Pending | PaymentState::Unknown => vec![PaymentEffect::KeepAsking],
            PaymentState::Approved => {
                vec![PaymentEffect::Announce("payment.approved"), PaymentEffect::KeepAsking]
            }
            PaymentState::Authorized => {
                vec![PaymentEffect::Announce("payment.authorized"), PaymentEffect::KeepAsking]
            }
            PaymentState::Succeeded => {
                vec![PaymentEffect::Announce("payment.succeeded"), PaymentEffect::ClaimOrder]
            }
            PaymentState::Failed => {
                vec![PaymentEffect::Announce("payment.failed"), PaymentEffect::DeriveOrder]
            }
            PaymentState::Closed => {
                vec![PaymentEffect::Announce("payment.closed"), PaymentEffect::DeriveOrder]
            }
        };
        (Payment { state, changed: now, ..self }, effects)
    }

    /// Adds a fact and takes none away: the success stands, and that it was undone stands beside it.
    fn reverse(self, minor: i64, now: Moment) -> Outcome {
        if minor <= 0 || minor > self.amount.minor {
            return Err(PaymentRefusal::OtherAmount);
        }
        let (paid, mut effects) = self.learn(Told::Succeeded(self.amount.minor), now)?;
        if minor <= paid.reversed {
            return Ok((paid, effects));
        }
        effects.push(PaymentEffect::Announce("payment.reversed"));
        Ok((Payment { reversed: minor, changed: now, ..paid }, effects))
    }

    fn contest(self, disputed: i64, charged_back: i64, now: Moment) -> Outcome {
        if (disputed, charged_back) == (self.disputed, self.charged_back) {
            return Ok((self, vec![]));
        }
        Ok((Payment { disputed, charged_back, changed: now, ..self }, vec![]))
    }

    fn reserve(self, minor: i64, left: i64, now: Moment) -> Outcome {
        if self.state != PaymentState::Succeeded {
            return Err(PaymentRefusal::NotSucceeded);
        }
        let asked = Money::positive(minor, self.amount.currency)?;
        if asked.minor > left {
            return Err(PaymentRefusal::ExceedsPayment);
        }
        let reserved = self.reserved.checked_add(minor).ok_or(MoneyError::Overflow)?;
        Ok((Payment { reserved, changed: now, ..self }, vec![]))
    }

    fn refund(self, minor: i64, now: Moment) -> Outcome {
        let held = self.give_up(minor, now)?;
        let refunded = held.refunded.checked_add(minor).ok_or(MoneyError::Overflow)?;
        Ok((Payment { refunded, ..held }, vec![PaymentEffect::DeriveOrder]))
    }

    fn refund_unreserved(self, minor: i64, now: Moment) -> Outcome {
        let (held, _) = self.reserve(minor, self.room(), now)?;
        held.refund(minor, now)
    }

    fn reverse_refund(self, minor: i64, now: Moment) -> Outcome {
        if minor <= 0 || minor > self.refunded {
            return Err(PaymentRefusal::NotRefunded);
        }
        let refunded = self.refunded - minor;
        let after = Payment { refunded, changed: now, ..self };
        Ok((after, vec![PaymentEffect::DeriveOrder]))
    }

    fn release(self, minor: i64, now: Moment) -> Outcome {
        Ok((self.give_up(minor, now)?, vec![]))
    }

    fn give_up(self, minor: i64, now: Moment) -> Result<Payment, PaymentRefusal> {
        if minor <= 0 || minor > self.reserved {
            return Err(PaymentRefusal::NotReserved);
        }
        Ok(Payment { reserved: self.reserved - minor, changed: now, ..self })
    }
}

#[cfg(test)]
#[path = "payment_tests.rs"]
mod tests;
