//! Orders: made for a product, asked about, closed.
use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::keys::Mode;
use super::wire::{ApiError, Call, Reply};
use super::{WechatPay, is_paid, numbers};
use crate::clock::{in_china, later};
use crate::ledger::{Opening, Standing, Trade};
use crate::money::Amount;
use crate::provider::currency;

/// An order without an end is good for seven days; one with an end, for a minute at least.
const DEFAULT_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
const SHORTEST_LIFE: SignedDuration = SignedDuration::from_secs(60);
const LONGEST_DESCRIPTION: usize = 127;

/// The wire's word for where an order stands. `REFUND` says that something was given back, not how much.
pub fn trade_state(trade: &Trade) -> &'static str {
    match trade.standing {
        _ if is_paid(trade) && !trade.refunds.is_empty() => "REFUND",
        _ if is_paid(trade) => "SUCCESS",
        Standing::Closed => "CLOSED",
        _ => "NOTPAY",
    }
}

/// RFC 3339 in China.
pub fn china_rfc3339(at: Timestamp) -> String {
    in_china(at).strftime("%Y-%m-%dT%H:%M:%S+08:00").to_string()
}

/// An order as a query and a notification tell it.
pub fn transaction(wechat: &WechatPay, trade: &Trade) -> Value {
    let opening = &trade.opening;
    let mut json = json!({
        "appid": wechat.credentials.appid, "mchid": wechat.credentials.mchid,
        "out_trade_no": opening.reference, "trade_state": trade_state(trade),
        "trade_state_desc": "模拟", "promotion_detail": [],
        "amount": { "total": opening.amount.0, "currency": "CNY" },
    });
    if let Some(paid_at) = trade.paid_at {
        json["transaction_id"] = json!(trade.provider_reference);
        json["trade_type"] = json!(trade_type(&opening.product));
        json["bank_type"] = json!("OTHERS");
        json["success_time"] = json!(china_rfc3339(paid_at));
        json["payer"] = json!({ "openid": "ofyak5qR_1wYsC99CsWA6R9MJazA" });
        let coupon = wechat.coupon(trade).0;
        json["amount"]["payer_total"] = json!(opening.amount.0 - coupon);
        if coupon > 0 {
            json["promotion_detail"] = json!([{
                "coupon_id": "10901", "name": "满减", "scope": "GLOBAL", "type": "NOCASH",
                "amount": coupon, "currency": "CNY", "wechatpay_contribute": 0,
                "merchant_contribute": coupon, "other_contribute": 0,
            }]);
        }
        json["amount"]["payer_currency"] = json!("CNY");
    }
    json
}

/// The wire's word for a product.
pub fn trade_type(product: &str) -> &'static str {
    match product {
        "h5" => "MWEB",
        "jsapi" => "JSAPI",
        "app" => "APP",
        _ => "NATIVE",
    }
}

/// `POST /v3/pay/transactions/{product}`
pub fn prepare(wechat: &WechatPay, call: &Call<'_>) -> Reply {
    let now = wechat.now();
    let opening = read(wechat, call, now)?;
    let (reference, product) = (opening.reference.clone(), opening.product.clone());
    {
        let mut book = wechat.book();
        let number = numbers::transaction_id(&wechat.chance, now);
        book.ledger.prepare(opening, number, now)?;
        // An order exists as soon as it was asked for, whether anybody scans or not.
        book.ledger.open(&reference, now)?;
    }
    let token = wechat.chance.token();
    wechat.desk().tickets.insert(token.clone(), reference);
    Ok(Some(match product.as_str() {
        "native" => json!({ "code_url": format!("weixin://wxpay/bizpayurl?pr={token}") }),
        "h5" => {
            json!({ "h5_url": format!("{}/h5/{token}?package=4049184564", wechat.base) })
        }
        _ => json!({ "prepay_id": token }),
    }))
}

fn read(wechat: &WechatPay, call: &Call<'_>, now: Timestamp) -> Result<Opening, ApiError> {
    let product = call.path[2];
    let own = &wechat.credentials;
    if call.text("appid")? != own.appid || call.text("mchid")? != own.mchid {
        let text = "appid和mchid不匹配";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "APPID_MCHID_NOT_MATCH", text));
    }
    let reference = call.text("out_trade_no")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-*|".contains(&byte);
    if !(6..=32).contains(&reference.len()) || !reference.bytes().all(allowed) {
        return Err(ApiError::parameter("out_trade_no"));
    }
    let subject = call.text("description")?;
    if subject.chars().count() > LONGEST_DESCRIPTION {
        return Err(ApiError::parameter("description"));
    }
    let amount = &call.json["amount"];
    let total = amount["total"].as_i64().filter(|total| *total >= 1);
    let total = total.ok_or_else(|| ApiError::parameter("amount.total"))?;
    if amount["currency"].as_str().is_some_and(|currency| currency != "CNY") {
        return Err(ApiError::parameter("amount.currency"));
    }
    let scene = &call.json["scene_info"];
    let fits = match product {
        "jsapi" => call.json["payer"]["openid"].is_string(),
        "h5" => scene["payer_client_ip"].is_string() && scene["h5_info"]["type"].is_string(),
        _ => true,
    };
    if !fits {
        return Err(ApiError::parameter("payer, scene_info"));
    }
    let notify_url = call.text("notify_url")?;
    if notify_url.len() > 255 || notify_url.contains('?') {
        return Err(ApiError::parameter("notify_url"));
    }
    let mode = if call.mode == Mode::PublicKey { "public-key" } else { "certificate" };
    let mut echoed = BTreeMap::from([("mode".to_owned(), mode.to_owned())]);
    if let Some(attach) = call.json["attach"].as_str() {
        echoed.insert("attach".to_owned(), attach.to_owned());
    }
    Ok(Opening {
        reference,
        amount: Amount(total),
        currency: currency::<WechatPay>(),
        subject,
        product: product.to_owned(),
        echoed,
        notify_url: Some(notify_url),
        return_url: None,
        quit_url: None,
        expires_at: expiry(call, now)?,
    })
}

fn expiry(call: &Call<'_>, now: Timestamp) -> Result<Timestamp, ApiError> {
    let Some(text) = call.json["time_expire"].as_str() else {
        return Ok(later(now, DEFAULT_LIFE));
    };
    let at: Timestamp = text.parse().map_err(|_| ApiError::parameter("time_expire"))?;
    match at >= later(now, SHORTEST_LIFE) {
        true => Ok(at),
        false => Err(ApiError::parameter("time_expire")),
    }
}

/// `GET /v3/pay/transactions/out-trade-no/{out_trade_no}`
pub fn query(wechat: &WechatPay, reference: &str) -> Reply {
    let trade = wechat.book().ledger.seen(reference, wechat.now())?.clone();
    Ok(Some(transaction(wechat, &trade)))
}

/// `POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close`
pub fn close(wechat: &WechatPay, reference: &str) -> Reply {
    wechat.book().ledger.close(reference, wechat.now())?;
    Ok(None)
}
