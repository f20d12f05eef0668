//! Methods that take days: the payer is done and the session complete, and whether the money comes shows later.
use jiff::SignedDuration;

use super::events::Notice;
use super::{Stripe, objects};
use crate::clock::later;
use crate::ledger::{EventKind, Trade};
use crate::provider::{Denied, Provider as _};

/// So long the money may be on its way.
const LONGEST: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Where such a method stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slow {
    /// The money is on its way, or has come.
    Underway,
    /// The payer's bank said no.
    Failed,
}

/// Where a payment's slow method stands, if it has one.
pub fn of(stripe: &Stripe, reference: &str) -> Option<Slow> {
    stripe.desk().slow.get(reference).copied()
}

/// `slow`: the payer is done, and the money on its way; `slow_succeeds`: it has come; `slow_fails`: it does not come.
pub fn act(stripe: &Stripe, trade: &Trade, act: &str) -> Result<(), Denied> {
    let reference = trade.opening.reference.as_str();
    let underway = of(stripe, reference) == Some(Slow::Underway) && !objects::is_paid(trade);
    let put = |slow| {
        stripe.desk().slow.insert(reference.to_owned(), slow);
    };
    let tell = |kinds: [&str; 2]| {
        for notice in Notice::both(stripe, trade, kinds) {
            stripe.tell(notice, reference, &EventKind::Paid);
        }
    };
    match act {
        "slow" => {
            let until = later(stripe.now(), LONGEST);
            stripe.book().ledger.wait(reference, until, stripe.now())?;
            put(Slow::Underway);
            tell(["payment_intent.processing", "checkout.session.completed"]);
            Ok(())
        }
        "slow_succeeds" if underway => stripe.pay(reference).map(drop),
        "slow_fails" if underway => {
            put(Slow::Failed);
            tell(["payment_intent.payment_failed", "checkout.session.async_payment_failed"]);
            Ok(())
        }
        "slow_succeeds" | "slow_fails" => Err(Denied::Conflict("nothing is on its way".into())),
        _ => Err(Denied::Unknown(format!("there is no act {act:?}"))),
    }
}
