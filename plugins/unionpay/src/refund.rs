//! Giving money back: a transaction of its own, with our refund reference as its number.

use tollgate_sdk::contract::requests::{Outcome, RefundRequest, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, RefundStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::status::{self, Verdict, verdict};
use crate::{gateway, money, reply, times};

/// Where a server's transactions go.
pub const PATH: &str = "/gateway/api/backTransReq.do";

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount or reference that UnionPay does not take, or a payment whose number there is not known:
/// nothing was taken yet.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &RefundRequest,
) -> Result<Step, Fault> {
    let refund = &request.refund;
    let original = refund.payment.provider_ref.as_deref();
    let original = original
        .ok_or_else(|| fault::invalid_request("UnionPay's number of the payment is not known"))?;
    let mut fields = gateway::fields(context, keys, ("04", "00"), gateway::PAYMENTS)?;
    for (name, value) in [
        ("channelType", "07"),
        ("orderId", gateway::order_id(&refund.refund_ref)?),
        ("txnTime", &times::compact(refund.created_ms)),
        ("txnAmt", &money::fen(&refund.amount)?),
        ("origQryId", original),
        ("backUrl", &request.notify_url),
    ] {
        fields.put(name, value);
    }
    gateway::send(context, keys, "gateway", PATH, fields)
}

/// Reads the answer. `00` says that it was taken, no more: the end is told by a notification or a query.
///
/// # Errors
/// See [`reply::read`]; whatever is no answer leaves the outcome unknown.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &RefundRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let refund = &request.refund;
    let fields = reply::read(context, keys, response)?;
    if fields.get("orderId") != Some(refund.refund_ref.as_str()) {
        return Err(fault::protocol("the answer is about another refund").outcome_unknown());
    }
    let (code, message) = (fields.need("respCode")?, fields.get("respMsg").unwrap_or_default());
    let state = match verdict(code) {
        Verdict::Done => RefundStatus::Pending,
        Verdict::Refused => RefundStatus::Failed,
        Verdict::Unclear | Verdict::Absent | Verdict::Duplicate => RefundStatus::Unknown,
        Verdict::Busy => return Err(reply::fault_of(code, message)),
    };
    let about = status::refund(state, &refund.refund_ref, fields.filled("queryId"));
    let mut fact = facts::fact(about, Some(&refund.payment.payment_ref), code);
    fact.reason = Some(message.to_owned()).filter(|_| state != RefundStatus::Pending);
    fact.amount = Some(refund.amount.clone());
    Ok(facts::report(fact))
}
