//! Notifications on demand: honest, bent or forged.
use jiff::Timestamp;

use super::notice::{Notice, Seal, Truth};
use super::{Alipay, form, numbers};
use crate::clock::china_text;
use crate::ledger::Trade;
use crate::notifier::Message;
use crate::order::Order;
use crate::provider::Denied;

/// The notification that an order asks for, not yet sent.
pub fn draft(alipay: &Alipay, trade: &Trade, order: &Order) -> Result<Message, Denied> {
    let now = alipay.now();
    let kind = order.event(trade)?;
    let notify_id = numbers::notify_id(&alipay.chance, now);
    let credentials = &alipay.credentials;
    let mut notice = Notice::of(&Truth { trade, kind: &kind, credentials, notify_id, now });
    bend(&mut notice, order, now)?;
    for (name, value) in &order.set {
        notice.put(name, value);
    }
    for name in &order.remove {
        notice.remove(name);
    }
    Ok(form(notice.seal(credentials)?))
}

fn bend(notice: &mut Notice, order: &Order, now: Timestamp) -> Result<(), Denied> {
    let value = order.value.as_deref();
    match order.kind.as_str() {
        "truth" | "refund_notice" => {}
        "forge" => notice.sealed_by(Seal::Forged),
        "unsigned" => notice.sealed_by(Seal::Unsigned),
        "wrong_amount" => notice.lie_about_amount(value),
        "other_app" => {
            let app_id = value.unwrap_or("2021000000000001");
            notice.put("app_id", app_id);
            notice.put("auth_app_id", app_id);
        }
        "other_seller" => notice.put("seller_id", value.unwrap_or("2088000000000001")),
        "sign_type_rsa" => notice.put("sign_type", "RSA"),
        "v2" => notice.sealed_by(Seal::V2),
        "duplicate_field" => notice.double("total_amount", value.unwrap_or("0.01")),
        "finished" | "success" => {
            let finished = order.kind == "finished";
            notice.put("trade_status", if finished { "TRADE_FINISHED" } else { "TRADE_SUCCESS" });
            if notice.get("gmt_payment").is_none() {
                notice.put("gmt_payment", china_text(now));
            }
        }
        "closed_after_paid" => {
            notice.put("trade_status", "TRADE_CLOSED");
            notice.put("gmt_close", china_text(now));
            for name in ["refund_fee", "gmt_refund", "gmt_payment"] {
                notice.remove(name);
            }
        }
        "wait_after_paid" => {
            notice.put("trade_status", "WAIT_BUYER_PAY");
            notice.remove("gmt_payment");
        }
        _ => return Err(order.unknown()),
    }
    Ok(())
}
