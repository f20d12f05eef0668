//! Events on demand: honest, bent or forged.
use serde_json::json;

use super::events::{Notice, Seal};
use super::{Stripe, objects};
use crate::ledger::{EventKind, Trade};
use crate::notifier::Message;
use crate::order::Order;
use crate::provider::Denied;

/// The event that an order asks for, not yet sent.
pub fn draft(stripe: &Stripe, trade: &Trade, order: &Order) -> Result<Message, Denied> {
    let kind = order.event(trade)?;
    let all = Notice::all_of(stripe, trade, &kind);
    // Of a payment the one about the session, of a refund the one about the refund.
    let notice = match kind {
        EventKind::Refunded(_) => all.into_iter().next(),
        _ => all.into_iter().next_back(),
    };
    let mut notice = notice.ok_or_else(|| Denied::Conflict("nobody is told of that".to_owned()))?;
    bend(stripe, trade, &mut notice, order)?;
    for (name, value) in &order.set {
        match notice.object.pointer_mut(name).filter(|_| name.starts_with('/')) {
            Some(place) => *place = json!(value),
            None => notice.object[name] = json!(value),
        }
    }
    for name in &order.remove {
        if let Some(members) = notice.object.as_object_mut() {
            members.remove(name);
        }
    }
    Ok(notice.seal(stripe))
}

fn bend(stripe: &Stripe, trade: &Trade, notice: &mut Notice, order: &Order) -> Result<(), Denied> {
    let value = order.value.as_deref();
    match order.kind.as_str() {
        "truth" | "refund_notice" => {}
        "success" => {
            notice.object["status"] = json!("complete");
            notice.object["payment_status"] = json!("paid");
        }
        "forge" => notice.seal = Seal::Forged,
        "unsigned" => notice.seal = Seal::Unsigned,
        "rolled" => notice.seal = Seal::Rolled,
        "only_v0" => notice.seal = Seal::OnlyV0,
        "rewritten" => notice.rewritten = true,
        "stale" => notice.age_s = value.and_then(|value| value.parse().ok()).unwrap_or(301),
        "live" => notice.livemode = true,
        "wrong_amount" => {
            let truth = notice.object["amount_total"].as_i64().unwrap_or(0);
            let lie = value.and_then(|value| value.parse().ok()).unwrap_or(truth + 1);
            notice.object["amount_total"] = json!(lie);
        }
        "wrong_currency" => notice.object["currency"] = json!(value.unwrap_or("eur")),
        "unpaid" => notice.object["payment_status"] = json!("unpaid"),
        "expired" => {
            notice.kind = "checkout.session.expired".to_owned();
            notice.object["status"] = json!("expired");
            notice.object["payment_status"] = json!("unpaid");
        }
        "payment_failed" => {
            notice.kind = "payment_intent.payment_failed".to_owned();
            notice.object = objects::intent(stripe, trade, false);
            notice.object["status"] = json!("requires_payment_method");
        }
        "dispute" => {
            notice.kind = "charge.dispute.created".to_owned();
            notice.object = objects::dispute(trade);
        }
        "unknown" => {
            notice.kind = value.unwrap_or("customer.created").to_owned();
            notice.object = json!({ "id": "cus_1", "object": "customer" });
        }
        "thin" => notice.kind = "v1.billing.meter.no_meter_found".to_owned(),
        _ => return Err(order.unknown()),
    }
    Ok(())
}
