//! Stripe as a provider plugin: one file a verb. All of it is plain functions over the SDK's traits, so that a component, a
//! native test and a benchmark run the same code.

// The contract's fault is a record, and each call returns at most one.
#![allow(clippy::result_large_err)]

pub mod acknowledge;
pub mod bill_parse;
pub mod bill_request;
pub mod close;
#[cfg(target_family = "wasm")]
mod component;
pub mod describe;
mod events;
pub mod find;
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

pub use acknowledge::acknowledge;
pub use bill_parse::parse;
pub use describe::describe;
pub use reading::read;

use tollgate_sdk::Keyring;
use tollgate_sdk::contract::requests::{Operation, Progress, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::fault;

/// The next request of an operation. The host puts the secret key in as it sends.
///
/// # Errors
/// `invalid-request` for what Stripe cannot express, `config` for missing addresses.
pub fn build<K: Keyring>(
    context: &Context,
    _keys: &K,
    operation: &Operation,
    state: &[u8],
) -> Result<Step, Fault> {
    match operation {
        Operation::Pay(request) => pay::build(context, request),
        Operation::QueryPayment(payment) => query::build(context, payment, state),
        Operation::Close(payment) => close::build(context, payment, state),
        Operation::Refund(request) => refund::build(context, request),
        Operation::QueryRefund(refund) => refund_query::build(context, refund, state),
        Operation::Bill(request) => bill_request::build(context, request, state),
        _ => Err(fault::unsupported("Stripe's payments are captured at once here")),
    }
}

/// What an answer means.
///
/// # Errors
/// `protocol` for what is not Stripe's shape, `unavailable` where the outcome is unknown.
pub fn interpret<K: Keyring>(
    _context: &Context,
    _keys: &K,
    operation: &Operation,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Progress, Fault> {
    match operation {
        Operation::Pay(request) => pay::interpret(request, response).map(Progress::Done),
        Operation::QueryPayment(payment) => query::interpret(payment, state, response),
        Operation::Close(payment) => close::interpret(payment, state, response),
        Operation::Refund(request) => refund::interpret(request, response).map(Progress::Done),
        Operation::QueryRefund(refund) => refund_query::interpret(refund, state, response),
        Operation::Bill(request) => {
            bill_request::interpret(request, state, response).map(Progress::Done)
        }
        _ => Err(fault::unsupported("Stripe's payments are captured at once here")),
    }
}
