//! Taking the money that the payer has approved: without this none moves.

use serde::Serialize;
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{facts, fault};

use crate::objects::Order;
use crate::pay::ORDERS;
use crate::query::{order_id, report};
use crate::{gateway, reply};

/// Nothing is said beside the order's number.
#[derive(Serialize)]
struct Nothing {}

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an order whose number is not known: nobody can have approved it.
pub fn build(context: &Context, payment: &Payment) -> Result<Step, Fault> {
    let id = order_id(payment)
        .ok_or_else(|| fault::invalid_request("PayPal's number of the order is not known"))?;
    let path = format!("{ORDERS}/{id}/capture");
    Ok(Step::Send((gateway::post(context, "capture", &path, &Nothing {})?, Vec::new())))
}

/// Reads the answer. Refusals send the payer back to the page that he knows, and end nothing.
///
/// # Errors
/// See [`reply::read`]; `duplicate` for an order that was captured before, of which a query tells.
pub fn interpret(payment: &Payment, response: &HttpResponse) -> Result<Outcome, Fault> {
    let order: Order = match reply::read(response)? {
        Ok(order) => order,
        Err(refusal) => {
            return match refusal.word() {
                "ORDER_NOT_APPROVED"
                | "INSTRUMENT_DECLINED"
                | "PAYER_ACTION_REQUIRED"
                | "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING" => {
                    let ours = payment.payment_ref.as_str();
                    let mut fact = facts::payment(PaymentStatus::Pending, ours, refusal.word());
                    fact.reason = Some(refusal.words());
                    // PayPal gives the same refusal again, even once the payer has chosen another card.
                    facts::key_spent(&mut fact, 0);
                    Ok(facts::report(fact))
                }
                "ORDER_ALREADY_CAPTURED" | "ORDER_COMPLETION_IN_PROGRESS" => {
                    let mut fault = refusal.fault().outcome_unknown();
                    fault.code = "duplicate".to_owned();
                    Err(fault)
                }
                _ => Err(refusal.fault().outcome_unknown()),
            };
        }
    };
    report(&order, payment)
}
