//! Asking what became of an order. PayPal has no way to ask by our own reference: an order whose number was lost is asked for
//! again under the same id, which gives the same one.

use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, Payment, PaymentStatus};
use tollgate_sdk::{facts, fault};

use crate::objects::Order;
use crate::pay::ORDERS;
use crate::{gateway, reply, status};

/// PayPal's number of the payment's order, if it is known.
pub fn order_id(payment: &Payment) -> Option<&str> {
    std::str::from_utf8(&payment.kept).ok().filter(|id| !id.is_empty())
}

/// Builds the query.
///
/// # Errors
/// `config` without an address.
pub fn build(context: &Context, payment: &Payment) -> Result<Step, Fault> {
    let Some(id) = order_id(payment) else {
        let raw = "its number is not known";
        let fact = facts::payment(PaymentStatus::NotFound, &payment.payment_ref, raw);
        return Ok(Step::Done(facts::report(fact)));
    };
    let request = gateway::get(context, &format!("{ORDERS}/{id}"), Vec::new())?;
    Ok(Step::Send((request, Vec::new())))
}

/// Reads the answer. An order that nobody paid lapses, and is gone.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(payment: &Payment, response: &HttpResponse) -> Result<Outcome, Fault> {
    let ours = payment.payment_ref.as_str();
    let order: Order = match reply::read(response)? {
        Ok(order) => order,
        Err(refusal) if refusal.is_missing() => {
            let mut fact = facts::payment(PaymentStatus::Closed, ours, refusal.word());
            fact.reason = Some(refusal.words());
            return Ok(facts::report(fact));
        }
        Err(refusal) => return Err(refusal.fault()),
    };
    report(&order, payment)
}

/// The report of an order that must be the payment's.
pub fn report(order: &Order, payment: &Payment) -> Result<Outcome, Fault> {
    let fact = status::order(order).map_err(Fault::outcome_unknown)?;
    let is_ours = fact.payment_ref.as_deref() == Some(payment.payment_ref.as_str())
        && order_id(payment).is_none_or(|id| id == order.id);
    if !is_ours {
        return Err(fault::protocol("the answer is about another order").outcome_unknown());
    }
    Ok(facts::report(fact))
}
