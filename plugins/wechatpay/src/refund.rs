//! Giving money back. `out_refund_no` is our refund reference, and repeating it moves nothing twice.

use serde::Serialize;
use tollgate_sdk::contract::requests::{Outcome, RefundRequest, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, RefundStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::status::{self, Refunded};
use crate::{gateway, money, reply};

/// Where refunds are asked for.
pub const PATH: &str = "/v3/refund/domestic/refunds";
/// Longest `reason`, in bytes: the provider counts 80, and a character takes up to four.
const LONGEST_REASON: usize = 80;

/// Refusals after which this refund cannot happen by itself. Any other may hide an earlier try that went through.
const FINAL: [&str; 6] = [
    "NOT_ENOUGH",
    "RULE_LIMIT",
    "USER_ACCOUNT_ABNORMAL",
    "RESOURCE_NOT_EXISTS",
    "PARAM_ERROR",
    "REFUND_FEE_MISMATCH",
];

#[derive(Serialize)]
struct Content<'a> {
    out_trade_no: &'a str,
    out_refund_no: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    notify_url: &'a str,
    amount: Amount,
}

#[derive(Serialize)]
struct Amount {
    refund: i64,
    total: i64,
    currency: &'static str,
}

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount that WeChat Pay does not take.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &RefundRequest,
) -> Result<Step, Fault> {
    let refund = &request.refund;
    let content = Content {
        out_trade_no: &refund.payment.payment_ref,
        out_refund_no: &refund.refund_ref,
        reason: request.reason.as_deref().map(cut).filter(|reason| !reason.is_empty()),
        notify_url: &request.notify_url,
        amount: Amount {
            refund: money::fen(&refund.amount)?,
            total: money::fen(&refund.payment.amount)?,
            currency: "CNY",
        },
    };
    gateway::post(context, keys, PATH, &content)
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    &text[..end.take_while(|end| *end <= LONGEST_REASON).last().unwrap_or(0)]
}

/// Reads the answer. That it was taken says `PROCESSING`: the money moves later, and a notification or a query tells.
///
/// # Errors
/// See [`reply::verified`]; whatever is no answer leaves the outcome unknown.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &RefundRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let refund = &request.refund;
    let body: Refunded = match reply::verified(keys, response, context.now_ms)? {
        Ok(body) => body,
        Err(refusal) => {
            let state = match refusal.code.as_str() {
                code if FINAL.contains(&code) => RefundStatus::Failed,
                _ if refusal.is_failure() => return Err(refusal.fault()),
                _ => RefundStatus::Unknown,
            };
            let (ours, paid) = (&refund.refund_ref, &refund.payment.payment_ref);
            let mut fact = status::refund(state, ours, paid, &refusal.code);
            fact.reason = Some(refusal.message);
            fact.amount = Some(refund.amount.clone());
            return Ok(facts::report(fact));
        }
    };
    report(body, &refund.refund_ref, &refund.payment.payment_ref)
}

/// The report of a refund that must be the one that was meant.
pub fn report(body: Refunded, refund_ref: &str, payment_ref: &str) -> Result<Outcome, Fault> {
    if body.out_refund_no != refund_ref || body.out_trade_no != payment_ref {
        return Err(fault::protocol("the answer is about another refund").outcome_unknown());
    }
    Ok(facts::report(body.fact().map_err(Fault::outcome_unknown)?))
}
