//! Giving money back of a capture. Our reference goes along, and the id of the request keeps a repeat from moving anything
//! twice.

use serde::Serialize;
use tollgate_sdk::contract::requests::{Outcome, RefundRequest, Step};
use tollgate_sdk::contract::types::{
    Context, Fault, HttpResponse, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::money::{self, Amount};
use crate::objects::{self, Refund};
use crate::{gateway, reply, status};

/// Where a capture is given back; its number takes the place of the star.
pub const PATH: &str = "/v2/payments/captures/*/refund";

#[derive(Serialize)]
struct Content {
    amount: Amount,
    custom_id: String,
}

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount that PayPal does not take, or a payment nothing of which was captured.
pub fn build(context: &Context, request: &RefundRequest) -> Result<Step, Fault> {
    let refund = &request.refund;
    let capture = refund.payment.provider_ref.as_deref();
    let capture = capture.ok_or_else(|| fault::invalid_request("nothing was captured yet"))?;
    let custom_id = objects::refund_id(&refund.refund_ref);
    let content = Content { amount: money::write(&refund.amount)?, custom_id };
    let path = PATH.replace('*', capture);
    Ok(Step::Send((gateway::post(context, "refund", &path, &content)?, Vec::new())))
}

/// Reads the answer.
///
/// # Errors
/// See [`reply::read`]; whatever is no answer leaves the outcome unknown.
pub fn interpret(request: &RefundRequest, response: &HttpResponse) -> Result<Outcome, Fault> {
    let refund = &request.refund;
    let read: Refund = match reply::read(response)? {
        Ok(read) => read,
        Err(refusal) if refusal.is_final() => {
            let about = Subject::Refund(RefundNews {
                status: RefundStatus::Failed,
                refund_ref: Some(refund.refund_ref.clone()),
                provider_refund_ref: None,
            });
            let mut fact = facts::fact(about, Some(&refund.payment.payment_ref), refusal.word());
            fact.reason = Some(refusal.words());
            fact.amount = Some(refund.amount.clone());
            return Ok(facts::report(fact));
        }
        Err(refusal) => return Err(refusal.fault()),
    };
    report(&read, &refund.refund_ref, &refund.payment.payment_ref)
}

/// The report of a refund that must be the one that was meant.
pub fn report(read: &Refund, refund_ref: &str, payment_ref: &str) -> Result<Outcome, Fault> {
    if read.ours() != Some(refund_ref) {
        return Err(fault::protocol("the answer is about another refund").outcome_unknown());
    }
    let fact = status::refund(read, Some(payment_ref)).map_err(Fault::outcome_unknown)?;
    Ok(facts::report(fact))
}
