//! Refunds: done at once, and sometimes found to have failed later.
use serde_json::{Value, json};

use super::wire::{ApiError, Call, Reply};
use super::{Stripe, objects, payments};
use crate::ledger::{Refund, Refusal, Trade};
use crate::money::Amount;

/// The id of a trade's refund.
pub fn id(trade: &Trade, refund: &Refund) -> String {
    let index = trade.refunds.iter().position(|it| it.request_no == refund.request_no);
    format!("{}_{}", trade.provider_reference.replacen("pi_", "re_", 1), index.unwrap_or(0))
}

/// A refund as the API tells it.
pub fn object(stripe: &Stripe, trade: &Trade, refund: &Refund) -> Value {
    let (has_failed, by_api) = {
        let desk = stripe.desk();
        (desk.failed.contains(&refund.request_no), desk.asked.contains(&refund.request_no))
    };
    let mut metadata = json!({});
    if by_api {
        metadata = objects::metadata(trade);
        metadata["refund"] = json!(refund.request_no);
    }
    json!({
        "id": id(trade, refund), "object": "refund", "amount": refund.amount.0,
        "currency": objects::currency(trade), "created": refund.at.as_second(),
        "status": if has_failed { "failed" } else { "succeeded" },
        "failure_reason": has_failed.then_some("expired_or_canceled_card"),
        "payment_intent": trade.provider_reference, "charge": objects::charge_id(trade),
        "metadata": metadata,
    })
}

/// `POST /v1/refunds`
pub fn create(stripe: &Stripe, call: &Call<'_>) -> Reply {
    call.only(&["payment_intent", "amount", "metadata[", "reason", "expand["])?;
    let intent = call.need("payment_intent")?;
    let (amount, number) = (call.number("amount")?, call.need("metadata[refund]")?.to_owned());
    stripe.desk().asked.insert(number.clone());
    let trade = {
        let mut book = stripe.book();
        let reference = book.ledger.reference_of(intent).map(str::to_owned);
        let reference = reference.ok_or_else(|| ApiError::missing(intent))?;
        let done =
            book.ledger.refund(&reference, Some(&number), Amount(amount), None, stripe.now());
        done.map_err(|refusal| match refusal {
            Refusal::Closed => Refusal::RefundTooMuch,
            other => other,
        })?;
        book.ledger.get(&reference).cloned().ok_or(Refusal::UnknownTrade)?
    };
    let refund = trade.refund(&number).ok_or(Refusal::UnknownTrade)?;
    Ok(object(stripe, &trade, refund))
}

/// `GET /v1/refunds/{id}`, `GET /v1/refunds?payment_intent=`
pub fn retrieve(stripe: &Stripe, call: &Call<'_>) -> Reply {
    let trades: Vec<Trade> = stripe.book().ledger.trades().cloned().collect();
    if let Some(wanted) = call.path.get(1) {
        let all = trades.iter().flat_map(|trade| trade.refunds.iter().map(move |it| (trade, it)));
        let mut of_id = all.filter(|(trade, refund)| id(trade, refund) == *wanted);
        let (trade, refund) = of_id.next().ok_or_else(|| ApiError::missing(wanted))?;
        return Ok(object(stripe, trade, refund));
    }
    call.only(&["payment_intent", "limit", "starting_after"])?;
    let intent = call.need("payment_intent")?;
    let of_payment = trades.iter().filter(|trade| trade.provider_reference == intent);
    let all = of_payment.flat_map(|trade| {
        trade.refunds.iter().rev().map(move |refund| object(stripe, trade, refund))
    });
    Ok(payments::page(call, all.collect()))
}
