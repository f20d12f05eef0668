//! What the payer does: his browser posts the order, he pays or gives up on the page, and his browser posts its way back.
use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{Refused, read};
use super::{UnionPay, transactions};
use crate::clock::china_text;
use crate::ledger::Standing;
use crate::pages::{self, Cashier};
use crate::provider::{Provider as _, WayBack};

/// `POST /unionpay/gateway/api/frontTransReq.do`: the payer's browser brings the order.
pub async fn front(State(unionpay): State<Arc<UnionPay>>, body: Bytes) -> Response {
    let prepared = read(&unionpay, &body).and_then(|fields| {
        let product = match fields.get("channelType").map(String::as_str) {
            Some("08") => "wap",
            _ => "page",
        };
        transactions::prepare(&unionpay, &fields, product)
    });
    let reference = match prepared {
        Ok(reference) => reference,
        Err(Refused(code, message)) => {
            let text = format!("{code}: {message}");
            return pages::refuse(StatusCode::BAD_REQUEST, &text);
        }
    };
    unionpay.book().calls.count("pay", Some(&reference));
    let hit = unionpay.fault("pay", Some(&reference));
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let token = unionpay.chance.token();
    unionpay.desk().tickets.insert(token.clone(), reference.clone());
    page(&unionpay, &token, &reference)
}

/// `GET /unionpay/pay/{token}`: the payer looks at the page again.
pub async fn show(State(unionpay): State<Arc<UnionPay>>, Path(token): Path<String>) -> Response {
    let reference = unionpay.desk().tickets.get(&token).cloned();
    match reference {
        Some(reference) => page(&unionpay, &token, &reference),
        None => pages::refuse(StatusCode::NOT_FOUND, "There is no such payment."),
    }
}

fn page(unionpay: &UnionPay, token: &str, reference: &str) -> Response {
    let trade = match unionpay.book().ledger.open(reference, unionpay.now()) {
        Ok(trade) => trade.clone(),
        Err(refusal) => return pages::refuse(StatusCode::NOT_FOUND, &refusal.to_string()),
    };
    match trade.standing {
        Standing::Prepared | Standing::Waiting => Cashier {
            provider: "UnionPay",
            amount: format!("¥ {}", trade.opening.amount.decimal()),
            subject: &trade.opening.subject,
            reference,
            seller: &unionpay.credentials.mer_id,
            pay_until: format!("{} (China)", china_text(trade.opening.expires_at)),
            action: format!("{}/pay/{token}", unionpay.base),
        }
        .page(),
        Standing::Paid | Standing::Finished => pages::say("This payment is already made", &[]),
        Standing::Closed => pages::say("This payment is closed", &[]),
    }
}

/// The form of the payer page.
#[derive(Debug, Deserialize)]
pub struct Decision {
    action: String,
}

/// `POST /unionpay/pay/{token}`: the payer pressed a button.
pub async fn decide(
    State(unionpay): State<Arc<UnionPay>>,
    Path(token): Path<String>,
    Form(decision): Form<Decision>,
) -> Response {
    let Some(reference) = unionpay.desk().tickets.get(&token).cloned() else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    if decision.action != "pay" {
        return pages::say("Cancelled", &["Nothing was paid. The order can be paid yet."]);
    }
    let way = match unionpay.pay(&reference) {
        Ok(way) => way,
        Err(denied) => return denied.into_response(),
    };
    if unionpay.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match way {
        WayBack { url: Some(url), form: Some(fields) } => {
            Html(posted(&url, &fields)).into_response()
        }
        WayBack { url: Some(url), form: None } => Redirect::to(&url).into_response(),
        WayBack { url: None, .. } => pages::say("Paid", &[]),
    }
}

/// A page that posts a form by itself, with a button where scripts do not run.
fn posted(url: &str, fields: &[(String, String)]) -> String {
    let safe = |text: &str| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
            .replace('\n', "&#10;")
            .replace('\r', "&#13;")
    };
    let mut page = format!(
        "<!doctype html><title>Paid</title><form method=\"post\" action=\"{}\" id=\"back\">",
        safe(url)
    );
    for (name, value) in fields {
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            safe(name),
            safe(value)
        );
    }
    page.push_str("<button>Back to the shop</button></form>");
    page.push_str("<script>document.getElementById('back').submit()</script>");
    page
}

/// How the payer acts in the app.
#[derive(Debug, Deserialize)]
pub struct AppAct {
    act: Option<String>,
}

/// `POST /unionpay/app/pay?act=pay|cancel|open`, body: what the gateway handed over for the client library.
pub async fn app(
    State(unionpay): State<Arc<UnionPay>>,
    Query(AppAct { act }): Query<AppAct>,
    body: Bytes,
) -> Response {
    let given: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let number = given["tn"].as_str().unwrap_or_default();
    let Some(reference) = unionpay.desk().tickets.get(number).cloned() else {
        return (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": "tn" }))).into_response();
    };
    let act = act.as_deref().unwrap_or("pay");
    if act == "open" {
        let opened = unionpay.book().ledger.open(&reference, unionpay.now()).map(drop);
        return axum::Json(json!({ "opened": opened.is_ok() })).into_response();
    }
    if act == "pay" {
        if let Err(denied) = unionpay.pay(&reference) {
            return denied.into_response();
        }
        if unionpay.publish().is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    let word = if act == "pay" { "success" } else { "cancel" };
    let data = format!("pay_result={word}&tn={number}&cert_id=69678957876");
    axum::Json(json!({ "data": data, "sign": "", "reference": reference })).into_response()
}
