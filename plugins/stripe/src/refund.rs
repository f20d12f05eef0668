//! Giving money back. Our reference stands in the refund's metadata, and the idempotency key keeps a repeat from moving
//! anything twice.

use tollgate_sdk::contract::requests::{Outcome, RefundRequest, Step};
use tollgate_sdk::contract::types::{
    Context, Fault, HttpResponse, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::gateway::{self, pair};
use crate::objects::{PAYMENT, REFUND, Refund};
use crate::{money, reply, status};

/// Where refunds are asked for.
pub const REFUNDS: &str = "/v1/refunds";

/// Stripe may go on with what an error of its own cut off. So long after one a refund that no list shows is not made any more.
const SETTLED_MS: u32 = 3_600_000;

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount that Stripe does not take, or a payment whose number at Stripe is not known: nothing was
/// taken yet.
pub fn build(context: &Context, request: &RefundRequest) -> Result<Step, Fault> {
    let refund = &request.refund;
    let intent = refund.payment.provider_ref.as_deref();
    let intent = intent.ok_or_else(|| fault::invalid_request("Stripe has no such payment yet"))?;
    let form = vec![
        pair("payment_intent", intent),
        pair("amount", money::theirs(&refund.amount)?.to_string()),
        pair(&format!("metadata[{PAYMENT}]"), refund.payment.payment_ref.as_str()),
        pair(&format!("metadata[{REFUND}]"), refund.refund_ref.as_str()),
    ];
    Ok(Step::Send((gateway::post(context, "refund", REFUNDS, form)?, Vec::new())))
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
        Err(refusal) => return Err(refusal.fault_settled(SETTLED_MS)),
    };
    report(&read, &refund.refund_ref)
}

/// The report of a refund that must be the one that was meant.
pub fn report(read: &Refund, refund_ref: &str) -> Result<Outcome, Fault> {
    if read.metadata.get(REFUND).map(String::as_str) != Some(refund_ref) {
        return Err(fault::protocol("the answer is about another refund").outcome_unknown());
    }
    Ok(facts::report(status::refund(read).map_err(Fault::outcome_unknown)?))
}
