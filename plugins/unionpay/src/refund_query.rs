//! Asking what became of a refund, by its own number and time.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Refund, RefundStatus};
use tollgate_sdk::{Keyring, facts};

use crate::status::{self, Verdict, traced_at, verdict};
use crate::{money, query};

/// Builds the query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, refund: &Refund) -> Result<Step, Fault> {
    query::about(context, keys, &refund.refund_ref, refund.created_ms)
}

/// Reads the answer.
///
/// # Errors
/// See [`query::answer`].
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    refund: &Refund,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let (ours, created_ms) = (refund.refund_ref.as_str(), refund.created_ms);
    let (code, fields) = query::answer(context, keys, response, ours, created_ms)?;
    let state = match verdict(&code) {
        Verdict::Done => RefundStatus::Succeeded,
        Verdict::Unclear | Verdict::Busy | Verdict::Duplicate => RefundStatus::Pending,
        Verdict::Absent => RefundStatus::NotFound,
        Verdict::Refused => RefundStatus::Failed,
    };
    let about = status::refund(state, ours, fields.filled("queryId"));
    let mut fact = facts::fact(about, Some(&refund.payment.payment_ref), &code);
    fact.reason = fields.filled("origRespMsg").map(str::to_owned);
    if state == RefundStatus::Succeeded {
        let amount = money::read(fields.need("txnAmt")?, fields.need("currencyCode")?);
        fact.amount = Some(amount.map_err(Fault::outcome_unknown)?);
        fact.at = traced_at(&fields);
    }
    Ok(facts::report(fact))
}
