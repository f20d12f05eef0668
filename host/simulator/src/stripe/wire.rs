//! The API's wire: the secret key, bracketed forms of which every name is known, idempotency keys, and errors.
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{SECRET_KEY, Stripe, balance, payments, refunds};
use crate::faults::{Hit, Verb};
use crate::ledger::Refusal;
use crate::provider::Provider as _;

/// Why a call is not done.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<String>,
    message: String,
    param: Option<String>,
}

impl ApiError {
    /// A request that breaks a rule, with the parameter that does.
    pub fn invalid(param: &str, message: &str) -> ApiError {
        ApiError {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code: None,
            message: message.to_owned(),
            param: Some(param.to_owned()),
        }
    }

    /// Nothing by that id.
    pub fn missing(id: &str) -> ApiError {
        ApiError {
            status: StatusCode::NOT_FOUND,
            code: Some("resource_missing".to_owned()),
            ..ApiError::invalid("id", &format!("No such object: '{id}'"))
        }
    }

    /// A rule by its code.
    pub fn code(code: &str, message: &str) -> ApiError {
        ApiError { code: Some(code.to_owned()), param: None, ..ApiError::invalid("", message) }
    }

    fn of(status: StatusCode, kind: &'static str, message: &str) -> ApiError {
        ApiError { status, kind, code: None, message: message.to_owned(), param: None }
    }

    fn body(&self) -> Value {
        json!({ "error": {
            "type": self.kind, "code": self.code, "message": self.message, "param": self.param,
        } })
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let code = match refusal {
            Refusal::UnknownTrade => return ApiError::missing("payment"),
            Refusal::RefundTooMuch => "charge_already_refunded",
            Refusal::RefundNotPositive => "parameter_invalid_integer",
            _ => "payment_intent_unexpected_state",
        };
        ApiError::code(code, &refusal.to_string())
    }
}

/// What a call answers.
pub type Reply = Result<Value, ApiError>;

/// What was answered under an idempotency key, and to what.
#[derive(Clone, Debug)]
pub struct Answered {
    asked: Vec<u8>,
    status: StatusCode,
    body: Value,
}

/// A call of the merchant.
pub struct Call<'a> {
    /// The segments of its path behind `/v1`.
    pub path: Vec<&'a str>,
    /// Query or form, by its bracketed names.
    pub fields: BTreeMap<String, String>,
}

impl Call<'_> {
    /// A field that must be there.
    pub fn need(&self, name: &str) -> Result<&str, ApiError> {
        let found = self.fields.get(name).filter(|value| !value.is_empty());
        found.map(String::as_str).ok_or_else(|| ApiError {
            code: Some("parameter_missing".to_owned()),
            ..ApiError::invalid(name, &format!("Missing required param: {name}."))
        })
    }

    /// A whole number that must be there.
    pub fn number(&self, name: &str) -> Result<i64, ApiError> {
        let wrong = |_| ApiError {
            code: Some("parameter_invalid_integer".to_owned()),
            ..ApiError::invalid(name, &format!("Invalid integer: {name}"))
        };
        self.need(name)?.parse().map_err(wrong)
    }

    /// Refuses names that a call does not know: those that end with `[` stand for whatever is in their brackets.
    pub fn only(&self, names: &[&str]) -> Result<(), ApiError> {
        let known = |name: &str| {
            names.iter().any(|known| match known.strip_suffix('[') {
                Some(_) => name.starts_with(known),
                None => name == *known,
            })
        };
        match self.fields.keys().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(ApiError {
                code: Some("parameter_unknown".to_owned()),
                ..ApiError::invalid(name, &format!("Received unknown parameter: {name}"))
            }),
        }
    }
}

/// Answers one call under `/v1`.
pub async fn call(
    State(stripe): State<Arc<Stripe>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(error) = admit(&headers) {
        return answer(error.status, &error.body());
    }
    let text = if method == Method::GET { uri.query().unwrap_or("").as_bytes() } else { &body };
    let call = Call {
        path: uri.path().trim_start_matches("/stripe/v1/").split('/').collect(),
        fields: url::form_urlencoded::parse(text).into_owned().collect(),
    };
    let Some(operation) = named(&method, &call) else {
        let words = format!("Unrecognized request URL ({method}: {})", uri.path());
        let error = ApiError::of(StatusCode::NOT_FOUND, "invalid_request_error", &words);
        return answer(error.status, &error.body());
    };
    let reference = reference(&stripe, &call);
    stripe.book().calls.count(operation, reference.as_deref());
    let hit = stripe.fault(operation, reference.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let (status, body) = once(&stripe, operation, &call, &headers, &body, &hit);
    if stripe.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    hit.lose_reply().await;
    answer(status, &body)
}

fn admit(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
    if key != Some(SECRET_KEY) {
        let words = "Invalid API Key provided";
        return Err(ApiError::of(StatusCode::UNAUTHORIZED, "invalid_request_error", words));
    }
    match text("stripe-version") {
        Some(version) if version.len() >= 10 => Ok(()),
        _ => Err(ApiError::invalid("Stripe-Version", "The request names no version.")),
    }
}

fn named(method: &Method, call: &Call<'_>) -> Option<&'static str> {
    let post = method == Method::POST;
    Some(match call.path[..] {
        ["checkout", "sessions"] | ["payment_intents"] if post => "pay",
        ["checkout", "sessions"] | ["payment_intents"] => "list",
        ["checkout", "sessions", _] | ["payment_intents", _] if !post => "query",
        ["checkout", "sessions", _, "expire"] | ["payment_intents", _, "cancel"] if post => "close",
        ["refunds"] if post => "refund",
        ["refunds"] | ["refunds", _] if !post => "refund_query",
        ["balance_transactions"] if !post => "bill",
        _ => return None,
    })
}

/// The merchant's number of the payment that a call is about, as far as it says.
fn reference(stripe: &Stripe, call: &Call<'_>) -> Option<String> {
    let of_fields = ["client_reference_id", "metadata[payment]"]
        .iter()
        .find_map(|name| call.fields.get(*name).cloned());
    let of_intent = |id: &str| stripe.book().ledger.reference_of(id).map(str::to_owned);
    of_fields
        .or_else(|| call.fields.get("payment_intent").and_then(|id| of_intent(id)))
        .or_else(|| call.path.get(2).and_then(|id| stripe.desk().sessions.get(*id).cloned()))
        .or_else(|| call.path.get(1).and_then(|id| of_intent(id)))
}

/// Does a call once under its idempotency key: the answer is kept, refusals and errors of the server among them. What did not
/// pass the first look, by a parameter, was not begun, and is not kept.
fn once(
    stripe: &Stripe,
    operation: &str,
    call: &Call<'_>,
    headers: &HeaderMap,
    body: &[u8],
    hit: &Hit,
) -> (StatusCode, Value) {
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let asked = digest(&SHA256, &[call.path.join("/").as_bytes(), b"?", body].concat());
    if let Some(answered) = key.and_then(|key| stripe.desk().answered.get(key).cloned()) {
        if answered.asked == asked.as_ref() {
            return (answered.status, answered.body);
        }
        let words = "Keys for idempotent requests can only be used with the same parameters.";
        let error = ApiError::of(StatusCode::BAD_REQUEST, "idempotency_error", words);
        return (error.status, error.body());
    }
    let (status, body, was_begun) = match outcome(stripe, operation, call, hit) {
        Ok(mut body) => {
            distort(&mut body, hit);
            (StatusCode::OK, body, true)
        }
        Err(error) => (error.status, error.body(), error.param.is_none()),
    };
    if let Some(key) = key.filter(|_| was_begun) {
        let answered = Answered { asked: asked.as_ref().to_vec(), status, body: body.clone() };
        stripe.desk().answered.insert(key.to_owned(), answered);
    }
    (status, body)
}

fn outcome(stripe: &Stripe, operation: &str, call: &Call<'_>, hit: &Hit) -> Reply {
    if let Some(rule) = hit.get(Verb::Refuse) {
        let code = rule.value.as_deref().unwrap_or("charge_disputed");
        return Err(ApiError::code(code, "The request cannot be done."));
    }
    if let Some(rule) = hit.get(Verb::SystemError) {
        if rule.value.as_deref() == Some("done") {
            // The work is done, and the caller does not hear of it.
            let _ = work(stripe, operation, call);
        }
        let words = "An unknown error occurred";
        return Err(ApiError::of(StatusCode::INTERNAL_SERVER_ERROR, "api_error", words));
    }
    work(stripe, operation, call)
}

fn work(stripe: &Stripe, operation: &str, call: &Call<'_>) -> Reply {
    let is_session = call.path[0] == "checkout";
    match operation {
        "pay" if is_session => payments::create_session(stripe, call),
        "pay" => payments::create_intent(stripe, call),
        "list" => payments::list(stripe, call, is_session),
        "query" => payments::retrieve(stripe, call, is_session),
        "close" => payments::end(stripe, call, is_session),
        "refund" => refunds::create(stripe, call),
        "refund_query" => refunds::retrieve(stripe, call),
        _ => balance::list(stripe, call),
    }
}

/// Bends a truthful object as the rules in force want it.
pub fn distort(object: &mut Value, hit: &Hit) {
    if let Some(rule) = hit.get(Verb::WrongAmount) {
        for name in ["amount_total", "amount", "amount_received"] {
            if let Some(truth) = object[name].as_i64() {
                let lie = rule.value.as_deref().and_then(|value| value.parse().ok());
                object[name] = json!(lie.unwrap_or(truth + 1));
            }
        }
    }
    if let Some(rule) = hit.get(Verb::LieStatus) {
        let lie = rule.value.as_deref().unwrap_or("canceled");
        let name = if object["payment_status"].is_string() { "payment_status" } else { "status" };
        object[name] = json!(lie);
    }
    if let Some(rule) = hit.get(Verb::Set) {
        for (name, value) in &rule.set {
            let value = match value.as_str() {
                "true" => json!(true),
                "false" => json!(false),
                text => json!(text),
            };
            match object.pointer_mut(name) {
                Some(place) => *place = value,
                None => object[name] = value,
            }
        }
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, body.to_string()).into_response()
}
