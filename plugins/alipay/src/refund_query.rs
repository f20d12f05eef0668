//! Asking what became of a refund, by our own references.

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Refund, RefundStatus};
use tollgate_sdk::{Keyring, china_time, facts, fault};

use crate::reply::Reply;
use crate::{gateway, money, status};

/// The gateway's name of the call.
pub const REFUND_QUERY: &str = "alipay.trade.fastpay.refund.query";

#[derive(Serialize)]
struct Content<'a> {
    out_trade_no: &'a str,
    out_request_no: &'a str,
    query_options: [&'static str; 1],
}

#[derive(Deserialize)]
struct Found {
    out_trade_no: Option<String>,
    trade_no: Option<String>,
    out_request_no: Option<String>,
    refund_status: Option<String>,
    refund_amount: Option<String>,
    gmt_refund_pay: Option<String>,
}

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, refund: &Refund) -> Result<Step, Fault> {
    let content = Content {
        out_trade_no: &refund.payment.payment_ref,
        out_request_no: &refund.refund_ref,
        query_options: ["gmt_refund_pay"],
    };
    Ok(gateway::sign(context, keys, REFUND_QUERY, &content, "", "")?.send())
}

/// Reads the answer. Without `refund_status` the refund is not known, or failed, or not visible yet (Alipay wants ten
/// seconds): `not-found`, which is never final here; repeating the refund with its own reference is safe.
///
/// # Errors
/// See [`Reply::verified`].
pub fn interpret<K: Keyring>(
    keys: &K,
    refund: &Refund,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, REFUND_QUERY, response)?;
    let about = |state, raw: String| {
        let subject = status::refund(state, &refund.refund_ref);
        facts::fact(subject, Some(&refund.payment.payment_ref), raw)
    };
    if !reply.worked() {
        if reply.refusal() != Some("TRADE_NOT_EXIST") {
            return Err(reply.fault());
        }
        let (code, words) = reply.refusal_words();
        let mut fact = about(RefundStatus::NotFound, code);
        fact.reason = Some(words);
        return Ok(facts::report(fact));
    }
    let found: Found = reply.body()?;
    let is_ours = |named: &Option<String>, ours: &str| {
        named.as_deref().filter(|text| !text.is_empty()).is_none_or(|text| text == ours)
    };
    if !is_ours(&found.out_trade_no, &refund.payment.payment_ref)
        || !is_ours(&found.out_request_no, &refund.refund_ref)
    {
        return Err(fault::protocol("query answered for another refund").outcome_unknown());
    }
    let raw = found.refund_status.unwrap_or_default();
    let state = match raw.as_str() {
        "REFUND_SUCCESS" => RefundStatus::Succeeded,
        "" => RefundStatus::NotFound,
        _ => RefundStatus::Unknown,
    };
    let mut fact = about(state, raw);
    if state == RefundStatus::Succeeded {
        let text = found.refund_amount.as_deref().unwrap_or_default();
        fact.amount = Some(money::read("refund_amount", text).map_err(Fault::outcome_unknown)?);
    }
    fact.provider_ref = found.trade_no.filter(|text| !text.is_empty());
    fact.at = found.gmt_refund_pay.as_deref().and_then(china_time::rfc3339);
    Ok(facts::report(fact))
}
