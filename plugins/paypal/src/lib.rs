//! PayPal's Orders v2 as a provider plugin: one file a verb. All of it is plain functions over the SDK's traits, so that a
//! component, a native test and a benchmark run the same code.

// The contract's fault is a record, and each call returns at most one.
#![allow(clippy::result_large_err)]

pub mod acknowledge;
pub mod bill_parse;
pub mod bill_request;
pub mod complete;
#[cfg(target_family = "wasm")]
mod component;
pub mod describe;
pub mod dispute_query;
mod events;
pub mod gateway;
pub mod money;
pub mod objects;
pub mod pay;
pub mod query;
pub mod reading;
pub mod refund;
pub mod refund_query;
pub mod reply;
mod status;
pub mod token;

pub use acknowledge::acknowledge;
pub use bill_parse::parse;
pub use describe::describe;
pub use reading::read;

use tollgate_sdk::Keyring;
use tollgate_sdk::contract::requests::{Operation, Progress, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::fault;

/// The next request of an operation. The host puts the token in as it sends.
///
/// # Errors
/// `invalid-request` for what PayPal cannot express, `config` for missing settings.
pub fn build<K: Keyring>(
    context: &Context,
    _keys: &K,
    operation: &Operation,
    state: &[u8],
) -> Result<Step, Fault> {
    match operation {
        Operation::Pay(request) => pay::build(context, request),
        Operation::Complete(request) => complete::build(context, &request.payment),
        Operation::QueryPayment(payment) => query::build(context, payment),
        Operation::Refund(request) => refund::build(context, request),
        Operation::QueryRefund(refund) => refund_query::build(context, refund),
        Operation::QueryDispute(dispute) => dispute_query::build(context, dispute),
        Operation::Bill(request) => bill_request::build(context, request, state),
        Operation::FetchKeys(request) => token::build(context, request),
        Operation::Close(_) | Operation::Capture(_) => {
            Err(fault::unsupported("PayPal's orders lapse by themselves"))
        }
    }
}

/// What an answer means.
///
/// # Errors
/// `protocol` for what is not PayPal's shape, `unavailable` where the outcome is unknown.
pub fn interpret<K: Keyring>(
    _context: &Context,
    _keys: &K,
    operation: &Operation,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Progress, Fault> {
    let outcome = match operation {
        Operation::Pay(request) => pay::interpret(request, response)?,
        Operation::Complete(request) => complete::interpret(&request.payment, response)?,
        Operation::QueryPayment(payment) => query::interpret(payment, response)?,
        Operation::Refund(request) => refund::interpret(request, response)?,
        Operation::QueryRefund(refund) => refund_query::interpret(refund, response)?,
        Operation::QueryDispute(dispute) => dispute_query::interpret(dispute, response)?,
        Operation::Bill(request) => bill_request::interpret(request, state, response)?,
        Operation::FetchKeys(_) | Operation::Close(_) | Operation::Capture(_) => {
            return Err(fault::unsupported("PayPal has no answer to that"));
        }
    };
    Ok(Progress::Done(outcome))
}
