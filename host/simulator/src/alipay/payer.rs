//! What the payer does: opens the page, pays or gives up, in a browser or in the merchant's app.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::canonical::Charset;
use super::reply::{Members, member_text, members};
use super::request::{self, GatewayError};
use super::{Alipay, notice, pay};
use crate::clock::china_text;
use crate::faults::{Verb, hang_up};
use crate::ledger::{Refusal, Standing, Trade};
use crate::pages::{self, Cashier};
use crate::provider::Provider as _;

/// The payer opens the trade: from now on it exists.
pub fn page(alipay: &Alipay, token: &str, reference: &str) -> Response {
    let now = alipay.now();
    let trade = match alipay.book().ledger.open(reference, now) {
        Ok(trade) => trade.clone(),
        Err(refusal) => return pages::refuse(StatusCode::NOT_FOUND, &refusal.to_string()),
    };
    match trade.standing {
        Standing::Prepared | Standing::Waiting => Cashier {
            provider: "Alipay",
            amount: format!("¥ {}", trade.opening.amount.decimal()),
            subject: &trade.opening.subject,
            reference,
            seller: &alipay.credentials.seller_id,
            pay_until: format!("{} (China)", china_text(trade.opening.expires_at)),
            action: format!("{}/pay/{token}", alipay.base),
        }
        .page(),
        Standing::Paid | Standing::Finished => pages::say("This payment is already made", &[]),
        Standing::Closed => pages::say("This payment is closed", &[]),
    }
}

/// `GET /alipay/pay/{token}` and `/alipay/qr/{token}`: the payer looks at the page.
pub async fn show(State(alipay): State<Arc<Alipay>>, Path(token): Path<String>) -> Response {
    let reference = alipay.desk().tickets.get(&token).cloned();
    let Some(reference) = reference else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    let response = page(&alipay, &token, &reference);
    published(&alipay, response)
}

fn published(alipay: &Alipay, response: Response) -> Response {
    match alipay.publish() {
        Ok(()) => response,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What the payer pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Pays.
    Pay,
    /// Gives up for now; the trade stays payable.
    Cancel,
    /// Only looks (app).
    Open,
    /// Pays, and the app does not learn how it went (app).
    Unknown,
}

/// The form of the payer page.
#[derive(Debug, Deserialize)]
pub struct Decision {
    action: Act,
}

/// `POST /alipay/pay/{token}`: the payer pressed a button.
pub async fn decide(
    State(alipay): State<Arc<Alipay>>,
    Path(token): Path<String>,
    Form(decision): Form<Decision>,
) -> Response {
    let reference = alipay.desk().tickets.get(&token).cloned();
    let Some(reference) = reference else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    if decision.action == Act::Cancel {
        return given_up(&alipay, &reference);
    }
    match paid(&alipay, &reference) {
        Ok((_, Some(address))) => published(&alipay, Redirect::to(&address).into_response()),
        Ok((_, None)) => published(&alipay, pages::say("Paid", &[])),
        Err(error) => published(&alipay, pages::refuse(StatusCode::CONFLICT, &error.sub_msg)),
    }
}

fn given_up(alipay: &Alipay, reference: &str) -> Response {
    let quit = alipay.book().ledger.get(reference).and_then(|trade| trade.opening.quit_url.clone());
    match quit {
        Some(address) => Redirect::to(&address).into_response(),
        None => {
            let lines = ["Nothing was paid. The shop keeps the order until it expires."];
            pages::say("Cancelled", &lines)
        }
    }
}

/// Pays a trade and tells where the payer's browser goes. A trade that is paid already is fine.
pub fn paid(alipay: &Alipay, reference: &str) -> Result<(Trade, Option<String>), GatewayError> {
    let now = alipay.now();
    let mut book = alipay.book();
    let trade = match book.ledger.pay(reference, now) {
        Ok(trade) => trade.clone(),
        Err(Refusal::AlreadyPaid) => {
            book.ledger.get(reference).cloned().ok_or(Refusal::UnknownTrade)?
        }
        Err(refusal) => return Err(refusal.into()),
    };
    drop(book);
    let hit = alipay.fault("return", Some(reference));
    let address = notice::return_address(&trade, &alipay.credentials, now, &hit)
        .map_err(|_| GatewayError::unavailable())?;
    Ok((trade, address.filter(|_| !hit.has(Verb::Drop))))
}

/// How the payer acts in the app.
#[derive(Debug, Deserialize)]
pub struct AppAct {
    act: Option<Act>,
}

/// `POST /alipay/app/pay?act=pay|cancel|open|unknown`, body: the order string that the merchant's
/// server signed. Answers what the app's client library returns.
pub async fn app(
    State(alipay): State<Arc<Alipay>>,
    Query(AppAct { act }): Query<AppAct>,
    body: Bytes,
) -> Response {
    let request = match request::read(b"", &body, &alipay.credentials) {
        Ok(request) if request.method == "alipay.trade.app.pay" => request,
        Ok(_) => return app_result("4000", "不支持的接口", String::new()),
        Err((_, error)) => return app_result("4000", &error.sub_msg, String::new()),
    };
    let wanted = request.text("out_trade_no");
    alipay.book().calls.count(&request.method, wanted.as_deref());
    let hit = alipay.fault("app", wanted.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let opened = pay::prepare(&alipay, &request).and_then(|reference| {
        let now = alipay.now();
        alipay.book().ledger.open(&reference, now)?;
        Ok(reference)
    });
    let response = match opened {
        Err(error) => app_result("4000", &error.sub_msg, String::new()),
        Ok(reference) => app_acts(&alipay, &reference, act.unwrap_or(Act::Pay), request.charset),
    };
    let response = published(&alipay, response);
    if hit.has(Verb::LoseReply) {
        hang_up();
    }
    response
}

fn app_acts(alipay: &Alipay, reference: &str, act: Act, charset: Charset) -> Response {
    match act {
        Act::Open => app_result("8000", "正在处理中", String::new()),
        Act::Cancel => app_result("6001", "用户中途取消", String::new()),
        Act::Pay | Act::Unknown => match paid(alipay, reference) {
            Err(error) => app_result("4000", &error.sub_msg, String::new()),
            Ok(_) if act == Act::Unknown => app_result("6004", "支付结果未知", String::new()),
            Ok((trade, _)) => app_result("9000", "处理成功", app_text(alipay, &trade, charset)),
        },
    }
}

/// The JSON text inside `result`: one member, signed over its bytes.
fn app_text(alipay: &Alipay, trade: &Trade, charset: Charset) -> String {
    let outcome: Result<Members, GatewayError> = Ok(members(vec![
        ("app_id", Some(alipay.credentials.app_id.clone())),
        ("auth_app_id", Some(alipay.credentials.app_id.clone())),
        ("charset", Some(charset.name().to_owned())),
        ("timestamp", Some(china_text(alipay.now()))),
        ("out_trade_no", Some(trade.opening.reference.clone())),
        ("total_amount", Some(trade.opening.amount.decimal())),
        ("trade_no", Some(trade.provider_reference.clone())),
        ("seller_id", Some(alipay.credentials.seller_id.clone())),
    ]));
    let member = member_text(&outcome);
    let hit = alipay.fault("app_result", Some(&trade.opening.reference));
    let key = match hit.has(Verb::BadSignature) {
        true => alipay.credentials.forger().unwrap_or(&alipay.credentials.merchant),
        false => alipay.credentials.signer(),
    };
    let sign = key.sign(&charset.encode(&member));
    format!(
        "{{\"alipay_trade_app_pay_response\":{member},\"sign\":\"{sign}\",\"sign_type\":\"RSA2\"}}"
    )
}

fn app_result(status: &str, memo: &str, result: String) -> Response {
    let body: Value = json!({ "memo": memo, "result": result, "resultStatus": status });
    axum::Json(body).into_response()
}
