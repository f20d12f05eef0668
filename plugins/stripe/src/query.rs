//! Asking what became of a payment.

use tollgate_sdk::contract::requests::{NextAction, Outcome, Progress, Report, Step};
use tollgate_sdk::contract::types::{
    Context, Fact, Fault, HttpResponse, Payment, PaymentStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::find::{self, Place};
use crate::gateway::{self, pair};
use crate::objects::{Intent, Session};
use crate::{pay, reply, status};

/// Builds the query, or looks for what it is about.
///
/// # Errors
/// `config` without an address.
pub fn build(context: &Context, payment: &Payment, state: &[u8]) -> Result<Step, Fault> {
    let request = match find::place(payment, state) {
        Place::Listing(after) => find::list(context, payment, after.as_deref())?,
        Place::Known(id) => {
            let expand = if payment.method == "intent" {
                "latest_charge"
            } else {
                "payment_intent.latest_charge"
            };
            let path = format!("{}/{id}", find::path(payment));
            gateway::get(context, &path, vec![pair("expand[]", expand)])?
        }
    };
    Ok(Step::Send((request, state.to_vec())))
}

/// Reads the answer. What no list shows was never made; of what is there, the payer's page is told again.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(
    payment: &Payment,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Progress, Fault> {
    let ours = payment.payment_ref.as_str();
    let id = match find::place(payment, state) {
        Place::Known(id) => id,
        Place::Listing(_) => {
            return Ok(match find::found(payment, response)? {
                Some(next) => Progress::Again(next),
                None => Progress::Done(facts::report(missing(ours, "not listed"))),
            });
        }
    };
    let read = if payment.method == "intent" {
        reply::read::<Intent>(response)?
            .map(|intent| (status::intent(&intent), pay::parameters(&intent), None))
    } else {
        reply::read::<Session>(response)?
            .map(|session| (status::session(&session), pay::page(&session), session.expires_at))
    };
    let (fact, action, expires_at) = match read {
        Ok((fact, action, at)) => (fact.map_err(Fault::outcome_unknown)?, action, at),
        Err(refusal) if refusal.is_missing() => {
            (missing(ours, refusal.word()), NextAction::None, None)
        }
        Err(refusal) => return Err(refusal.fault()),
    };
    if fact.payment_ref.as_deref() != Some(ours) {
        return Err(fault::protocol("query answered for another payment").outcome_unknown());
    }
    Ok(Progress::Done(Outcome::Report(Report {
        fact,
        action,
        action_expires_ms: expires_at.map(|at| at.saturating_mul(1000)),
        keep: Some(id.into_bytes()),
    })))
}

fn missing(ours: &str, raw: &str) -> Fact {
    facts::fact(Subject::Payment(PaymentStatus::NotFound), Some(ours), raw)
}
