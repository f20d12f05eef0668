//! Starting a payment: an order, and the page on which the payer approves it.

use serde::Serialize;
use tollgate_sdk::contract::requests::{NextAction, Outcome, PayRequest, Report, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, PaymentStatus};
use tollgate_sdk::{facts, fault, text};

use crate::money::{self, Amount};
use crate::objects::Order;
use crate::{gateway, reply, status};

/// Where orders are made.
pub const ORDERS: &str = "/v2/checkout/orders";
/// Longest `description`, in characters.
const LONGEST_DESCRIPTION: usize = 127;
/// An order that nobody approved lapses after some hours.
const ORDER_LIFE_MS: i64 = 3 * 3_600_000;

#[derive(Serialize)]
struct Content<'a> {
    intent: &'static str,
    purchase_units: [Unit<'a>; 1],
    payment_source: Source<'a>,
}

#[derive(Serialize)]
struct Unit<'a> {
    reference_id: &'static str,
    custom_id: &'a str,
    description: &'a str,
    amount: Amount,
}

#[derive(Serialize)]
struct Source<'a> {
    paypal: Wallet<'a>,
}

#[derive(Serialize)]
struct Wallet<'a> {
    experience_context: Experience<'a>,
}

#[derive(Serialize)]
struct Experience<'a> {
    return_url: &'a str,
    cancel_url: &'a str,
    user_action: &'static str,
    shipping_preference: &'static str,
}

/// Builds the call.
///
/// # Errors
/// `invalid-request` for an amount or currency that PayPal does not take, or a method that is not one of its own.
pub fn build(context: &Context, request: &PayRequest) -> Result<Step, Fault> {
    if request.manual_capture {
        return Err(fault::unsupported("capture by hand is not offered"));
    }
    if request.payment.method != "wallet" {
        let method = &request.payment.method;
        return Err(fault::invalid_request(format!("PayPal has no method `{method}`")));
    }
    let content = Content {
        intent: "CAPTURE",
        purchase_units: [Unit {
            reference_id: "default",
            custom_id: &request.payment.payment_ref,
            description: text::first(&request.subject, LONGEST_DESCRIPTION),
            amount: money::write(&request.payment.amount)?,
        }],
        payment_source: Source {
            paypal: Wallet {
                experience_context: Experience {
                    return_url: &request.return_url,
                    cancel_url: request.cancel_url.as_deref().unwrap_or(&request.return_url),
                    user_action: "PAY_NOW",
                    shipping_preference: "NO_SHIPPING",
                },
            },
        },
    };
    Ok(Step::Send((gateway::post(context, "pay", ORDERS, &content)?, Vec::new())))
}

/// Reads the answer. A refusal ends the payment: no payer ever had its page. The page is found by what it is for, never by its
/// place in the list.
///
/// # Errors
/// See [`reply::read`]; whatever is no answer leaves the outcome unknown.
pub fn interpret(request: &PayRequest, response: &HttpResponse) -> Result<Outcome, Fault> {
    let ours = request.payment.payment_ref.as_str();
    let order: Order = match reply::read(response)? {
        Ok(order) => order,
        Err(refusal) if refusal.is_final() => {
            let mut fact = facts::payment(PaymentStatus::Failed, ours, refusal.word());
            fact.reason = Some(refusal.words());
            return Ok(facts::report(fact));
        }
        Err(refusal) => return Err(refusal.fault()),
    };
    let fact = status::order(&order).map_err(Fault::outcome_unknown)?;
    if fact.payment_ref.as_deref() != Some(ours) {
        return Err(fault::protocol("the order is another payment's").outcome_unknown());
    }
    let page = ["payer-action", "approve"]
        .iter()
        .find_map(|rel| order.links.iter().find(|link| link.rel == *rel));
    let until = request.expires_ms.min(request.payment.created_ms.saturating_add(ORDER_LIFE_MS));
    Ok(Outcome::Report(Report {
        fact,
        action: page.map_or(NextAction::None, |link| NextAction::Redirect(link.href.clone())),
        action_expires_ms: Some(until),
        keep: Some(order.id.into_bytes()),
    }))
}
