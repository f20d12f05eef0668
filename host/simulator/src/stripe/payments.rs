//! Sessions and intents: made, listed, looked at, ended.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::wire::{ApiError, Call, Reply};
use super::{Stripe, objects, slow};
use crate::clock::later;
use crate::ledger::{Opening, Refusal, Trade};
use crate::money::{Amount, Currency};

/// A session lives for half an hour at least and a day at most.
const SHORTEST_S: i64 = 30 * 60;
const LONGEST_S: i64 = 24 * 3_600;
/// What Stripe takes at most, in its units.
const MOST: i64 = 99_999_999;

const SESSION_FIELDS: [&str; 10] = [
    "mode",
    "client_reference_id",
    "metadata[",
    "payment_intent_data[",
    "line_items[",
    "adaptive_pricing[enabled]",
    "expires_at",
    "success_url",
    "cancel_url",
    "expand[",
];
const INTENT_FIELDS: [&str; 6] = [
    "amount",
    "currency",
    "automatic_payment_methods[enabled]",
    "description",
    "metadata[",
    "expand[",
];

fn read_amount(call: &Call<'_>, name: &str, code: &str) -> Result<(Amount, Currency), ApiError> {
    let amount = call.number(name)?;
    let code = code.to_uppercase();
    let exponent = objects::exponent(&code);
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(ApiError::invalid("currency", "Invalid currency"));
    }
    let multiple = match (exponent, code.as_str()) {
        (3, _) => 10,
        (_, "ISK" | "UGX") => 100,
        _ => 1,
    };
    if !(1..=MOST).contains(&amount) || amount % multiple != 0 {
        let error = ApiError::invalid(name, "Amount is not one that can be charged");
        return Err(error);
    }
    Ok((Amount(amount), Currency { code, exponent }))
}

fn prepare(stripe: &Stripe, opening: Opening) -> Result<Trade, ApiError> {
    let (now, reference) = (stripe.now(), opening.reference.clone());
    let number = format!("pi_{}", stripe.chance.alphanumeric(24));
    let mut book = stripe.book();
    book.ledger.prepare(opening, number, now)?;
    Ok(book.ledger.open(&reference, now)?.clone())
}

/// `POST /v1/checkout/sessions`
pub fn create_session(stripe: &Stripe, call: &Call<'_>) -> Reply {
    call.only(&SESSION_FIELDS)?;
    if call.need("mode")? != "payment" {
        return Err(ApiError::invalid("mode", "only payment is played"));
    }
    let price = "line_items[0][price_data]";
    let code = call.need(&format!("{price}[currency]"))?;
    let (amount, currency) = read_amount(call, &format!("{price}[unit_amount]"), code)?;
    if call.need("line_items[0][quantity]")? != "1" {
        return Err(ApiError::invalid("line_items", "only one piece is played"));
    }
    // The clock that counts is the real one: books may live on another day.
    let now_s = stripe.till.clock.now().as_second();
    let life = call.number("expires_at")? - now_s;
    if !(SHORTEST_S..=LONGEST_S).contains(&life) {
        let words =
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours away.";
        return Err(ApiError::invalid("expires_at", words));
    }
    let trade = prepare(
        stripe,
        Opening {
            reference: call.need("client_reference_id")?.to_owned(),
            amount,
            currency,
            subject: call.need(&format!("{price}[product_data][name]"))?.to_owned(),
            product: "checkout".to_owned(),
            echoed: BTreeMap::new(),
            notify_url: None,
            return_url: Some(call.need("success_url")?.to_owned()),
            quit_url: call.fields.get("cancel_url").cloned(),
            expires_at: later(stripe.now(), SignedDuration::from_secs(life)),
        },
    )?;
    let id = format!("cs_test_{}", stripe.chance.alphanumeric(32));
    stripe.desk().sessions.insert(id.clone(), trade.opening.reference.clone());
    Ok(objects::session(stripe, &id, &trade, false))
}

/// `POST /v1/payment_intents`
pub fn create_intent(stripe: &Stripe, call: &Call<'_>) -> Reply {
    call.only(&INTENT_FIELDS)?;
    let (amount, currency) = read_amount(call, "amount", call.need("currency")?)?;
    let trade = prepare(
        stripe,
        Opening {
            reference: call.need("metadata[payment]")?.to_owned(),
            amount,
            currency,
            subject: call.fields.get("description").cloned().unwrap_or_default(),
            product: "intent".to_owned(),
            echoed: BTreeMap::new(),
            notify_url: None,
            return_url: None,
            quit_url: None,
            expires_at: later(stripe.now(), SignedDuration::from_hours(30 * 24)),
        },
    )?;
    Ok(objects::intent(stripe, &trade, false))
}

/// Whether a call asks for more than ids.
fn expands(call: &Call<'_>) -> bool {
    call.fields.keys().any(|name| name.starts_with("expand["))
}

fn found(stripe: &Stripe, id: &str, is_session: bool, now: Timestamp) -> Result<Trade, ApiError> {
    let reference = match is_session {
        true => stripe.desk().sessions.get(id).cloned(),
        false => stripe.book().ledger.reference_of(id).map(str::to_owned),
    };
    let reference = reference.ok_or_else(|| ApiError::missing(id))?;
    Ok(stripe.book().ledger.seen(&reference, now)?.clone())
}

/// `GET /v1/checkout/sessions/{id}`, `GET /v1/payment_intents/{id}`
pub fn retrieve(stripe: &Stripe, call: &Call<'_>, is_session: bool) -> Reply {
    call.only(&["expand["])?;
    let id = call.path.last().copied().unwrap_or_default();
    let trade = found(stripe, id, is_session, stripe.now())?;
    Ok(match is_session {
        true => objects::session(stripe, id, &trade, expands(call)),
        false => objects::intent(stripe, &trade, expands(call)),
    })
}

/// `POST /v1/checkout/sessions/{id}/expire`, `POST /v1/payment_intents/{id}/cancel`
pub fn end(stripe: &Stripe, call: &Call<'_>, is_session: bool) -> Reply {
    let id = call.path[call.path.len() - 2];
    let reference = found(stripe, id, is_session, stripe.now())?.opening.reference;
    if slow::of(stripe, &reference).is_some() {
        // A session that is complete does not expire, and its intent is not the merchant's to end.
        return Err(Refusal::WrongStanding.into());
    }
    let trade = stripe.book().ledger.close(&reference, stripe.now())?.clone();
    Ok(match is_session {
        true => objects::session(stripe, id, &trade, false),
        false => objects::intent(stripe, &trade, false),
    })
}

/// `GET /v1/checkout/sessions`, `GET /v1/payment_intents`: the newest first.
pub fn list(stripe: &Stripe, call: &Call<'_>, is_session: bool) -> Reply {
    call.only(&["limit", "created[gte]", "created[lt]", "starting_after", "payment_intent"])?;
    let product = if is_session { "checkout" } else { "intent" };
    let mut trades: Vec<Trade> = stripe.book().ledger.trades().cloned().collect();
    trades.retain(|trade| trade.opening.product == product);
    trades.sort_by_key(|trade| std::cmp::Reverse(trade.prepared_at));
    let ids: std::collections::HashMap<String, String> = {
        let desk = stripe.desk();
        desk.sessions.iter().map(|(id, reference)| (reference.clone(), id.clone())).collect()
    };
    let all = trades.iter().filter_map(|trade| {
        Some(match is_session {
            true => objects::session(stripe, ids.get(&trade.opening.reference)?, trade, false),
            false => objects::intent(stripe, trade, false),
        })
    });
    Ok(page(call, all.collect()))
}

/// The page of a list that a call asks for.
pub fn page(call: &Call<'_>, all: Vec<Value>) -> Value {
    let place = |object: &Value| {
        let id = object["id"].as_str().unwrap_or_default();
        (id.to_owned(), object["created"].as_i64().unwrap_or(0))
    };
    let (data, has_more) = window(call, all, usize::MAX, place);
    json!({ "object": "list", "data": data, "has_more": has_more })
}

/// What of a list a call asks for, so many at most, and whether there is more; `place` gives id and time of one.
pub fn window<T>(
    call: &Call<'_>,
    all: Vec<T>,
    most: usize,
    place: impl Fn(&T) -> (String, i64),
) -> (Vec<T>, bool) {
    let number = |name: &str| call.fields.get(name).and_then(|text| text.parse::<i64>().ok());
    let (from, to) = (number("created[gte]"), number("created[lt]"));
    let within = |one: &T| {
        let (_, at) = place(one);
        from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
    };
    let mut rest: Vec<T> = all.into_iter().filter(within).collect();
    if let Some(after) = call.fields.get("starting_after") {
        let at = rest.iter().position(|one| place(one).0 == *after);
        rest.drain(..at.map_or(0, |at| at + 1));
    }
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10);
    let limit = limit.min(most);
    let has_more = rest.len() > limit;
    rest.truncate(limit);
    (rest, has_more)
}
