//! Asking what became of an order, by our own reference.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::status::Transaction;
use crate::{gateway, reply};

/// Where an order is asked about; our reference takes the place of the star.
pub const PATH: &str = "/v3/pay/transactions/out-trade-no/*";

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, payment: &Payment) -> Result<Step, Fault> {
    let mchid = context.required_setting("mchid")?;
    let path = format!("{}?mchid={mchid}", PATH.replace('*', &payment.payment_ref));
    Ok(Step::Send((gateway::get(context, keys, &path)?, Vec::new())))
}

/// Reads the answer. An order exists from the moment that it was asked for, so that one that is not there was never made.
///
/// # Errors
/// See [`reply::verified`].
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    payment: &Payment,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let ours = payment.payment_ref.as_str();
    let found: Transaction = match reply::verified(keys, response, context.now_ms)? {
        Ok(found) => found,
        Err(refusal) => {
            let known = ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"];
            if !known.contains(&refusal.code.as_str()) {
                return Err(refusal.fault());
            }
            let mut fact = facts::payment(PaymentStatus::NotFound, ours, refusal.code);
            fact.reason = Some(refusal.message);
            return Ok(facts::report(fact));
        }
    };
    if found.out_trade_no != ours {
        return Err(fault::protocol("query answered for another order").outcome_unknown());
    }
    Ok(facts::report(found.fact().map_err(Fault::outcome_unknown)?))
}
