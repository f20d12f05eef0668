//! Asking what became of an order, by its number and its time.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::fields::Fields;
use crate::status::{Verdict, traced_at, verdict};
use crate::{gateway, money, reply, times};

/// Where transactions are asked about.
pub const PATH: &str = "/gateway/api/queryTrans.do";
/// Clocks differ, and a payer may just have pressed the button: so long after its time an order may still be paid.
const MARGIN_MS: i64 = 15 * 60_000;

/// Builds the query about a transaction.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn about<K: Keyring>(
    context: &Context,
    keys: &K,
    order_id: &str,
    created_ms: i64,
) -> Result<Step, Fault> {
    let mut fields = gateway::fields(context, keys, ("00", "00"), "000000")?;
    fields.put("orderId", order_id);
    fields.put("txnTime", times::compact(created_ms));
    gateway::send(context, keys, "gateway", PATH, fields)
}

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, payment: &Payment) -> Result<Step, Fault> {
    about(context, keys, &payment.payment_ref, payment.created_ms)
}

/// The code of the transaction that was asked about, with the fields of the answer. That the query itself worked says nothing
/// of it.
///
/// # Errors
/// See [`reply::read`]; `protocol` for an answer about another transaction.
pub fn answer<K: Keyring>(
    context: &Context,
    keys: &K,
    response: &HttpResponse,
    order_id: &str,
    created_ms: i64,
) -> Result<(String, Fields), Fault> {
    let fields = reply::read(context, keys, response)?;
    let time = times::compact(created_ms);
    if fields.get("orderId") != Some(order_id) || fields.get("txnTime") != Some(time.as_str()) {
        return Err(fault::protocol("query answered for another order").outcome_unknown());
    }
    let code = fields.need("respCode").map_err(Fault::outcome_unknown)?;
    let of_it = match verdict(code) {
        Verdict::Done => fields.need("origRespCode").map_err(Fault::outcome_unknown)?,
        Verdict::Absent => code,
        _ => return Err(reply::fault_of(code, fields.get("respMsg").unwrap_or_default())),
    };
    Ok((of_it.to_owned(), fields))
}

/// Reads the answer. A refusal is one of a card: until the order's time is over, the payer may try another.
///
/// # Errors
/// See [`answer`].
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    payment: &Payment,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let ours = payment.payment_ref.as_str();
    let (code, fields) = answer(context, keys, response, ours, payment.created_ms)?;
    let is_over = is_over(context, payment);
    let state = match verdict(&code) {
        Verdict::Done => PaymentStatus::Succeeded,
        Verdict::Unclear | Verdict::Busy | Verdict::Duplicate => PaymentStatus::Unknown,
        Verdict::Absent if is_over => PaymentStatus::Closed,
        Verdict::Absent => PaymentStatus::NotFound,
        Verdict::Refused if is_over => PaymentStatus::Failed,
        Verdict::Refused => PaymentStatus::Pending,
    };
    let mut fact = facts::payment(state, ours, &code);
    fact.reason = fields.filled("origRespMsg").or(fields.filled("respMsg")).map(str::to_owned);
    fact.seen.push(("mer_id".to_owned(), fields.need("merId")?.to_owned()));
    if state == PaymentStatus::Succeeded {
        let amount = money::read(fields.need("txnAmt")?, fields.need("currencyCode")?);
        fact.amount = Some(amount.map_err(Fault::outcome_unknown)?);
        fact.provider_ref = fields.filled("queryId").map(str::to_owned);
        fact.at = traced_at(&fields);
    }
    Ok(facts::report(fact))
}

/// Whether nobody can pay the order any more.
fn is_over(context: &Context, payment: &Payment) -> bool {
    let kept = std::str::from_utf8(&payment.kept).ok().and_then(|text| text.parse::<i64>().ok());
    kept.is_some_and(|expires_ms| context.now_ms > expires_ms.saturating_add(MARGIN_MS))
}
