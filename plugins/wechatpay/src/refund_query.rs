//! Asking what became of a refund, by our own reference.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Refund, RefundStatus};
use tollgate_sdk::{Keyring, facts};

use crate::status::{self, Refunded};
use crate::{gateway, refund, reply};

/// Where a refund is asked about; our reference takes the place of the star.
pub const PATH: &str = "/v3/refund/domestic/refunds/*";

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, refund: &Refund) -> Result<Step, Fault> {
    let path = PATH.replace('*', &refund.refund_ref);
    Ok(Step::Send((gateway::get(context, keys, &path)?, Vec::new())))
}

/// Reads the answer.
///
/// # Errors
/// See [`reply::verified`].
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    refund: &Refund,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let (ours, paid) = (refund.refund_ref.as_str(), refund.payment.payment_ref.as_str());
    let found: Refunded = match reply::verified(keys, response, context.now_ms)? {
        Ok(found) => found,
        Err(refusal) => {
            if refusal.code != "RESOURCE_NOT_EXISTS" {
                return Err(refusal.fault());
            }
            let mut fact = status::refund(RefundStatus::NotFound, ours, paid, &refusal.code);
            fact.reason = Some(refusal.message);
            return Ok(facts::report(fact));
        }
    };
    refund::report(found, ours, paid)
}
