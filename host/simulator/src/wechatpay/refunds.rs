//! Refunds: taken at once, done a moment later, told by notification and query.
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::orders::china_rfc3339;
use super::wire::{ApiError, Call, Reply};
use super::{WechatPay, numbers};
use crate::ledger::{Refund, Refusal, Trade};
use crate::money::Amount;

/// What of a refund is of the coupon that the payer used: as much of it as of the whole.
pub fn coupon_part(trade: &Trade, refund: &Refund, coupon: Amount) -> Amount {
    Amount(coupon.0 * refund.amount.0 / trade.opening.amount.0)
}

/// A refund as the API tells it.
pub fn object(wechat: &WechatPay, trade: &Trade, refund: &Refund, status: &str) -> Value {
    let index = trade.refunds.iter().position(|it| it.request_no == refund.request_no);
    let coupon = wechat.coupon(trade);
    let (total, part) = (trade.opening.amount.0, coupon_part(trade, refund, coupon).0);
    let (settled, settled_back) = (total - coupon.0, refund.amount.0 - part);
    let mut json = json!({
        "refund_id": numbers::refund_id(&trade.provider_reference[7..], index.unwrap_or(0)),
        "out_refund_no": refund.request_no, "transaction_id": trade.provider_reference,
        "out_trade_no": trade.opening.reference, "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱", "create_time": china_rfc3339(refund.at),
        "status": status, "funds_account": "AVAILABLE", "promotion_detail": [],
        "amount": {
            "total": total, "refund": refund.amount.0, "payer_total": settled,
            "payer_refund": settled_back, "settlement_refund": settled_back,
            "settlement_total": settled, "discount_refund": part, "currency": "CNY", "from": [],
        },
    });
    if status == "SUCCESS" {
        json["success_time"] = json!(china_rfc3339(refund.at));
    }
    json
}

/// `POST /v3/refund/domestic/refunds`
pub fn refund(wechat: &WechatPay, call: &Call<'_>) -> Reply {
    let reference = call.text("out_trade_no")?;
    let number = call.text("out_refund_no")?;
    let amount = &call.json["amount"];
    let asked = amount["refund"].as_i64().ok_or_else(|| ApiError::parameter("amount.refund"))?;
    let total = amount["total"].as_i64().ok_or_else(|| ApiError::parameter("amount.total"))?;
    let reason = call.json["reason"].as_str().map(str::to_owned);
    if reason.as_ref().is_some_and(|reason| reason.len() > 80) {
        return Err(ApiError::parameter("reason"));
    }
    let mut book = wechat.book();
    let trade = book.ledger.get(&reference).ok_or_else(missing)?;
    if trade.opening.amount.0 != total {
        let text = "订单金额与原订单不一致";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", text));
    }
    let done = book.ledger.refund(&reference, Some(&number), Amount(asked), reason, wechat.now());
    done.map_err(|refusal| match refusal {
        Refusal::WrongStanding => missing(),
        // All of it was given back.
        Refusal::Closed => Refusal::RefundTooMuch.into(),
        other => other.into(),
    })?;
    let trade = book.ledger.get(&reference).ok_or_else(missing)?;
    let refund = trade.refund(&number).ok_or_else(missing)?;
    Ok(Some(object(wechat, trade, refund, "PROCESSING")))
}

/// `GET /v3/refund/domestic/refunds/{out_refund_no}`
pub fn query(wechat: &WechatPay, number: &str) -> Reply {
    let book = wechat.book();
    let found = book.ledger.trades().find_map(|trade| Some((trade, trade.refund(number)?)));
    let (trade, refund) = found.ok_or_else(missing)?;
    Ok(Some(object(wechat, trade, refund, "SUCCESS")))
}

fn missing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", "不存在")
}
