//! Ending a payment that nobody made: a session expires, an intent is canceled.

use tollgate_sdk::contract::requests::{Progress, Step};
use tollgate_sdk::contract::types::{
    Context, Fault, HttpResponse, Payment, PaymentStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::find::{self, Place};
use crate::gateway::{self, pair};
use crate::objects::{Intent, Session};
use crate::{reply, status};

/// Builds the call, or looks for what it is about.
///
/// # Errors
/// `config` without an address.
pub fn build(context: &Context, payment: &Payment, state: &[u8]) -> Result<Step, Fault> {
    let request = match find::place(payment, state) {
        Place::Listing(after) => find::list(context, payment, after.as_deref())?,
        Place::Known(id) if payment.method == "intent" => {
            let path = format!("{}/{id}/cancel", find::path(payment));
            gateway::post(context, "close", &path, vec![pair("cancellation_reason", "abandoned")])?
        }
        Place::Known(id) => {
            let path = format!("{}/{id}/expire", find::path(payment));
            gateway::post(context, "close", &path, Vec::new())?
        }
    };
    Ok(Step::Send((request, state.to_vec())))
}

/// Reads the answer. One that is in another state is for a query to tell: the payer may have been faster.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(
    payment: &Payment,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Progress, Fault> {
    let ours = payment.payment_ref.as_str();
    let short = |status, raw: &str| {
        let fact = facts::fact(Subject::Payment(status), Some(ours), raw);
        Progress::Done(facts::report(fact))
    };
    if let Place::Listing(_) = find::place(payment, state) {
        return Ok(match find::found(payment, response)? {
            Some(next) => Progress::Again(next),
            None => short(PaymentStatus::NotFound, "not listed"),
        });
    }
    let read = if payment.method == "intent" {
        reply::read::<Intent>(response)?.map(|intent| status::intent(&intent))
    } else {
        reply::read::<Session>(response)?.map(|session| status::session(&session))
    };
    match read {
        Ok(fact) => {
            let fact = fact.map_err(Fault::outcome_unknown)?;
            if fact.payment_ref.as_deref() != Some(ours) {
                return Err(fault::protocol("another payment was ended").outcome_unknown());
            }
            Ok(Progress::Done(facts::report(fact)))
        }
        Err(refusal) if refusal.is_missing() => Ok(short(PaymentStatus::NotFound, refusal.word())),
        Err(refusal) if refusal.is_final() => {
            // Stripe keeps what it refused, and the payment may be in a state yet in which it can be ended.
            let subject = Subject::Payment(PaymentStatus::Unknown);
            let mut fact = facts::fact(subject, Some(ours), refusal.word());
            facts::key_spent(&mut fact, 0);
            Ok(Progress::Done(facts::report(fact)))
        }
        Err(refusal) => Err(refusal.fault()),
    }
}
