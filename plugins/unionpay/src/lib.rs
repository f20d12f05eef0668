//! UnionPay's acp 5.1.0 as a provider plugin: one file a verb. All of it is plain functions over the SDK's traits, so that a
//! component, a native test and a benchmark run the same code.

// The contract's fault is a record, and each call returns at most one.
#![allow(clippy::result_large_err)]

pub mod acknowledge;
pub mod bill_parse;
pub mod bill_request;
pub mod card;
pub mod certificates;
#[cfg(target_family = "wasm")]
mod component;
pub mod describe;
pub mod fields;
pub mod gateway;
mod money;
pub mod pay;
pub mod query;
pub mod reading;
pub mod refund;
pub mod refund_query;
pub mod reply;
pub mod status;
pub mod times;

pub use acknowledge::acknowledge;
pub use bill_parse::parse;
pub use describe::describe;
pub use reading::read;

use tollgate_sdk::Keyring;
use tollgate_sdk::contract::requests::{Operation, Progress, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::fault;

/// The next request of an operation, signed; or its outcome, where the payer's browser carries the request. Each operation is
/// one exchange, so the state stays empty.
///
/// # Errors
/// `invalid-request` for what UnionPay cannot express, `config` for missing settings or keys.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    operation: &Operation,
) -> Result<Step, Fault> {
    match operation {
        Operation::Pay(request) => pay::build(context, keys, request),
        Operation::QueryPayment(payment) => query::build(context, keys, payment),
        Operation::Refund(request) => refund::build(context, keys, request),
        Operation::QueryRefund(refund) => refund_query::build(context, keys, refund),
        Operation::Bill(request) => bill_request::build(context, keys, request),
        Operation::FetchKeys(request) => certificates::build(context, keys, request),
        _ => Err(fault::unsupported("UnionPay has no such call for a payment of this kind")),
    }
}

/// What an answer means.
///
/// # Errors
/// `signature` and `protocol` for what is not UnionPay's own answer, `unavailable` where the outcome is unknown.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    operation: &Operation,
    response: &HttpResponse,
) -> Result<Progress, Fault> {
    let outcome = match operation {
        Operation::Pay(request) => pay::interpret(context, keys, request, response)?,
        Operation::QueryPayment(payment) => query::interpret(context, keys, payment, response)?,
        Operation::Refund(request) => refund::interpret(context, keys, request, response)?,
        Operation::QueryRefund(refund) => refund_query::interpret(context, keys, refund, response)?,
        Operation::Bill(_) => bill_request::interpret(context, keys, response)?,
        Operation::FetchKeys(_) => certificates::interpret(context, keys, response)?,
        _ => {
            return Err(fault::unsupported("UnionPay has no such call for a payment of this kind"));
        }
    };
    Ok(Progress::Done(outcome))
}
