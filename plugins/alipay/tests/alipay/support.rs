//! Keys, contexts and signed replies for the other tests. The published app key plays Alipay as well: what it signs,
//! `alipay-public-key` verifies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_sdk::contract::requests::{Operation, Outcome, Progress, Report, Step};
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::contract::types::{
    Body, Context, Fault, HttpRequest, HttpResponse, Money, Payment, Refund, Value,
};
use tollgate_sdk::harness::{self, MemoryKeys};
use tollgate_sdk::keys::{Keyring, Pick, RSA_PKCS1_SHA256};

pub const APP_ID: &str = "9021000122682882";
pub const SELLER_ID: &str = "2088721003899159";
pub const OURS: &str = "T0000000000000000000001A";
/// 2023-12-21 06:54:37 in China.
pub const NOW_MS: i64 = 1_703_112_877_000;

pub fn vector(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    std::fs::read_to_string(path).unwrap().trim_end_matches('\n').to_owned()
}

pub fn der(name: &str) -> Vec<u8> {
    STANDARD.decode(vector(name).trim()).unwrap()
}

/// An account in public-key mode whose Alipay is the published app key.
pub fn keys() -> MemoryKeys {
    MemoryKeys::default()
        .private("app-private-key", &der("alipay-app-private-key.pkcs1.b64"))
        .unwrap()
        .public("alipay-public-key", None, &der("app-public-key.spki.b64"))
}

pub fn context() -> Context {
    harness::context(
        NOW_MS,
        &[("app_id", APP_ID), ("seller_id", SELLER_ID)],
        &[("gateway", "https://gate.test"), ("bill", "http://bill.test")],
    )
}

pub fn sign(text: &str) -> String {
    let data = [Piece::Text(text.as_bytes().to_vec())];
    let signature = keys().sign(Pick::Slot("app-private-key"), RSA_PKCS1_SHA256, &data).unwrap();
    STANDARD.encode(signature)
}

pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

pub fn payment(method: &str) -> Payment {
    Payment {
        payment_ref: OURS.to_owned(),
        provider_ref: None,
        method: method.to_owned(),
        amount: cny(8_888),
        created_ms: NOW_MS,
        kept: Vec::new(),
    }
}

pub fn refund() -> Refund {
    Refund {
        payment: payment("page"),
        refund_ref: "R0000000000000000000001A".to_owned(),
        provider_refund_ref: None,
        amount: cny(100),
        created_ms: NOW_MS,
        kept: Vec::new(),
    }
}

/// A gateway reply as it comes: `inner` is signed as it stands.
pub fn reply(method: &str, inner: &str) -> HttpResponse {
    let name = format!("{}_response", method.replace('.', "_"));
    raw_reply(&format!("{{\"{name}\":{inner},\"sign\":\"{}\"}}", sign(inner)))
}

pub fn raw_reply(body: &str) -> HttpResponse {
    HttpResponse { status: 200, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

pub fn interpret(operation: &Operation, response: &HttpResponse) -> Result<Outcome, Fault> {
    match tollgate_alipay::interpret(&context(), &keys(), operation, response)? {
        Progress::Done(outcome) => Ok(outcome),
        other => panic!("{other:?}"),
    }
}

pub fn report(operation: &Operation, response: &HttpResponse) -> Report {
    match interpret(operation, response).unwrap() {
        Outcome::Report(report) => report,
        other => panic!("{other:?}"),
    }
}

pub fn sent(step: Step) -> HttpRequest {
    match step {
        Step::Send((request, state)) => {
            assert!(state.is_empty());
            request
        }
        other => panic!("{other:?}"),
    }
}

/// The text values of a request's query and form, in that order.
pub fn values(request: &HttpRequest) -> Vec<(String, String)> {
    let Body::Form(form) = &request.body else { panic!("{:?}", request.body) };
    request
        .query
        .iter()
        .chain(form)
        .map(|(name, value)| match value {
            Value::Text(text) => (name.clone(), text.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Checks a gateway call's signature as the other side does, and gives its `biz_content`.
pub fn accept(mut values: Vec<(String, String)>) -> serde_json::Value {
    values.sort();
    let at = values.iter().position(|(name, _)| name == "sign").unwrap();
    let (_, sent) = values.remove(at);
    let text: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(sent, sign(&text.join("&")));
    let content = values.iter().find(|(name, _)| name == "biz_content").unwrap();
    serde_json::from_str(&content.1).unwrap()
}
