//! Closing a trade that nobody paid.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::gateway;
use crate::query::ByOurs;
use crate::reply::Reply;

/// The gateway's name of the call.
pub const CLOSE: &str = "alipay.trade.close";

/// Builds the call.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, payment: &Payment) -> Result<Step, Fault> {
    let content = ByOurs { out_trade_no: &payment.payment_ref };
    Ok(gateway::sign(context, keys, CLOSE, &content, "", "")?.send())
}

#[derive(Deserialize)]
struct Closed {
    #[serde(default)]
    out_trade_no: String,
    #[serde(default)]
    trade_no: String,
}

/// Reads the answer. A trade that the payer never opened cannot be closed (`not-found`); one in any other state is
/// for a query to tell (`unknown`): the payer may have been faster.
///
/// # Errors
/// See [`Reply::verified`].
pub fn interpret<K: Keyring>(
    keys: &K,
    payment: &Payment,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, CLOSE, response)?;
    let ours = payment.payment_ref.as_str();
    if reply.worked() {
        let closed: Closed = reply.body()?;
        if closed.out_trade_no != ours {
            return Err(fault::protocol("close answered for another trade").outcome_unknown());
        }
        let mut fact = facts::payment(PaymentStatus::Closed, ours, "TRADE_CLOSED");
        fact.provider_ref = Some(closed.trade_no).filter(|text| !text.is_empty());
        return Ok(facts::report(fact));
    }
    let state = match reply.refusal() {
        Some("TRADE_NOT_EXIST") => PaymentStatus::NotFound,
        None | Some("SYSTEM_ERROR") => return Err(reply.fault()),
        Some(_) => PaymentStatus::Unknown,
    };
    let (code, words) = reply.refusal_words();
    let mut fact = facts::payment(state, ours, code);
    fact.reason = Some(words);
    Ok(facts::report(fact))
}
