//! Notifications on demand: honest, bent or forged.
use super::UnionPay;
use super::notice::{Notice, Seal};
use crate::ledger::Trade;
use crate::notifier::Message;
use crate::order::Order;
use crate::provider::Denied;

/// The notification that an order asks for, not yet sent.
pub fn draft(unionpay: &UnionPay, trade: &Trade, order: &Order) -> Result<Message, Denied> {
    let kind = order.event(trade)?;
    let notice = Notice::of(unionpay, trade, &kind);
    let mut notice = notice.ok_or_else(|| Denied::Conflict("nobody is told of that".to_owned()))?;
    bend(&mut notice, order)?;
    for (name, value) in &order.set {
        notice.fields.insert(name.clone(), value.clone());
    }
    for name in &order.remove {
        notice.fields.remove(name);
    }
    Ok(notice.message(unionpay)?)
}

fn bend(notice: &mut Notice, order: &Order) -> Result<(), Denied> {
    let value = order.value.as_deref();
    let mut put = |name: &str, value: &str| {
        notice.fields.insert(name.to_owned(), value.to_owned());
    };
    match order.kind.as_str() {
        "truth" | "success" | "refund_notice" => {}
        "forge" => notice.seal = Seal::Forged,
        "test_name" => notice.seal = Seal::TestName,
        "merchant_certificate" => notice.seal = Seal::Merchant,
        "self_signed" => notice.seal = Seal::SelfSigned,
        "unsigned" => notice.seal = Seal::Unsigned,
        "wrong_amount" => {
            let truth: i64 =
                notice.fields.get("txnAmt").and_then(|text| text.parse().ok()).unwrap_or(0);
            let lie = value.map_or_else(|| (truth + 1).to_string(), str::to_owned);
            notice.fields.insert("txnAmt".to_owned(), lie);
        }
        "other_merchant" => put("merId", value.unwrap_or("700000000000001")),
        "other_version" => put("version", value.unwrap_or("5.0.0")),
        "other_method" => put("signMethod", value.unwrap_or("11")),
        "code" => put("respCode", value.unwrap_or("A6")),
        "duplicate_field" => {
            let value = value.unwrap_or("1").to_owned();
            notice.doubled = Some(("txnAmt".to_owned(), value));
        }
        _ => return Err(order.unknown()),
    }
    Ok(())
}
