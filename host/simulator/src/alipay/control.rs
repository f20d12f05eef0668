//! `/control/alipay`: the operator's and the tests' verbs.
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bill_edit::Edit;
use super::certificates::Rotation;
use super::notice::trade_status;
use super::notifier::Mode;
use super::seed::Block;
use super::{Alipay, payer};
use crate::clock;
use crate::faults::Rule;
use crate::ledger::{Opening, Refusal, Trade};
use crate::money::Amount;

mod send;

type Owner = State<Arc<Alipay>>;

/// All routes of the control API.
pub fn routes() -> Router<Arc<Alipay>> {
    Router::new()
        .route("/control/alipay/trades", get(trades))
        .route("/control/alipay/trades/{out_trade_no}", get(trade))
        .route("/control/alipay/trades/{out_trade_no}/refunds", post(refund))
        .route("/control/alipay/trades/{out_trade_no}/{act}", post(act))
        .route("/control/alipay/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/control/alipay/notifications", get(notifications).post(send::send))
        .route("/control/alipay/settings", get(settings).post(set))
        .route("/control/alipay/bill-edits", get(edits).post(add_edit).delete(clear_edits))
        .route("/control/alipay/calls", get(calls).delete(clear_calls))
        .route("/control/alipay/seed", post(seed))
        .route("/control/alipay/certificate", post(rotate))
}

/// A refusal in JSON.
fn no(status: StatusCode, text: impl Into<String>) -> Response {
    (status, Json(json!({ "error": text.into() }))).into_response()
}

/// Limits a list to one trade.
#[derive(Debug, Deserialize)]
struct Of {
    out_trade_no: Option<String>,
}

fn shown(trade: &Trade) -> Value {
    let opening = &trade.opening;
    json!({
        "out_trade_no": opening.reference,
        "trade_no": trade.provider_reference,
        "method": opening.product,
        "standing": trade.standing,
        "trade_status": trade.opened_at.map(|_| trade_status(trade.standing)),
        "total_amount": opening.amount,
        "refunded": trade.refunded(),
        "subject": opening.subject,
        "notify_url": opening.notify_url,
        "return_url": opening.return_url,
        "prepared_at": trade.prepared_at,
        "opened_at": trade.opened_at,
        "paid_at": trade.paid_at,
        "closed_at": trade.closed_at,
        "expires_at": opening.expires_at,
        "refunds": trade.refunds,
    })
}

async fn trades(State(alipay): Owner) -> Json<Value> {
    let book = alipay.book();
    let all: Vec<Value> = book.ledger.trades().map(shown).collect();
    Json(json!({ "trades": all }))
}

async fn trade(State(alipay): Owner, Path(reference): Path<String>) -> Response {
    match alipay.book().ledger.get(&reference) {
        Some(trade) => Json(shown(trade)).into_response(),
        None => no(StatusCode::NOT_FOUND, "no such trade"),
    }
}

/// The payer or the provider acts on a trade without a browser.
async fn act(State(alipay): Owner, Path((reference, act)): Path<(String, String)>) -> Response {
    let now = alipay.now();
    let mut address = None;
    let done: Result<(), String> = match act.as_str() {
        "pay" => payer::paid(&alipay, &reference)
            .map(|(_, to)| address = to)
            .map_err(|error| error.sub_code),
        "open" => plain(alipay.book().ledger.open(&reference, now)),
        // A payer who gives up has opened the page and leaves the trade as it is.
        "cancel" => plain(alipay.book().ledger.open(&reference, now)),
        "close" => plain(alipay.book().ledger.close(&reference, now)),
        "finish" => plain(alipay.book().ledger.finish(&reference)),
        _ => {
            return no(StatusCode::NOT_FOUND, "acts are open, pay, cancel, close, finish");
        }
    };
    if alipay.publish().is_err() {
        return no(StatusCode::INTERNAL_SERVER_ERROR, "the notification could not be signed");
    }
    if let Err(reason) = done {
        return no(StatusCode::CONFLICT, reason);
    }
    match alipay.book().ledger.get(&reference) {
        Some(trade) => {
            let mut answer = shown(trade);
            answer["return_to"] = json!(address);
            Json(answer).into_response()
        }
        None => no(StatusCode::NOT_FOUND, "no such trade"),
    }
}

/// A refund that the merchant makes on the provider's own pages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundThere {
    /// In yuan.
    amount: String,
    /// The merchant's number of it.
    request_no: String,
}

async fn refund(
    State(alipay): Owner,
    Path(reference): Path<String>,
    Json(refund): Json<RefundThere>,
) -> Response {
    let Some(amount) = Amount::parse(&refund.amount) else {
        return no(StatusCode::UNPROCESSABLE_ENTITY, "amount: not a decimal amount");
    };
    let now = alipay.now();
    let number = Some(refund.request_no.as_str());
    let done = alipay.book().ledger.refund(&reference, number, amount, None, now);
    if alipay.publish().is_err() {
        return no(StatusCode::INTERNAL_SERVER_ERROR, "the notification could not be signed");
    }
    match (done, alipay.book().ledger.get(&reference)) {
        (Ok(_), Some(trade)) => Json(shown(trade)).into_response(),
        (Err(refusal), _) => no(StatusCode::CONFLICT, refusal.to_string()),
        (Ok(_), None) => no(StatusCode::NOT_FOUND, "no such trade"),
    }
}

fn plain(done: Result<&Trade, Refusal>) -> Result<(), String> {
    done.map(|_| ()).map_err(|refusal| refusal.to_string())
}

async fn faults(State(alipay): Owner) -> Json<Value> {
    let faults = alipay.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    Json(json!({ "faults": faults.rules() }))
}

/// Where faults can be put.
const POINTS: [&str; 15] = [
    "any",
    "pay",
    "app",
    "app_result",
    "precreate",
    "query",
    "close",
    "cancel",
    "refund",
    "refund_query",
    "bill",
    "certificate",
    "download",
    "notify",
    "return",
];

async fn add_fault(State(alipay): Owner, Json(rule): Json<Rule>) -> Response {
    if !POINTS.contains(&rule.on.as_str()) {
        let text = format!("on: {:?} is none of {}", rule.on, POINTS.join(", "));
        return no(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    alipay.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(rule);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear_faults(State(alipay): Owner) -> StatusCode {
    alipay.faults.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    StatusCode::NO_CONTENT
}

async fn notifications(State(alipay): Owner, Query(of): Query<Of>) -> Json<Value> {
    let log = alipay.notifier.log(of.out_trade_no.as_deref());
    Json(json!({ "notifications": log }))
}

/// What can be changed while the box runs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    notifications: Option<Mode>,
    time_scale: Option<u64>,
    bill_ready_at_once: Option<bool>,
}

async fn settings(State(alipay): Owner) -> Json<Value> {
    let (mode, time_scale) = alipay.notifier.settings();
    let at_once = alipay.book().bill_ready_at_once;
    Json(json!({
        "notifications": mode, "time_scale": time_scale, "bill_ready_at_once": at_once,
    }))
}

/// The provider signs with another key from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCertificate {
    kind: Rotation,
}

async fn rotate(State(alipay): Owner, Json(new): Json<NewCertificate>) -> Response {
    match alipay.credentials.rotate(new.kind) {
        Ok(serial) => Json(json!({ "alipay_cert_sn": serial })).into_response(),
        Err(error) => no(StatusCode::CONFLICT, error.to_string()),
    }
}

async fn set(state: Owner, Json(settings): Json<Settings>) -> Json<Value> {
    let alipay = &state.0;
    if let Some(time_scale) = settings.time_scale {
        alipay.notifier.set_time_scale(time_scale);
    }
    if let Some(at_once) = settings.bill_ready_at_once {
        alipay.book().bill_ready_at_once = at_once;
    }
    if let Some(mode) = settings.notifications {
        alipay.notifier.set_mode(mode);
    }
    self::settings(state).await
}

async fn edits(State(alipay): Owner) -> Json<Value> {
    Json(json!({ "edits": alipay.book().edits }))
}

async fn add_edit(State(alipay): Owner, Json(edit): Json<Edit>) -> Response {
    if let Err(text) = edit.check() {
        return no(StatusCode::UNPROCESSABLE_ENTITY, text);
    }
    alipay.book().edits.push(edit);
    StatusCode::NO_CONTENT.into_response()
}

async fn clear_edits(State(alipay): Owner) -> StatusCode {
    alipay.book().edits.clear();
    StatusCode::NO_CONTENT
}

async fn calls(State(alipay): Owner, Query(of): Query<Of>) -> Json<Value> {
    let book = alipay.book();
    Json(match &of.out_trade_no {
        None => json!(book.calls.all),
        Some(reference) => json!(book.calls.by_trade.get(reference).cloned().unwrap_or_default()),
    })
}

async fn clear_calls(State(alipay): Owner) -> StatusCode {
    alipay.book().calls = super::Calls::default();
    StatusCode::NO_CONTENT
}

/// Rows for bills: a block that lives in bills only, or trades that are in the ledger too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    /// `yyyy-MM-dd`, default today in China.
    day: Option<String>,
    #[serde(default)]
    count: u64,
    prefix: Option<String>,
    amount: Option<String>,
    #[serde(default)]
    trades: Vec<SeedTrade>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedTrade {
    out_trade_no: String,
    amount: String,
    /// RFC 3339; default noon of the day.
    paid_at: Option<jiff::Timestamp>,
}

async fn seed(State(alipay): Owner, Json(seed): Json<Seed>) -> Response {
    match plant(&alipay, seed) {
        Ok(answer) => Json(answer).into_response(),
        Err(text) => no(StatusCode::UNPROCESSABLE_ENTITY, text),
    }
}

fn plant(alipay: &Alipay, seed: Seed) -> Result<Value, String> {
    let now = alipay.now();
    let day: Date = match &seed.day {
        Some(text) => text.parse().map_err(|_| "day: not yyyy-MM-dd".to_owned())?,
        None => clock::in_china(now).date(),
    };
    let from = clock::start_of(day);
    let read = |text: &str| {
        Amount::parse(text).ok_or_else(|| format!("amount: {text:?} is not a decimal amount"))
    };
    let amount = read(seed.amount.as_deref().unwrap_or("1.00"))?;
    let amounts: Result<Vec<Amount>, String> =
        seed.trades.iter().map(|trade| read(&trade.amount)).collect();
    let amounts = amounts?;
    let mut book = alipay.book();
    let count = seed.trades.len();
    for (planted, amount) in seed.trades.into_iter().zip(amounts) {
        let noon = clock::later(from, jiff::SignedDuration::from_hours(12));
        let at = planted.paid_at.unwrap_or(noon);
        let trade_no = book.chance.trade_no(at);
        let reference = planted.out_trade_no.clone();
        let opening = opening(planted.out_trade_no, amount, at);
        let prepared = book.ledger.prepare(opening, trade_no, at);
        let paid = prepared.and_then(|()| book.ledger.pay(&reference, at).map(|_| ()));
        paid.map_err(|refusal| format!("{reference}: {refusal}"))?;
    }
    // Nobody is told of trades that were only planted.
    book.ledger.take_events();
    if seed.count > 0 {
        let prefix = seed.prefix.unwrap_or_else(|| "SEED".to_owned());
        book.blocks.push(Block { from, count: seed.count, prefix, amount });
    }
    Ok(json!({ "day": day.to_string(), "rows": seed.count, "trades": count }))
}

fn opening(reference: String, amount: Amount, at: jiff::Timestamp) -> Opening {
    Opening {
        reference,
        amount,
        subject: "Seeded".to_owned(),
        body: None,
        passback: None,
        product: "alipay.trade.page.pay".to_owned(),
        charset: "utf-8".to_owned(),
        notify_url: None,
        return_url: None,
        quit_url: None,
        expires_at: clock::later(at, jiff::SignedDuration::from_hours(24)),
    }
}
