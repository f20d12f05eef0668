//! What the payer does: Stripe's hosted page, or its client library on a page of the shop's own.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Stripe;
use crate::ledger::{Standing, Trade};
use crate::pages::{self, Cashier};
use crate::provider::Provider as _;

/// Where the payer's browser goes after paying.
pub fn back(trade: &Trade) -> Option<String> {
    let url = trade.opening.return_url.as_deref()?;
    Some(url.replace("{CHECKOUT_SESSION_ID}", "cs_test_simulated"))
}

fn known(stripe: &Stripe, session: &str) -> Option<String> {
    stripe.desk().sessions.get(session).cloned()
}

/// `GET /stripe/c/{session}`: the payer looks at the page.
pub async fn show(State(stripe): State<Arc<Stripe>>, Path(session): Path<String>) -> Response {
    let Some(reference) = known(&stripe, &session) else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    let trade = match stripe.book().ledger.open(&reference, stripe.now()) {
        Ok(trade) => trade.clone(),
        Err(refusal) => return pages::refuse(StatusCode::NOT_FOUND, &refusal.to_string()),
    };
    let currency = &trade.opening.currency;
    match trade.standing {
        Standing::Prepared | Standing::Waiting => Cashier {
            provider: "Stripe",
            amount: format!(
                "{} {}",
                currency.code,
                trade.opening.amount.decimal_in(currency.exponent)
            ),
            subject: &trade.opening.subject,
            reference: &reference,
            seller: "Simulated merchant",
            pay_until: trade.opening.expires_at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            action: format!("{}/c/{session}", stripe.base),
        }
        .page(),
        Standing::Paid | Standing::Finished => pages::say("This payment is already made", &[]),
        Standing::Closed => pages::say("This payment is closed", &[]),
    }
}

/// The form of the page.
#[derive(Debug, Deserialize)]
pub struct Decision {
    action: String,
}

/// `POST /stripe/c/{session}`: the payer pressed a button.
pub async fn decide(
    State(stripe): State<Arc<Stripe>>,
    Path(session): Path<String>,
    Form(decision): Form<Decision>,
) -> Response {
    let Some(reference) = known(&stripe, &session) else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    if decision.action != "pay" {
        let quit = stripe.book().ledger.get(&reference).and_then(|it| it.opening.quit_url.clone());
        return match quit {
            Some(url) => Redirect::to(&url).into_response(),
            None => pages::say("Cancelled", &["Nothing was paid."]),
        };
    }
    let way = match stripe.pay(&reference) {
        Ok(way) => way,
        Err(denied) => return denied.into_response(),
    };
    if stripe.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match way.url {
        Some(url) => Redirect::to(&url).into_response(),
        None => pages::say("Paid", &[]),
    }
}

/// How the payer acts on the shop's page.
#[derive(Debug, Deserialize)]
pub struct AppAct {
    act: Option<String>,
}

/// `POST /stripe/app/pay?act=pay|cancel|open`, body: what the gateway handed over for the client library.
pub async fn app(
    State(stripe): State<Arc<Stripe>>,
    Query(AppAct { act }): Query<AppAct>,
    body: Bytes,
) -> Response {
    let given: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let intent = given["payment_intent"].as_str().unwrap_or_default().to_owned();
    let secret = format!("{intent}_secret_simulated");
    let reference = stripe.book().ledger.reference_of(&intent).map(str::to_owned);
    let Some(reference) = reference.filter(|_| given["client_secret"] == json!(secret)) else {
        return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "client_secret" })))
            .into_response();
    };
    if act.as_deref().unwrap_or("pay") == "pay" {
        if let Err(denied) = stripe.pay(&reference) {
            return denied.into_response();
        }
        if stripe.publish().is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    axum::Json(json!({ "paymentIntent": { "id": intent }, "reference": reference })).into_response()
}
