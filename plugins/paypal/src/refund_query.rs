//! Asking what became of a refund. One whose number was lost is asked for again under the same id, which gives the same one.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{
    Context, Fact, Fault, HttpResponse, Refund as Asked, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::facts;

use crate::objects::Refund;
use crate::{gateway, refund, reply, status};

/// Where a refund is asked about; PayPal's number of it takes the place of the star.
pub const PATH: &str = "/v2/payments/refunds/*";

/// Builds the query.
///
/// # Errors
/// `config` without an address.
pub fn build(context: &Context, asked: &Asked) -> Result<Step, Fault> {
    let Some(id) = &asked.provider_refund_ref else {
        let fact = missing(asked, "its number is not known");
        return Ok(Step::Done(facts::report(fact)));
    };
    let request = gateway::get(context, &PATH.replace('*', id), Vec::new())?;
    Ok(Step::Send((request, Vec::new())))
}

/// Reads the answer.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(asked: &Asked, response: &HttpResponse) -> Result<Outcome, Fault> {
    match reply::read::<Refund>(response)? {
        // Made on PayPal's own pages, it has its number and no reference of ours.
        Ok(read)
            if read.ours().is_none() && asked.provider_refund_ref.as_ref() == Some(&read.id) =>
        {
            let fact = status::refund(&read, Some(&asked.payment.payment_ref));
            Ok(facts::report(fact.map_err(Fault::outcome_unknown)?))
        }
        Ok(read) => refund::report(&read, &asked.refund_ref, &asked.payment.payment_ref),
        Err(refusal) if refusal.is_missing() => Ok(facts::report(missing(asked, refusal.word()))),
        Err(refusal) => Err(refusal.fault()),
    }
}

fn missing(asked: &Asked, raw: &str) -> Fact {
    let about = Subject::Refund(RefundNews {
        status: RefundStatus::NotFound,
        refund_ref: Some(asked.refund_ref.clone()),
        provider_refund_ref: None,
    });
    facts::fact(about, Some(&asked.payment.payment_ref), raw)
}
