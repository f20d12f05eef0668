//! Closing an order that nobody paid.

use serde::Serialize;
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{Keyring, facts};

use crate::{gateway, reply};

/// Where an order is closed; our reference takes the place of the star.
pub const PATH: &str = "/v3/pay/transactions/out-trade-no/*/close";

#[derive(Serialize)]
struct Content<'a> {
    mchid: &'a str,
}

/// Builds the call.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, payment: &Payment) -> Result<Step, Fault> {
    let content = Content { mchid: context.required_setting("mchid")? };
    let path = PATH.replace('*', &payment.payment_ref);
    gateway::post(context, keys, &path, &content)
}

/// Reads the answer: 204 and nothing, signed all the same. One that was paid meanwhile is for a query to tell.
///
/// # Errors
/// See [`reply::worked`].
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    payment: &Payment,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let ours = payment.payment_ref.as_str();
    if reply::worked(keys, response, context.now_ms)? {
        return Ok(facts::report(facts::payment(PaymentStatus::Closed, ours, "CLOSED")));
    }
    let refusal = reply::refusal(response);
    let state = match refusal.code.as_str() {
        "ORDER_NOT_EXIST" | "ORDERNOTEXIST" | "RESOURCE_NOT_EXISTS" => PaymentStatus::NotFound,
        "ORDER_CLOSED" | "ORDERCLOSED" => PaymentStatus::Closed,
        _ if refusal.is_failure() => return Err(refusal.fault()),
        _ => PaymentStatus::Unknown,
    };
    let mut fact = facts::payment(state, ours, refusal.code);
    fact.reason = Some(refusal.message);
    Ok(facts::report(fact))
}
