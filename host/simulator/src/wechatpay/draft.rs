//! Notifications on demand: honest, bent or forged.
use serde_json::json;

use super::WechatPay;
use super::keys::Mode;
use super::notice::{Notice, Seal};
use crate::ledger::Trade;
use crate::notifier::Message;
use crate::order::Order;
use crate::provider::Denied;

/// The notification that an order asks for, not yet sent.
pub fn draft(wechat: &WechatPay, trade: &Trade, order: &Order) -> Result<Message, Denied> {
    let kind = order.event(trade)?;
    let notice = Notice::of(wechat, trade, &kind);
    let mut notice = notice.ok_or_else(|| Denied::Conflict("nobody is told of that".to_owned()))?;
    bend(&mut notice, order)?;
    for (name, value) in &order.set {
        notice.content[name] = json!(value);
    }
    for name in &order.remove {
        if let Some(members) = notice.content.as_object_mut() {
            members.remove(name);
        }
    }
    Ok(notice.seal(wechat)?)
}

fn bend(notice: &mut Notice, order: &Order) -> Result<(), Denied> {
    let value = order.value.as_deref();
    let mode = notice.mode();
    match order.kind.as_str() {
        "truth" | "refund_notice" => {}
        "success" => {
            notice.content["trade_state"] = json!("SUCCESS");
            let at = notice.content["success_time"].as_str().map(str::to_owned);
            notice.content["success_time"] =
                json!(at.unwrap_or_else(|| "2026-01-01T00:00:00+08:00".to_owned()));
        }
        "forge" => notice.seal = Seal::Forged(mode),
        "unsigned" => notice.seal = Seal::Unsigned,
        "by_certificate" => notice.seal = Seal::Platform(Mode::Certificate),
        "probe" => notice.seal = Seal::Probe(mode),
        "other_serial" => {
            notice.seal = Seal::OtherSerial(value.unwrap_or("0000000000000001").to_owned());
        }
        "stale" => notice.age_s = value.and_then(|value| value.parse().ok()).unwrap_or(301),
        "wrong_amount" => {
            let total = notice.content["amount"]["total"].as_i64().unwrap_or(0);
            let lie = value.and_then(|value| value.parse().ok()).unwrap_or(total + 1);
            notice.content["amount"]["total"] = json!(lie);
        }
        "other_app" => notice.content["appid"] = json!(value.unwrap_or("wx0000000000000001")),
        "other_merchant" => notice.content["mchid"] = json!(value.unwrap_or("1000000001")),
        "other_algorithm" => value.unwrap_or("AES_128_CBC").clone_into(&mut notice.algorithm),
        "refunded_state" => notice.content["trade_state"] = json!("REFUND"),
        _ => return Err(order.unknown()),
    }
    Ok(())
}
