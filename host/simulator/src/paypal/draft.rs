//! Webhooks on demand: honest, bent or forged.
use serde_json::json;

use super::events::Notice;
use super::orders::order;
use super::{PayPal, disputes};
use crate::ledger::Trade;
use crate::notifier::Message;
use crate::order::Order;
use crate::provider::Denied;

/// The webhook that an order asks for, not yet sent.
pub fn draft(paypal: &PayPal, trade: &Trade, wanted: &Order) -> Result<Message, Denied> {
    let kind = wanted.event(trade)?;
    // Before the money was taken, that the payer has approved is all there is to tell.
    let approved = || {
        let order = order(paypal, trade);
        Notice::new(paypal, "CHECKOUT.ORDER.APPROVED", "checkout-order", order)
    };
    let mut notice = match wanted.kind.as_str() {
        "dispute" => disputes::told(paypal, trade, wanted.value.as_deref().unwrap_or("CREATED")),
        _ => Notice::of(paypal, trade, &kind).unwrap_or_else(approved),
    };
    bend(&mut notice, wanted)?;
    for (name, value) in &wanted.set {
        match notice.resource.pointer_mut(name).filter(|_| name.starts_with('/')) {
            Some(place) => *place = json!(value),
            None => notice.resource[name] = json!(value),
        }
    }
    for name in &wanted.remove {
        if let Some(members) = notice.resource.as_object_mut() {
            members.remove(name);
        }
    }
    Ok(notice.message(paypal))
}

fn bend(notice: &mut Notice, order: &Order) -> Result<(), Denied> {
    let value = order.value.as_deref();
    match order.kind.as_str() {
        "truth" | "success" | "refund_notice" | "dispute" => {}
        "forge" => notice.is_signed_right = false,
        "unsigned" => notice.without.push("paypal-transmission-sig".to_owned()),
        "without" => notice.without.push(value.unwrap_or("paypal-cert-url").to_owned()),
        "rewritten" => notice.rewritten = true,
        "stale" => notice.age_s = value.and_then(|value| value.parse().ok()).unwrap_or(400_000),
        // Signed by PayPal, for the webhook of the app's other mode.
        "live" => notice.webhook_id = "8PT597110X687430L",
        "wrong_amount" => {
            notice.resource["amount"] =
                json!({ "currency_code": "USD", "value": value.unwrap_or("0.01") });
        }
        "denied" => {
            notice.kind = "PAYMENT.CAPTURE.DENIED".to_owned();
            notice.resource["status"] = json!("DECLINED");
        }
        // The payer has not been charged in time: what is told of the order has its number under another name.
        "lapsed" => {
            notice.kind = "CHECKOUT.PAYMENT-APPROVAL.REVERSED".to_owned();
            notice.resource = json!({
                "order_id": notice.resource["id"],
                "purchase_units": notice.resource["purchase_units"],
            });
        }
        "taken_back" => notice.kind = "PAYMENT.CAPTURE.REVERSED".to_owned(),
        "unknown" => {
            notice.kind = value.unwrap_or("VAULT.PAYMENT-TOKEN.CREATED").to_owned();
            notice.resource = json!({ "id": "vault" });
        }
        _ => return Err(order.unknown()),
    }
    Ok(())
}
