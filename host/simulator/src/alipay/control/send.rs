//! Notifications on demand: honest, repeated, bent or forged, and the merchant's answers.
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::no;
use crate::alipay::Alipay;
use crate::alipay::notice::{CONTENT_TYPE, Notice, Seal, Truth};
use crate::alipay::notifier::Attempt;
use crate::clock::china_text;
use crate::ledger::{EventKind, Trade};

/// The most that one call sends.
const MOST: usize = 10_000;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// The truth as the ledger has it, with a new number.
    Truth,
    /// The newest notification of the trade again, byte for byte.
    Duplicate,
    /// Signed with a key that the merchant does not know.
    Forge,
    /// Without a signature.
    Unsigned,
    /// Another amount (`value`), correctly signed.
    WrongAmount,
    /// Of another application (`value`), correctly signed.
    OtherApp,
    /// Of another seller (`value`), correctly signed.
    OtherSeller,
    /// `sign_type=RSA`, which the signature does not cover.
    SignTypeRsa,
    /// Signed with `sign_type` in the text.
    V2,
    /// `total_amount` twice, the second outside of the signature.
    DuplicateField,
    /// `TRADE_FINISHED`.
    Finished,
    /// `TRADE_CLOSED` without a refund.
    ClosedAfterPaid,
    /// `WAIT_BUYER_PAY`.
    WaitAfterPaid,
    /// The newest refund, `TRADE_SUCCESS` or `TRADE_CLOSED` with `refund_fee`.
    RefundNotice,
    /// `TRADE_SUCCESS` whatever the ledger says.
    Success,
}

/// The body of the call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    out_trade_no: String,
    kind: Kind,
    /// How often the same bytes are sent.
    #[serde(default = "one")]
    times: usize,
    /// All at once rather than one after another.
    #[serde(default)]
    parallel: bool,
    #[serde(default)]
    value: Option<String>,
    /// Fields to replace before signing.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Fields to leave out before signing.
    #[serde(default)]
    remove: Vec<String>,
    /// Another address than the trade's.
    #[serde(default)]
    notify_url: Option<String>,
}

fn one() -> usize {
    1
}

/// `?dry_run` builds and shows without sending.
#[derive(Debug, Deserialize)]
pub struct How {
    dry_run: Option<String>,
}

/// `POST /control/alipay/notifications`
pub async fn send(
    State(alipay): State<Arc<Alipay>>,
    Query(how): Query<How>,
    Json(order): Json<Order>,
) -> Response {
    if order.times == 0 || order.times > MOST {
        return no(StatusCode::UNPROCESSABLE_ENTITY, format!("times: 1 to {MOST}"));
    }
    let trade = alipay.book().ledger.get(&order.out_trade_no).cloned();
    let Some(trade) = trade else {
        return no(StatusCode::NOT_FOUND, "no such trade");
    };
    let form = match form(&alipay, &trade, &order) {
        Ok(form) => form,
        Err(response) => return *response,
    };
    let url = order.notify_url.clone().or_else(|| trade.opening.notify_url.clone());
    if how.dry_run.is_some_and(|value| value != "false") {
        let answer = json!({ "url": url, "content_type": CONTENT_TYPE, "form": form });
        return Json(answer).into_response();
    }
    let Some(url) = url else {
        return no(StatusCode::CONFLICT, "the trade has no notify_url");
    };
    let answers = post(&alipay, &url, &form, &order).await;
    let first = answers.first().cloned();
    Json(json!({
        "status": first.as_ref().and_then(|answer| answer.status),
        "body": first.as_ref().map(|answer| answer.body.clone()),
        "error": first.and_then(|answer| answer.error),
        "answers": answers,
        "url": url,
        "content_type": CONTENT_TYPE,
        "form": form,
    }))
    .into_response()
}

async fn post(alipay: &Arc<Alipay>, url: &str, form: &str, order: &Order) -> Vec<Attempt> {
    let mut answers = Vec::new();
    if !order.parallel {
        for _ in 0..order.times {
            let now = alipay.now();
            answers.push(alipay.notifier.post_once(url, form.to_owned(), now).await);
        }
        return answers;
    }
    let now = alipay.now();
    let all = (0..order.times).map(|_| alipay.notifier.post_once(url, form.to_owned(), now));
    futures::future::join_all(all).await
}

fn form(alipay: &Alipay, trade: &Trade, order: &Order) -> Result<String, Box<Response>> {
    let fail = |status, text: &str| Box::new(no(status, text));
    if order.kind == Kind::Duplicate {
        let log = alipay.notifier.log(Some(&order.out_trade_no));
        let newest =
            log.last().ok_or_else(|| fail(StatusCode::CONFLICT, "nothing was sent yet"))?;
        return Ok(newest.form().to_owned());
    }
    let now = alipay.now();
    let refund = trade.refunds.last().map(|refund| EventKind::Refunded(refund.request_no.clone()));
    let kind = match (order.kind, refund) {
        (Kind::RefundNotice, None) => return Err(fail(StatusCode::CONFLICT, "nothing refunded")),
        (Kind::RefundNotice | Kind::Truth, Some(refund)) => refund,
        _ => EventKind::Paid,
    };
    let notify_id = alipay.book().chance.notify_id(now);
    let credentials = &alipay.credentials;
    let mut notice = Notice::of(&Truth { trade, kind: &kind, credentials, notify_id, now });
    bend(&mut notice, order, now);
    for (name, value) in &order.set {
        notice.put(name, value);
    }
    for name in &order.remove {
        notice.remove(name);
    }
    notice
        .seal(credentials)
        .map_err(|_| fail(StatusCode::INTERNAL_SERVER_ERROR, "could not be signed"))
}

fn bend(notice: &mut Notice, order: &Order, now: jiff::Timestamp) {
    let value = order.value.as_deref();
    match order.kind {
        Kind::Truth | Kind::Duplicate | Kind::RefundNotice => {}
        Kind::Forge => notice.sealed_by(Seal::Forged),
        Kind::Unsigned => notice.sealed_by(Seal::Unsigned),
        Kind::WrongAmount => notice.lie_about_amount(value),
        Kind::OtherApp => {
            let app_id = value.unwrap_or("2021000000000001");
            notice.put("app_id", app_id);
            notice.put("auth_app_id", app_id);
        }
        Kind::OtherSeller => notice.put("seller_id", value.unwrap_or("2088000000000001")),
        Kind::SignTypeRsa => notice.put("sign_type", "RSA"),
        Kind::V2 => notice.sealed_by(Seal::V2),
        Kind::DuplicateField => notice.double("total_amount", value.unwrap_or("0.01")),
        Kind::Finished | Kind::Success => {
            let finished = order.kind == Kind::Finished;
            notice.put("trade_status", if finished { "TRADE_FINISHED" } else { "TRADE_SUCCESS" });
            if notice.get("gmt_payment").is_none() {
                notice.put("gmt_payment", china_text(now));
            }
        }
        Kind::ClosedAfterPaid => {
            notice.put("trade_status", "TRADE_CLOSED");
            notice.put("gmt_close", china_text(now));
            for name in ["refund_fee", "gmt_refund", "gmt_payment"] {
                notice.remove(name);
            }
        }
        Kind::WaitAfterPaid => {
            notice.put("trade_status", "WAIT_BUYER_PAY");
            notice.remove("gmt_payment");
        }
    }
}
