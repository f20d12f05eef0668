//! Asking what became of a refund: by its id, or among all of its payment where the answer that told the id was lost.

use tollgate_sdk::contract::requests::{Progress, Step};
use tollgate_sdk::contract::types::{
    Context, Fault, HttpResponse, Refund as Asked, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::gateway::{self, pair};
use crate::objects::{List, REFUND, Refund};
use crate::refund::{self, REFUNDS};
use crate::{reply, status};

/// Builds the query.
///
/// # Errors
/// `invalid-request` for a payment whose number at Stripe is not known.
pub fn build(context: &Context, asked: &Asked, state: &[u8]) -> Result<Step, Fault> {
    let request = match &asked.provider_refund_ref {
        Some(id) => gateway::get(context, &format!("{REFUNDS}/{id}"), Vec::new())?,
        None => {
            let intent = asked.payment.provider_ref.as_deref();
            let intent =
                intent.ok_or_else(|| fault::invalid_request("Stripe has no such payment yet"))?;
            let mut query = vec![pair("payment_intent", intent), pair("limit", "100")];
            if !state.is_empty() {
                query.push(pair("starting_after", String::from_utf8_lossy(state)));
            }
            gateway::get(context, REFUNDS, query)?
        }
    };
    Ok(Step::Send((request, state.to_vec())))
}

/// Reads the answer.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(asked: &Asked, _state: &[u8], response: &HttpResponse) -> Result<Progress, Fault> {
    let ours = asked.refund_ref.as_str();
    let missing = |raw: &str| {
        let about = Subject::Refund(RefundNews {
            status: RefundStatus::NotFound,
            refund_ref: Some(ours.to_owned()),
            provider_refund_ref: None,
        });
        let fact = facts::fact(about, Some(&asked.payment.payment_ref), raw);
        Progress::Done(facts::report(fact))
    };
    if let Some(id) = &asked.provider_refund_ref {
        return match reply::read::<Refund>(response)? {
            // Made in the dashboard, it has its id and nothing of ours.
            Ok(read) if read.id == *id && !read.metadata.contains_key(REFUND) => {
                let fact = status::refund(&read).map_err(Fault::outcome_unknown)?;
                Ok(Progress::Done(facts::report(fact)))
            }
            Ok(read) => refund::report(&read, ours).map(Progress::Done),
            Err(refusal) if refusal.is_missing() => Ok(missing(refusal.word())),
            Err(refusal) => Err(refusal.fault()),
        };
    }
    let list: List<Refund> = match reply::read(response)? {
        Ok(list) => list,
        Err(refusal) => return Err(refusal.fault()),
    };
    let is_ours = |read: &&Refund| read.metadata.get(REFUND).is_some_and(|text| text == ours);
    match (list.data.iter().find(is_ours), list.data.last().filter(|_| list.has_more)) {
        (Some(read), _) => refund::report(read, ours).map(Progress::Done),
        (None, Some(last)) => Ok(Progress::Again(last.id.clone().into_bytes())),
        (None, None) => Ok(missing("not listed")),
    }
}
