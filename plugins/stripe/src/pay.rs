//! Starting a payment: a hosted page, or a secret with which the shop's own page confirms one.

use serde_json::json;
use tollgate_sdk::contract::requests::{NextAction, Outcome, PayRequest, Report, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, PaymentStatus, Subject};
use tollgate_sdk::{facts, fault, text};

use crate::gateway::{self, Pairs, pair};
use crate::objects::{Intent, PAYMENT, Session};
use crate::{money, reply, status};

/// Where hosted pages are made.
pub const SESSIONS: &str = "/v1/checkout/sessions";
/// Where payments for a page of the shop's own are made.
pub const INTENTS: &str = "/v1/payment_intents";

/// A session lives for half an hour at least, counted at Stripe's clock, and a day at most.
const SHORTEST_MS: i64 = 31 * 60_000;
const LONGEST_MS: i64 = 24 * 3_600_000 - 60_000;
/// Longest name of what is bought, in characters.
const LONGEST_NAME: usize = 250;

/// Builds the call of the payment's method. What a repeat must repeat is made from the payment alone.
///
/// # Errors
/// `invalid-request` for an amount or currency that Stripe does not take, or a method that is not one of its own.
pub fn build(context: &Context, request: &PayRequest) -> Result<Step, Fault> {
    if request.manual_capture {
        return Err(fault::unsupported("capture by hand is not offered"));
    }
    let (path, form) = match request.payment.method.as_str() {
        "checkout" => (SESSIONS, session(request)?),
        "intent" => (INTENTS, intent(request)?),
        other => return Err(fault::invalid_request(format!("Stripe has no method `{other}`"))),
    };
    Ok(Step::Send((gateway::post(context, "pay", path, form)?, Vec::new())))
}

fn session(request: &PayRequest) -> Result<Pairs, Fault> {
    let payment = &request.payment;
    let ours = payment.payment_ref.as_str();
    let (soonest, latest) = (payment.created_ms + SHORTEST_MS, payment.created_ms + LONGEST_MS);
    let expires_s = request.expires_ms.clamp(soonest, latest).div_euclid(1000);
    let back = request.cancel_url.as_deref().unwrap_or(&request.return_url);
    let price = "line_items[0][price_data]";
    Ok(vec![
        pair("mode", "payment"),
        pair("client_reference_id", ours),
        pair(&format!("metadata[{PAYMENT}]"), ours),
        // A session's metadata does not flow to what is charged.
        pair(&format!("payment_intent_data[metadata][{PAYMENT}]"), ours),
        pair("line_items[0][quantity]", "1"),
        pair(&format!("{price}[currency]"), payment.amount.currency.to_lowercase()),
        pair(&format!("{price}[unit_amount]"), money::theirs(&payment.amount)?.to_string()),
        pair(&format!("{price}[product_data][name]"), text::first(&request.subject, LONGEST_NAME)),
        // Otherwise the payer may be charged in another currency.
        pair("adaptive_pricing[enabled]", "false"),
        pair("expires_at", expires_s.to_string()),
        pair("success_url", format!("{}?session_id={{CHECKOUT_SESSION_ID}}", request.return_url)),
        pair("cancel_url", back),
    ])
}

fn intent(request: &PayRequest) -> Result<Pairs, Fault> {
    let payment = &request.payment;
    Ok(vec![
        pair("amount", money::theirs(&payment.amount)?.to_string()),
        pair("currency", payment.amount.currency.to_lowercase()),
        pair("automatic_payment_methods[enabled]", "true"),
        pair("description", text::first(&request.subject, LONGEST_NAME)),
        pair(&format!("metadata[{PAYMENT}]"), payment.payment_ref.as_str()),
    ])
}

/// Reads the answer. A refusal ends the payment: no payer ever had its page.
///
/// # Errors
/// See [`reply::read`]; whatever is no answer leaves the outcome unknown.
pub fn interpret(request: &PayRequest, response: &HttpResponse) -> Result<Outcome, Fault> {
    if request.payment.method == "intent" {
        return match reply::read::<Intent>(response)? {
            Ok(intent) => confirmable(request, &intent),
            Err(refusal) => refused(request, &refusal),
        };
    }
    match reply::read::<Session>(response)? {
        Ok(session) => hosted(request, &session),
        Err(refusal) => refused(request, &refusal),
    }
}

fn refused(request: &PayRequest, refusal: &reply::Refusal) -> Result<Outcome, Fault> {
    if !refusal.is_final() {
        return Err(refusal.fault());
    }
    let ours = Some(request.payment.payment_ref.as_str());
    let mut fact = facts::fact(Subject::Payment(PaymentStatus::Failed), ours, refusal.word());
    fact.reason = Some(refusal.words());
    Ok(facts::report(fact))
}

fn hosted(request: &PayRequest, session: &Session) -> Result<Outcome, Fault> {
    let ours = request.payment.payment_ref.as_str();
    if session.client_reference_id.as_deref() != Some(ours) {
        return Err(fault::protocol("the session is another payment's").outcome_unknown());
    }
    // A session lives for a day at most, an order for a month.
    let page_ends = session.expires_at.map(|seconds| seconds.saturating_mul(1_000));
    Ok(Outcome::Report(Report {
        fact: status::session(session).map_err(Fault::outcome_unknown)?,
        action: page(session),
        action_expires_ms: Some(
            page_ends.map_or(request.expires_ms, |at| at.min(request.expires_ms)),
        ),
        keep: Some(session.id.clone().into_bytes()),
    }))
}

fn confirmable(request: &PayRequest, intent: &Intent) -> Result<Outcome, Fault> {
    if intent.metadata.get(PAYMENT) != Some(&request.payment.payment_ref) {
        return Err(fault::protocol("the intent is another payment's").outcome_unknown());
    }
    let action = parameters(intent);
    if matches!(action, NextAction::None) {
        return Err(fault::protocol("an intent without `client_secret`").outcome_unknown());
    }
    Ok(Outcome::Report(Report {
        fact: status::intent(intent).map_err(Fault::outcome_unknown)?,
        action,
        action_expires_ms: Some(request.expires_ms),
        keep: Some(intent.id.clone().into_bytes()),
    }))
}

/// Where the payer goes; nowhere once the session is over: a query tells how it ended.
pub fn page(session: &Session) -> NextAction {
    session.url.clone().map_or(NextAction::None, NextAction::Redirect)
}

/// What the shop's page confirms an intent with.
pub fn parameters(intent: &Intent) -> NextAction {
    let Some(secret) = &intent.client_secret else { return NextAction::None };
    let parameters = json!({ "payment_intent": intent.id, "client_secret": secret });
    NextAction::ClientParameters(parameters.to_string())
}
