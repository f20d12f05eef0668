//! Orders and captures: made, looked at, captured once the payer has approved.
use std::collections::BTreeMap;

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::wire::{ApiError, Call, Reply};
use super::{MERCHANT_ID, PayPal, refunds};
use crate::chance::Chance;
use crate::clock::later;
use crate::ledger::{Opening, Standing, Trade};
use crate::money::{Amount, Currency};

/// An order that nobody approved lapses.
const ORDER_LIFE: SignedDuration = SignedDuration::from_hours(3);
/// Currencies without decimals here.
const NO_DECIMALS: [&str; 3] = ["HUF", "JPY", "TWD"];

/// A number in PayPal's shape: seventeen capitals and digits.
pub fn number(chance: &Chance) -> String {
    chance.alphanumeric(17).to_uppercase()
}

/// RFC 3339 in UTC, to the second.
pub fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An amount as the API writes it.
pub fn amount(trade: &Trade, amount: Amount) -> Value {
    let currency = &trade.opening.currency;
    json!({ "currency_code": currency.code, "value": amount.decimal_in(currency.exponent) })
}

/// The API's word for where an order stands.
pub fn status(paypal: &PayPal, trade: &Trade) -> &'static str {
    let desk = paypal.desk();
    let reference = &trade.opening.reference;
    match trade.standing {
        _ if trade.paid_at.is_some() || desk.waiting.contains(reference) => "COMPLETED",
        Standing::Closed => "VOIDED",
        _ if desk.approved.contains(reference) => "APPROVED",
        _ => "PAYER_ACTION_REQUIRED",
    }
}

/// A capture, once there is one.
pub fn capture_of(paypal: &PayPal, trade: &Trade) -> Option<Value> {
    let waits = paypal.desk().waiting.contains(&trade.opening.reference);
    let at = match (trade.paid_at, waits) {
        (Some(at), _) => at,
        (None, true) => trade.prepared_at,
        (None, false) => return None,
    };
    let held = trade.refunds.iter().filter(|refund| !refunds::has_failed(paypal, refund));
    let given_back = Amount(held.map(|refund| refund.amount.0).sum());
    let is_denied = paypal.desk().denied.contains(&trade.opening.reference);
    let status = match () {
        () if is_denied => "DECLINED",
        () if waits => "PENDING",
        () if given_back.0 == 0 => "COMPLETED",
        () if given_back == trade.opening.amount => "REFUNDED",
        () => "PARTIALLY_REFUNDED",
    };
    let mut capture = json!({
        "id": trade.provider_reference, "status": status, "final_capture": true,
        "amount": amount(trade, trade.opening.amount), "custom_id": trade.opening.reference,
        "create_time": utc(at), "update_time": utc(at),
        "links": [{
            "href": format!("{}/v2/payments/captures/{}", paypal.base, trade.provider_reference),
            "rel": "self", "method": "GET",
        }],
    });
    if waits && !is_denied {
        capture["status_details"] = json!({ "reason": "PENDING_REVIEW" });
    }
    Some(capture)
}

fn id_of(paypal: &PayPal, trade: &Trade) -> String {
    let desk = paypal.desk();
    let found = desk.orders.iter().find(|(_, reference)| **reference == trade.opening.reference);
    found.map(|(id, _)| id.clone()).unwrap_or_default()
}

/// An order.
pub fn order(paypal: &PayPal, trade: &Trade) -> Value {
    let id = id_of(paypal, trade);
    let mut unit = json!({
        "reference_id": "default", "custom_id": trade.opening.reference,
        "description": trade.opening.subject, "amount": amount(trade, trade.opening.amount),
        "payee": { "merchant_id": MERCHANT_ID },
    });
    if let Some(capture) = capture_of(paypal, trade) {
        let refunds: Vec<Value> =
            trade.refunds.iter().map(|refund| refunds::object(paypal, trade, refund)).collect();
        unit["payments"] = json!({ "captures": [capture], "refunds": refunds });
    }
    let link = |rel: &str, path: String| json!({ "href": format!("{}/{path}", paypal.base), "rel": rel, "method": "GET" });
    json!({
        "id": id, "intent": "CAPTURE", "status": status(paypal, trade), "purchase_units": [unit],
        "create_time": utc(trade.prepared_at),
        "links": [
            link("self", format!("v2/checkout/orders/{id}")),
            link("payer-action", format!("checkoutnow/{id}")),
        ],
    })
}

/// `POST /v2/checkout/orders`
pub fn create(paypal: &PayPal, call: &Call<'_>) -> Reply {
    let json = &call.json;
    let unit = &json["purchase_units"][0];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if json["intent"] != "CAPTURE" || json["purchase_units"].as_array().map(Vec::len) != Some(1) {
        return Err(ApiError::invalid("MISSING_REQUIRED_PARAMETER"));
    }
    let reference = text(&unit["custom_id"]);
    let reference = reference.ok_or_else(|| ApiError::invalid("MISSING_REQUIRED_PARAMETER"))?;
    let code = text(&unit["amount"]["currency_code"]).unwrap_or_default();
    let exponent = if NO_DECIMALS.contains(&code.as_str()) { 0 } else { 2 };
    let value = text(&unit["amount"]["value"]).unwrap_or_default();
    let asked = Amount::parse_in(&value, exponent).filter(|amount| amount.0 > 0);
    let asked = asked.ok_or_else(|| ApiError::issue("DECIMAL_PRECISION"))?;
    let context = &json["payment_source"]["paypal"]["experience_context"];
    let return_url = text(&context["return_url"]);
    if return_url.is_none() || reference.len() > 127 {
        return Err(ApiError::invalid("INVALID_PARAMETER_VALUE"));
    }
    let now = paypal.now();
    let opening = Opening {
        reference: reference.clone(),
        amount: asked,
        currency: Currency { code, exponent },
        subject: text(&unit["description"]).unwrap_or_else(|| "Order".to_owned()),
        product: "wallet".to_owned(),
        echoed: BTreeMap::new(),
        notify_url: None,
        return_url,
        quit_url: text(&context["cancel_url"]),
        expires_at: later(now, ORDER_LIFE),
    };
    let trade = {
        let mut book = paypal.book();
        book.ledger.prepare(opening, number(&paypal.chance), now)?;
        book.ledger.open(&reference, now)?.clone()
    };
    paypal.desk().orders.insert(number(&paypal.chance), reference);
    Ok((StatusCode::CREATED, order(paypal, &trade)))
}

fn found(paypal: &PayPal, id: &str) -> Result<Trade, ApiError> {
    let reference = paypal.desk().orders.get(id).cloned().ok_or_else(ApiError::missing)?;
    Ok(paypal.book().ledger.seen(&reference, paypal.now())?.clone())
}

/// `GET /v2/checkout/orders/{id}`
pub fn retrieve(paypal: &PayPal, id: &str) -> Reply {
    let trade = found(paypal, id)?;
    Ok((StatusCode::OK, order(paypal, &trade)))
}

/// `POST /v2/checkout/orders/{id}/capture`
pub fn capture(paypal: &PayPal, id: &str) -> Reply {
    let trade = found(paypal, id)?;
    let reference = trade.opening.reference.clone();
    match status(paypal, &trade) {
        "APPROVED" => {}
        "COMPLETED" => return Err(ApiError::issue("ORDER_ALREADY_CAPTURED")),
        _ => return Err(ApiError::issue("ORDER_NOT_APPROVED")),
    }
    if paypal.desk().declined.remove(&reference) {
        paypal.desk().approved.remove(&reference);
        return Err(ApiError::issue("INSTRUMENT_DECLINED"));
    }
    if paypal.desk().held.contains(&reference) {
        paypal.desk().waiting.insert(reference.clone());
    } else {
        paypal.book().ledger.pay(&reference, paypal.now())?;
    }
    let trade = paypal.trade(&reference)?;
    Ok((StatusCode::CREATED, order(paypal, &trade)))
}
