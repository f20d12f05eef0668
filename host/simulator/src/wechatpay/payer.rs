//! What the payer does: a page on a phone, or the client library of an app with what the shop handed over.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::WechatPay;
use crate::clock::china_text;
use crate::ledger::{Refusal, Standing};
use crate::pages::{self, Cashier};
use crate::provider::Provider as _;
use crate::rsa::verify;

/// Where the payer's browser goes afterwards, paid or not: nothing in it is signed.
#[derive(Debug, Deserialize)]
pub struct Back {
    redirect_url: Option<String>,
}

/// `GET /wechatpay/h5/{token}`: the payer looks at the page.
pub async fn show(
    State(wechat): State<Arc<WechatPay>>,
    Path(token): Path<String>,
    Query(back): Query<Back>,
) -> Response {
    let Some(reference) = wechat.desk().tickets.get(&token).cloned() else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    let trade = wechat.book().ledger.open(&reference, wechat.now()).cloned();
    let trade = match trade {
        Ok(trade) => trade,
        Err(refusal) => return pages::refuse(StatusCode::NOT_FOUND, &refusal.to_string()),
    };
    let mut action = format!("{}/h5/{token}", wechat.base);
    if let Some(to) = back.redirect_url {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("redirect_url", &to)
            .finish();
        action = format!("{action}?{query}");
    }
    match trade.standing {
        Standing::Prepared | Standing::Waiting => Cashier {
            provider: "WeChat Pay",
            amount: format!("¥ {}", trade.opening.amount.decimal()),
            subject: &trade.opening.subject,
            reference: &reference,
            seller: &wechat.credentials.mchid,
            pay_until: format!("{} (China)", china_text(trade.opening.expires_at)),
            action,
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

/// `POST /wechatpay/h5/{token}`: the payer pressed a button.
pub async fn decide(
    State(wechat): State<Arc<WechatPay>>,
    Path(token): Path<String>,
    Query(back): Query<Back>,
    Form(decision): Form<Decision>,
) -> Response {
    let Some(reference) = wechat.desk().tickets.get(&token).cloned() else {
        return pages::refuse(StatusCode::NOT_FOUND, "There is no such payment.");
    };
    if decision.action == "pay" {
        if let Err(denied) = wechat.pay(&reference) {
            return denied.into_response();
        }
        if wechat.publish().is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    match back.redirect_url {
        Some(to) => Redirect::to(&to).into_response(),
        None if decision.action == "pay" => pages::say("Paid", &[]),
        None => pages::say("Cancelled", &["Nothing was paid."]),
    }
}

/// How the payer acts in the app.
#[derive(Debug, Deserialize)]
pub struct AppAct {
    act: Option<String>,
}

/// `POST /wechatpay/app/pay?act=pay|cancel|open`, body: the parameters that the merchant's server signed for the client
/// library of an app or a mini program. Answers what the library tells, which is signed by nobody.
pub async fn app(
    State(wechat): State<Arc<WechatPay>>,
    Query(AppAct { act }): Query<AppAct>,
    body: Bytes,
) -> Response {
    let given: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let Some(token) = prepared(&wechat, &given) else {
        return axum::Json(json!({ "errCode": -1, "errMsg": "fail: signature" })).into_response();
    };
    let Some(reference) = wechat.desk().tickets.get(&token).cloned() else {
        return axum::Json(json!({ "errCode": -1, "errMsg": "fail: prepay_id" })).into_response();
    };
    let code = match act.as_deref().unwrap_or("pay") {
        "pay" => match wechat.pay(&reference) {
            Ok(_) => 0,
            Err(_) => -1,
        },
        "open" => {
            let opened = wechat.book().ledger.open(&reference, wechat.now()).map(drop);
            if matches!(opened, Ok(()) | Err(Refusal::AlreadyPaid)) { 0 } else { -1 }
        }
        _ => -2,
    };
    if wechat.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    axum::Json(json!({ "errCode": code, "reference": reference })).into_response()
}

/// The prepared order that parameters are for, if the merchant has signed them.
fn prepared(wechat: &WechatPay, given: &Value) -> Option<String> {
    let text = |name: &str| given[name].as_str();
    let (lines, sign, token) = match text("paySign") {
        Some(sign) => {
            let token = text("package")?.strip_prefix("prepay_id=")?;
            let lines = [text("appId")?, text("timeStamp")?, text("nonceStr")?, text("package")?];
            (lines, sign, token)
        }
        None => {
            let token = text("prepayid")?;
            let lines = [text("appid")?, text("timestamp")?, text("noncestr")?, token];
            (lines, text("sign")?, token)
        }
    };
    let signed = format!("{}\n", lines.join("\n"));
    let own = &wechat.credentials;
    let holds = lines[0] == own.appid && verify(own.merchant.spki(), signed.as_bytes(), sign);
    holds.then(|| token.to_owned())
}
