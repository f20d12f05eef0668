//! `/control/ID`: the operator's and the tests' verbs, the same for each provider in a box.
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bill_edit::Edit;
use crate::clock;
use crate::faults::Rule;
use crate::ledger::{Refund, Trade};
use crate::money::Amount;
use crate::notifier::Mode;
use crate::order;
use crate::provider::{Calls, Denied, Provider, WayBack, currency, start_of, zone};

/// All routes of one provider's control API.
pub fn routes<P: Provider>(provider: Arc<P>) -> Router {
    let routes = Router::new()
        .route("/trades", get(trades::<P>))
        .route("/trades/{reference}", get(trade::<P>))
        .route("/trades/{reference}/refunds", post(refund::<P>))
        .route("/trades/{reference}/{act}", post(act::<P>))
        .route("/faults", get(faults::<P>).post(add_fault::<P>).delete(clear_faults::<P>))
        .route("/notifications", get(notifications::<P>).post(order::send::<P>))
        .route("/settings", get(settings::<P>).post(set::<P>))
        .route("/bill-edits", get(edits::<P>).post(add_edit::<P>).delete(clear_edits::<P>))
        .route("/calls", get(calls::<P>).delete(clear_calls::<P>))
        .route("/seed", post(seed::<P>))
        .route("/special/{verb}", post(special::<P>))
        .with_state(provider);
    Router::new().nest(&format!("/control/{}", P::ID), routes)
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Denied::Unknown(text) => (StatusCode::NOT_FOUND, text),
            Denied::Conflict(text) => (StatusCode::CONFLICT, text),
            Denied::Unfit(text) => (StatusCode::UNPROCESSABLE_ENTITY, text),
            Denied::Failed(text) => (StatusCode::INTERNAL_SERVER_ERROR, text),
        };
        (status, Json(json!({ "error": text }))).into_response()
    }
}

type Answer = Result<Json<Value>, Denied>;

/// Limits a list to one trade.
#[derive(Debug, Deserialize)]
struct Of {
    reference: Option<String>,
}

fn shown<P: Provider>(provider: &P, trade: &Trade) -> Value {
    let opening = &trade.opening;
    let places = opening.currency.exponent;
    let refund = |refund: &Refund| {
        json!({
            "reference": refund.request_no, "amount": refund.amount.decimal_in(places),
            "reason": refund.reason, "at": refund.at,
        })
    };
    json!({
        "reference": opening.reference,
        "provider_reference": trade.provider_reference,
        "method": opening.product,
        "standing": trade.standing,
        "status": provider.status(trade),
        "amount": opening.amount.decimal_in(places),
        "currency": opening.currency.code,
        "refunded": trade.refunded().decimal_in(places),
        "subject": opening.subject,
        "notify_url": opening.notify_url,
        "return_url": opening.return_url,
        "prepared_at": trade.prepared_at,
        "opened_at": trade.opened_at,
        "paid_at": trade.paid_at,
        "closed_at": trade.closed_at,
        "expires_at": opening.expires_at,
        "refunds": trade.refunds.iter().map(refund).collect::<Vec<Value>>(),
    })
}

async fn trades<P: Provider>(State(provider): State<Arc<P>>) -> Json<Value> {
    let all: Vec<Trade> = provider.till().book().ledger.trades().cloned().collect();
    let all: Vec<Value> = all.iter().map(|trade| shown(&*provider, trade)).collect();
    Json(json!({ "trades": all }))
}

fn found<P: Provider>(provider: &P, reference: &str) -> Result<Value, Denied> {
    let trade = provider.till().book().ledger.get(reference).cloned();
    let trade = trade.ok_or_else(|| Denied::Unknown("no such trade".to_owned()))?;
    Ok(shown(provider, &trade))
}

async fn trade<P: Provider>(
    State(provider): State<Arc<P>>,
    Path(reference): Path<String>,
) -> Answer {
    found(&*provider, &reference).map(Json)
}

/// The payer or the provider acts on a trade without a browser.
async fn act<P: Provider>(
    State(provider): State<Arc<P>>,
    Path((reference, act)): Path<(String, String)>,
) -> Answer {
    let till = provider.till();
    let (now, mut way_back) = (till.now(), WayBack::default());
    let done = match act.as_str() {
        "pay" => provider.pay(&reference).map(|way| way_back = way),
        // A payer who gives up has opened the page and leaves the trade as it is.
        "open" | "cancel" => {
            till.book().ledger.open(&reference, now).map(drop).map_err(Denied::from)
        }
        "close" => till.book().ledger.close(&reference, now).map(drop).map_err(Denied::from),
        "finish" => till.book().ledger.finish(&reference).map(drop).map_err(Denied::from),
        own => provider.act(&reference, own),
    };
    provider.publish()?;
    done?;
    let mut answer = found(&*provider, &reference)?;
    answer["return_to"] = json!(way_back.url);
    answer["return_form"] = json!(way_back.form);
    Ok(Json(answer))
}

/// A refund that the merchant makes on the provider's own pages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundThere {
    /// Decimal text in the trade's currency.
    amount: String,
    /// The merchant's number of it.
    reference: String,
}

async fn refund<P: Provider>(
    State(provider): State<Arc<P>>,
    Path(trade): Path<String>,
    Json(refund): Json<RefundThere>,
) -> Answer {
    let till = provider.till();
    let now = till.now();
    let done = {
        let mut book = till.book();
        let known = book.ledger.get(&trade);
        let places = known.map_or(2, |trade| trade.opening.currency.exponent);
        let amount = Amount::parse_in(&refund.amount, places)
            .ok_or_else(|| Denied::Unfit("amount: not a decimal amount".to_owned()))?;
        book.ledger.refund(&trade, Some(&refund.reference), amount, None, now)
    };
    provider.publish()?;
    done?;
    found(&*provider, &trade).map(Json)
}

async fn faults<P: Provider>(State(provider): State<Arc<P>>) -> Json<Value> {
    Json(json!({ "faults": provider.till().faults().rules() }))
}

async fn add_fault<P: Provider>(
    State(provider): State<Arc<P>>,
    Json(rule): Json<Rule>,
) -> Result<StatusCode, Denied> {
    if rule.on != "any" && !P::POINTS.contains(&rule.on.as_str()) {
        let text = format!("on: {:?} is none of any, {}", rule.on, P::POINTS.join(", "));
        return Err(Denied::Unfit(text));
    }
    provider.till().faults().add(rule);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_faults<P: Provider>(State(provider): State<Arc<P>>) -> StatusCode {
    provider.till().faults().clear();
    StatusCode::NO_CONTENT
}

async fn notifications<P: Provider>(
    State(provider): State<Arc<P>>,
    Query(of): Query<Of>,
) -> Json<Value> {
    let log = provider.till().notifier.log(of.reference.as_deref());
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

async fn settings<P: Provider>(State(provider): State<Arc<P>>) -> Json<Value> {
    let till = provider.till();
    let (mode, time_scale) = till.notifier.settings();
    let today = till.now().to_zoned(zone::<P>()).date();
    Json(json!({
        "notifications": mode, "time_scale": time_scale,
        "bill_ready_at_once": till.book().bill_ready_at_once,
        "today": today, "zone_hours": P::ZONE_HOURS,
    }))
}

async fn set<P: Provider>(state: State<Arc<P>>, Json(settings): Json<Settings>) -> Json<Value> {
    let till = state.0.till();
    if let Some(time_scale) = settings.time_scale {
        till.notifier.set_time_scale(time_scale);
    }
    if let Some(at_once) = settings.bill_ready_at_once {
        till.book().bill_ready_at_once = at_once;
    }
    if let Some(mode) = settings.notifications {
        till.notifier.set_mode(mode);
    }
    self::settings(state).await
}

async fn edits<P: Provider>(State(provider): State<Arc<P>>) -> Json<Value> {
    Json(json!({ "edits": provider.till().book().edits }))
}

async fn add_edit<P: Provider>(
    State(provider): State<Arc<P>>,
    Json(edit): Json<Edit>,
) -> Result<StatusCode, Denied> {
    edit.check().map_err(Denied::Unfit)?;
    provider.till().book().edits.push(edit);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear_edits<P: Provider>(State(provider): State<Arc<P>>) -> StatusCode {
    provider.till().book().edits.clear();
    StatusCode::NO_CONTENT
}

async fn calls<P: Provider>(State(provider): State<Arc<P>>, Query(of): Query<Of>) -> Json<Value> {
    Json(json!(provider.till().book().calls.of(of.reference.as_deref())))
}

async fn clear_calls<P: Provider>(State(provider): State<Arc<P>>) -> StatusCode {
    provider.till().book().calls = Calls::default();
    StatusCode::NO_CONTENT
}

async fn special<P: Provider>(
    State(provider): State<Arc<P>>,
    Path(verb): Path<String>,
    Json(body): Json<Value>,
) -> Answer {
    provider.special(&verb, &body).map(Json)
}

/// Rows for bills: a block that lives in bills only, or trades that are in the ledger too.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    /// `yyyy-MM-dd`, default today in the provider's zone.
    day: Option<Date>,
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
    reference: String,
    amount: String,
    /// RFC 3339; default noon of the day.
    paid_at: Option<jiff::Timestamp>,
}

async fn seed<P: Provider>(State(provider): State<Arc<P>>, Json(seed): Json<Seed>) -> Answer {
    let till = provider.till();
    let day = seed.day.unwrap_or_else(|| till.now().to_zoned(zone::<P>()).date());
    let (from, places) = (start_of::<P>(day), currency::<P>().exponent);
    let read = |text: &str| {
        Amount::parse_in(text, places)
            .ok_or_else(|| Denied::Unfit(format!("amount: {text:?} is not a decimal amount")))
    };
    let amount = seed.amount.as_deref().map_or(Ok(Amount(10_i64.pow(u32::from(places)))), read)?;
    let amounts: Vec<Amount> =
        seed.trades.iter().map(|trade| read(&trade.amount)).collect::<Result<_, _>>()?;
    let count = seed.trades.len();
    for (planted, amount) in seed.trades.into_iter().zip(amounts) {
        let noon = clock::later(from, jiff::SignedDuration::from_hours(12));
        let at = planted.paid_at.unwrap_or(noon);
        let reference = planted.reference.clone();
        let (number, opening) = provider.planted(planted.reference, amount, at);
        let mut book = till.book();
        book.ledger.prepare(opening, number, at)?;
        book.ledger.pay(&reference, at)?;
        // Nobody is told of trades that were only planted.
        book.ledger.take_events();
    }
    if seed.count > 0 {
        let prefix = seed.prefix.unwrap_or_else(|| "SEED".to_owned());
        provider.plant_rows(from, seed.count, prefix, amount)?;
    }
    Ok(Json(json!({ "day": day, "rows": seed.count, "trades": count })))
}
