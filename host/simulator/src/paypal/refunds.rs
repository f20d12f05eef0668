//! Refunds of captures.
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::orders::{amount, utc};
use super::wire::{ApiError, Call, Reply};
use super::{PayPal, orders};
use crate::ledger::{Refund, Refusal, Trade};
use crate::money::Amount;

/// The number of a trade's refund.
pub fn id(trade: &Trade, refund: &Refund) -> String {
    let index = trade.refunds.iter().position(|it| it.request_no == refund.request_no);
    format!("{}R{:02}", &trade.provider_reference[..14], index.unwrap_or(0))
}

/// Whether a refund, which had succeeded, turned out to have failed.
pub fn has_failed(paypal: &PayPal, refund: &Refund) -> bool {
    paypal.desk().failed.contains(&refund.request_no)
}

/// The custom id of a refund: that which it was asked for under, or its payment's if it was made on PayPal's own pages.
pub fn custom_id<'a>(trade: &'a Trade, refund: &'a Refund) -> &'a str {
    match refund.reason.as_deref() {
        Some("api") => &refund.request_no,
        _ => &trade.opening.reference,
    }
}

/// A refund as the API tells it.
pub fn object(paypal: &PayPal, trade: &Trade, refund: &Refund) -> Value {
    let status = if has_failed(paypal, refund) { "FAILED" } else { "COMPLETED" };
    json!({
        "id": id(trade, refund), "status": status, "amount": amount(trade, refund.amount),
        "custom_id": custom_id(trade, refund), "create_time": utc(refund.at), "update_time": utc(refund.at),
        "links": [{
            "href": format!("{}/v2/payments/captures/{}", paypal.base, trade.provider_reference),
            "rel": "up", "method": "GET",
        }],
    })
}

/// `POST /v2/payments/captures/{id}/refund`
pub fn create(paypal: &PayPal, call: &Call<'_>) -> Reply {
    let reference = paypal.book().ledger.reference_of(call.path[3]).map(str::to_owned);
    let reference = reference.ok_or_else(ApiError::missing)?;
    let trade = paypal.trade(&reference)?;
    if orders::capture_of(paypal, &trade).is_none_or(|capture| capture["status"] == "PENDING") {
        return Err(ApiError::issue("PENDING_CAPTURE"));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
    let given = &call.json["amount"];
    let currency = &trade.opening.currency;
    let asked = Amount::parse_in(&text(&given["value"]), currency.exponent);
    let asked = asked.ok_or_else(|| ApiError::issue("DECIMAL_PRECISION"))?;
    if text(&given["currency_code"]) != currency.code {
        return Err(ApiError::issue("REFUND_CURRENCY_MISMATCH"));
    }
    let number = text(&call.json["custom_id"]);
    let done = {
        let mut book = paypal.book();
        let why = Some("api".to_owned());
        book.ledger.refund(&reference, Some(&number), asked, why, paypal.now())
    };
    done.map_err(|refusal| match refusal {
        Refusal::Closed => ApiError::issue("CAPTURE_FULLY_REFUNDED"),
        other => other.into(),
    })?;
    let trade = paypal.trade(&reference)?;
    let refund = trade.refund(&number).ok_or(Refusal::UnknownTrade)?;
    Ok((StatusCode::CREATED, object(paypal, &trade, refund)))
}

/// `GET /v2/payments/refunds/{id}`
pub fn retrieve(paypal: &PayPal, wanted: &str) -> Reply {
    let trades: Vec<Trade> = paypal.book().ledger.trades().cloned().collect();
    let all = trades.iter().flat_map(|trade| trade.refunds.iter().map(move |it| (trade, it)));
    let mut of_id = all.filter(|(trade, refund)| id(trade, refund) == wanted);
    let (trade, refund) = of_id.next().ok_or_else(ApiError::missing)?;
    Ok((StatusCode::OK, object(paypal, trade, refund)))
}
