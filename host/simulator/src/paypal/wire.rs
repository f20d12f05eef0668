//! The API's wire: tokens, JSON, ids of requests under which a repeat gives the same answer, and errors.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{CLIENT_ID, CLIENT_SECRET, PayPal, disputes, events, orders, refunds, reports};
use crate::faults::{Hit, Verb};
use crate::ledger::Refusal;
use crate::provider::Provider as _;

/// Why a call is not done: the HTTP status, the error's name, and the issue.
#[derive(Clone, Debug)]
pub struct ApiError(pub StatusCode, pub &'static str, pub String);

impl ApiError {
    /// A business rule, by its issue.
    pub fn issue(issue: &str) -> ApiError {
        ApiError(StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY", issue.to_owned())
    }

    /// A request that is not of the shape that it must have.
    pub fn invalid(issue: &str) -> ApiError {
        ApiError(StatusCode::BAD_REQUEST, "INVALID_REQUEST", issue.to_owned())
    }

    /// Nothing by that number.
    pub fn missing() -> ApiError {
        ApiError(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID".to_owned())
    }

    /// More than it lists: its name says so, and it has no details.
    pub fn too_large() -> ApiError {
        ApiError(StatusCode::BAD_REQUEST, "RESULTSET_TOO_LARGE", String::new())
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "name": self.1, "message": "The request could not be done.", "debug_id": "simulated",
        });
        if !self.2.is_empty() {
            body["details"] = json!([{ "issue": self.2, "description": "See the issue." }]);
        }
        body
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::UnknownTrade => ApiError::missing(),
            Refusal::AlreadyPaid => ApiError::issue("ORDER_ALREADY_CAPTURED"),
            Refusal::RefundTooMuch => ApiError::issue("REFUND_AMOUNT_EXCEEDED"),
            Refusal::OtherContent => ApiError::issue("DUPLICATE_INVOICE_ID"),
            _ => ApiError::issue("ORDER_NOT_APPROVED"),
        }
    }
}

/// What a call answers: the status of a first answer, and the object.
pub type Reply = Result<(StatusCode, Value), ApiError>;

/// A call of the merchant.
pub struct Call<'a> {
    /// The segments of its path.
    pub path: Vec<&'a str>,
    /// Its query.
    pub query: Vec<(String, String)>,
    /// Its JSON; null without.
    pub json: Value,
    /// Its very bytes.
    pub body: &'a [u8],
}

impl Call<'_> {
    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Answers one call.
pub async fn call(
    State(paypal): State<Arc<PayPal>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        path: uri.path().trim_start_matches("/paypal/").split('/').collect(),
        query: url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes())
            .into_owned()
            .collect(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        body: &body,
    };
    let Some(operation) = named(&method, &call) else {
        return answer(Err(ApiError::missing()));
    };
    let reference = reference(&paypal, &call);
    paypal.book().calls.count(operation, reference.as_deref());
    let hit = paypal.fault(operation, reference.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    if operation == "token" {
        return token(&paypal, &headers, &body);
    }
    if !is_known(&paypal, &headers) {
        let error = json!({ "error": "invalid_token", "error_description": "Token is not valid" });
        return (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response();
    }
    let outcome = once(&paypal, operation, &call, &headers, &hit);
    if paypal.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    hit.lose_reply().await;
    answer(outcome)
}

fn named(method: &Method, call: &Call<'_>) -> Option<&'static str> {
    let post = method == Method::POST;
    Some(match call.path[..] {
        ["v1", "oauth2", "token"] if post => "token",
        ["v2", "checkout", "orders"] if post => "pay",
        ["v2", "checkout", "orders", _] if !post => "query",
        ["v2", "checkout", "orders", _, "capture"] if post => "capture",
        ["v2", "payments", "captures", _, "refund"] if post => "refund",
        ["v2", "payments", "refunds", _] if !post => "refund_query",
        ["v1", "customer", "disputes", _] if !post => "dispute",
        ["v1", "notifications", "verify-webhook-signature"] if post => "verify",
        ["v1", "reporting", "transactions"] if !post => "bill",
        _ => return None,
    })
}

/// The merchant's number of the payment that a call is about, as far as it says.
fn reference(paypal: &PayPal, call: &Call<'_>) -> Option<String> {
    let custom = call.json["purchase_units"][0]["custom_id"].as_str().map(str::to_owned);
    custom
        .or_else(|| paypal.desk().orders.get(*call.path.get(3)?).cloned())
        .or_else(|| paypal.book().ledger.reference_of(call.path.get(3)?).map(str::to_owned))
        .or_else(|| disputes::reference_of(paypal, call.path.get(3)?))
}

fn token(paypal: &PayPal, headers: &HeaderMap, body: &[u8]) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let wanted = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    if given != Some(wanted.as_str()) || body != b"grant_type=client_credentials" {
        let error = json!({
            "error": "invalid_client", "error_description": "Client Authentication failed",
        });
        return (StatusCode::UNAUTHORIZED, axum::Json(error)).into_response();
    }
    let token = format!("A21AA{}", paypal.chance.alphanumeric(60));
    paypal.desk().tokens.insert(token.clone());
    let granted = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": 32_400,
        "scope": "https://uri.paypal.com/services/checkout", "app_id": "APP-SIMULATED",
    });
    axum::Json(granted).into_response()
}

fn is_known(paypal: &PayPal, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = given.and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| paypal.desk().tokens.contains(token))
}

/// Does a call once under the id of its request: a refusal is given again as it was, and what was done with 200. After an error
/// of the server the same id is served anew, as PayPal asks for.
fn once(
    paypal: &PayPal,
    operation: &str,
    call: &Call<'_>,
    headers: &HeaderMap,
    hit: &Hit,
) -> Reply {
    let id = headers.get("paypal-request-id").and_then(|value| value.to_str().ok());
    let path = call.path.join("/");
    if let Some((of_path, answer)) = id.and_then(|id| paypal.desk().answered.get(id).cloned()) {
        return match of_path == path {
            true => answer.map(|body| (StatusCode::OK, body)),
            false => Err(ApiError::issue("PAYPAL_REQUEST_ID_USED")),
        };
    }
    let outcome = outcome(paypal, operation, call, hit);
    let kept = match &outcome {
        Ok((_, body)) => Some(Ok(body.clone())),
        Err(error) if error.0 == StatusCode::UNPROCESSABLE_ENTITY => Some(Err(error.clone())),
        Err(_) => None,
    };
    if let (Some(id), Some(kept)) = (id, kept) {
        paypal.desk().answered.insert(id.to_owned(), (path, kept));
    }
    let (status, mut body) = outcome?;
    distort(&mut body, hit);
    Ok((status, body))
}

fn outcome(paypal: &PayPal, operation: &str, call: &Call<'_>, hit: &Hit) -> Reply {
    if let Some(rule) = hit.get(Verb::Refuse) {
        return Err(ApiError::issue(rule.value.as_deref().unwrap_or("TRANSACTION_REFUSED")));
    }
    if let Some(rule) = hit.get(Verb::SystemError) {
        if rule.value.as_deref() == Some("done") {
            // The work is done, and the caller does not hear of it.
            let _ = work(paypal, operation, call);
        }
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Err(ApiError(status, "INTERNAL_SERVER_ERROR", "INTERNAL_SERVICE_ERROR".to_owned()));
    }
    work(paypal, operation, call)
}

fn work(paypal: &PayPal, operation: &str, call: &Call<'_>) -> Reply {
    match operation {
        "pay" => orders::create(paypal, call),
        "query" => orders::retrieve(paypal, call.path[3]),
        "capture" => orders::capture(paypal, call.path[3]),
        "refund" => refunds::create(paypal, call),
        "refund_query" => refunds::retrieve(paypal, call.path[3]),
        "dispute" => disputes::retrieve(paypal, call.path[3]),
        "verify" => events::verify(paypal, call),
        _ => reports::list(paypal, call),
    }
}

/// Bends a truthful object as the rules in force want it.
pub fn distort(object: &mut Value, hit: &Hit) {
    let capture = "/purchase_units/0/payments/captures/0";
    if let Some(rule) = hit.get(Verb::WrongAmount) {
        let lie = rule.value.clone().unwrap_or_else(|| "0.01".to_owned());
        for place in [format!("{capture}/amount/value"), "/amount/value".to_owned()] {
            if let Some(value) = object.pointer_mut(&place) {
                *value = json!(lie);
            }
        }
    }
    if let Some(rule) = hit.get(Verb::LieStatus) {
        let lie = rule.value.as_deref().unwrap_or("DECLINED");
        let place = format!("{capture}/status");
        match object.pointer_mut(&place) {
            Some(status) => *status = json!(lie),
            None => object["status"] = json!(lie),
        }
    }
    if let (Some(rule), Some(members)) = (hit.get(Verb::LeaveOut), object.as_object_mut()) {
        members.retain(|name, _| rule.value.as_ref().is_some_and(|left_out| left_out != name));
    }
    if let Some(rule) = hit.get(Verb::Set) {
        for (name, value) in &rule.set {
            match object.pointer_mut(name) {
                Some(place) => *place = json!(value),
                None => object[name.trim_start_matches('/')] = json!(value),
            }
        }
    }
}

fn answer(outcome: Reply) -> Response {
    match outcome {
        Ok((status, body)) => (status, axum::Json(body)).into_response(),
        Err(error) => (error.0, axum::Json(error.body())).into_response(),
    }
}
