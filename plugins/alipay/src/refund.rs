//! Giving money back. `out_request_no` is our refund reference, and repeating it moves nothing twice.

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{Outcome, RefundRequest, Step};
use tollgate_sdk::contract::types::{Context, Fact, Fault, HttpResponse, RefundStatus};
use tollgate_sdk::{Keyring, china_time, facts, fault};

use crate::reply::Reply;
use crate::{gateway, money, status};

/// The gateway's name of the call.
pub const REFUND: &str = "alipay.trade.refund";

/// Refusals after which this refund cannot happen by itself. Any other may hide an earlier try that went through.
const FINAL: [&str; 9] = [
    "SELLER_BALANCE_NOT_ENOUGH",
    "REFUND_AMT_NOT_EQUAL_TOTAL",
    "REASON_TRADE_BEEN_FREEZEN",
    "REASON_TRADE_REFUND_FEE_ERR",
    "TRADE_NOT_ALLOW_REFUND",
    "TRADE_HAS_FINISHED",
    "TOTAL_FEE_EXCEED",
    "INVALID_PARAMETER",
    "TRADE_NOT_EXIST",
];

#[derive(Serialize)]
struct Content<'a> {
    out_trade_no: &'a str,
    refund_amount: String,
    out_request_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_reason: Option<&'a str>,
}

#[derive(Deserialize)]
struct Refunded {
    #[serde(default)]
    out_trade_no: String,
    #[serde(default)]
    trade_no: String,
    fund_change: Option<String>,
    refund_fee: Option<String>,
    gmt_refund_pay: Option<String>,
}

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount that Alipay does not take.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &RefundRequest,
) -> Result<Step, Fault> {
    let refund = &request.refund;
    let content = Content {
        out_trade_no: &refund.payment.payment_ref,
        refund_amount: money::yuan(&refund.amount)?,
        out_request_no: &refund.refund_ref,
        refund_reason: request.reason.as_deref().filter(|reason| !reason.is_empty()),
    };
    Ok(gateway::sign(context, keys, REFUND, &content, "", "")?.send())
}

/// Reads the answer. Only `fund_change=Y` says that this call moved money; `refund_fee` is the sum of all refunds of
/// the trade, so the amount is that of our request.
///
/// # Errors
/// See [`Reply::verified`]; whatever is no answer leaves the outcome unknown.
pub fn interpret<K: Keyring>(
    keys: &K,
    request: &RefundRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, REFUND, response)?;
    let refund = &request.refund;
    let about = |state, raw: String| -> Fact {
        let subject = status::refund(state, &refund.refund_ref);
        let mut fact = facts::fact(subject, Some(&refund.payment.payment_ref), raw);
        fact.amount = Some(refund.amount.clone());
        fact
    };
    if !reply.worked() {
        let state = match reply.refusal() {
            None | Some("SYSTEM_ERROR") => return Err(reply.fault()),
            Some(code) if FINAL.contains(&code) => RefundStatus::Failed,
            Some(_) => RefundStatus::Unknown,
        };
        let (code, words) = reply.refusal_words();
        let mut fact = about(state, code);
        fact.reason = Some(words);
        return Ok(facts::report(fact));
    }
    let body: Refunded = reply.body()?;
    if body.out_trade_no != refund.payment.payment_ref {
        return Err(fault::protocol("refund answered for another trade").outcome_unknown());
    }
    let is_moved = body.fund_change.as_deref() == Some("Y");
    let state = if is_moved { RefundStatus::Succeeded } else { RefundStatus::Pending };
    let mut fact = about(state, format!("fund_change={}", body.fund_change.unwrap_or_default()));
    fact.provider_ref = Some(body.trade_no).filter(|text| !text.is_empty());
    fact.at = body.gmt_refund_pay.as_deref().and_then(china_time::rfc3339);
    fact.refunded = money::read_optional("refund_fee", body.refund_fee.as_deref())
        .map_err(Fault::outcome_unknown)?;
    Ok(facts::report(fact))
}
