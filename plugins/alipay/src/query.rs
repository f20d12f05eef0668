//! Asking what became of a trade, by our own reference.

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{Keyring, china_time, facts, fault};

use crate::reply::Reply;
use crate::status::{self, Trade};
use crate::{gateway, money};

/// The gateway's name of the call.
pub const QUERY: &str = "alipay.trade.query";

/// A trade, named by our reference.
#[derive(Serialize)]
pub struct ByOurs<'a> {
    /// Our payment reference.
    pub out_trade_no: &'a str,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    out_trade_no: String,
    #[serde(default)]
    trade_no: String,
    #[serde(default)]
    trade_status: String,
    total_amount: Option<String>,
    receipt_amount: Option<String>,
    buyer_pay_amount: Option<String>,
    send_pay_date: Option<String>,
}

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, payment: &Payment) -> Result<Step, Fault> {
    let content = ByOurs { out_trade_no: &payment.payment_ref };
    Ok(gateway::sign(context, keys, QUERY, &content, "", "")?.send())
}

/// Reads the answer. A trade exists only once the payer has scanned or logged in: until then "not found" says nothing.
///
/// # Errors
/// See [`Reply::verified`].
pub fn interpret<K: Keyring>(
    keys: &K,
    payment: &Payment,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, QUERY, response)?;
    let ours = payment.payment_ref.as_str();
    if !reply.worked() {
        if reply.refusal() != Some("TRADE_NOT_EXIST") {
            return Err(reply.fault());
        }
        let (code, words) = reply.refusal_words();
        let mut fact = facts::payment(PaymentStatus::NotFound, ours, code);
        fact.reason = Some(words);
        return Ok(facts::report(fact));
    }
    let found: Found = reply.body()?;
    if found.out_trade_no != ours {
        return Err(fault::protocol("query answered for another trade").outcome_unknown());
    }
    let paid_at = found.send_pay_date.as_deref().filter(|text| !text.is_empty());
    let received = money::read_optional("receipt_amount", found.receipt_amount.as_deref())?;
    let spent = money::read_optional("buyer_pay_amount", found.buyer_pay_amount.as_deref())?;
    let was_paid = paid_at.is_some()
        || status::is_positive(received.as_ref())
        || status::is_positive(spent.as_ref());
    let trade = Trade::of(&found.trade_status, was_paid);
    let mut fact = facts::payment(trade.status(), ours, found.trade_status);
    fact.provider_ref = Some(found.trade_no).filter(|text| !text.is_empty());
    fact.at = paid_at.and_then(china_time::rfc3339);
    status::put_amounts(&mut fact, &trade, found.total_amount.as_deref(), None)
        .map_err(Fault::outcome_unknown)?;
    if let Some(receipt) = found.receipt_amount {
        fact.extra.push(("receipt_amount".to_owned(), receipt));
    }
    Ok(facts::report(fact))
}
