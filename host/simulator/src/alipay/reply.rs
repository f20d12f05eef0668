//! Replies: a JSON text whose inner member is signed over exactly the bytes that are sent.
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::canonical::Charset;
use super::keys::Credentials;
use super::request::GatewayError;
use crate::faults::{Hit, Verb};
use crate::money::Amount;
use crate::rsa::SigningKey;

/// Members of a reply in the order in which they are written.
pub type Members = Map<String, Value>;

/// Amounts that a lie about amounts touches.
const AMOUNTS: [&str; 5] =
    ["total_amount", "buyer_pay_amount", "receipt_amount", "refund_fee", "refund_amount"];

/// What surrounds the signed member.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// API name; `None` when the request named none that is known.
    pub method: Option<&'a str>,
    /// Charset of the reply.
    pub charset: Charset,
    /// Whether the provider's certificate is named.
    pub certificates: bool,
}

/// Builds members from a list, leaving out those without a value.
pub fn members(pairs: Vec<(&str, Option<String>)>) -> Members {
    let kept = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    kept.map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

/// Text of an outcome: code and message lead, slashes are escaped as the provider escapes them.
pub fn member_text(outcome: &Result<Members, GatewayError>) -> String {
    let mut all = Members::new();
    let mut put = |name: &str, text: &str| {
        all.insert(name.to_owned(), Value::String(text.to_owned()));
    };
    match outcome {
        Ok(members) => {
            put("code", "10000");
            put("msg", "Success");
            all.extend(members.clone());
        }
        Err(error) => {
            put("code", error.code);
            put("msg", error.msg);
            put("sub_code", &error.sub_code);
            put("sub_msg", &error.sub_msg);
        }
    }
    Value::Object(all).to_string().replace('/', "\\/")
}

/// Applies the lies of the rules in force to a correct outcome, before it is signed.
pub fn distort(outcome: &mut Result<Members, GatewayError>, hit: &Hit) {
    let Ok(members) = outcome else {
        return;
    };
    if let Some(rule) = hit.get(Verb::WrongAmount) {
        for name in AMOUNTS {
            let truth = members.get(name).and_then(Value::as_str).and_then(Amount::parse);
            if let Some(truth) = truth {
                let lie = rule.value.clone().unwrap_or_else(|| Amount(truth.0 + 1).decimal());
                members.insert(name.to_owned(), Value::String(lie));
            }
        }
    }
    if let Some(rule) = hit.get(Verb::LieStatus) {
        let name =
            if members.contains_key("refund_status") { "refund_status" } else { "trade_status" };
        let lie = rule.value.clone().unwrap_or_else(|| "TRADE_SUCCESS".to_owned());
        members.insert(name.to_owned(), Value::String(lie));
    }
    if let Some(rule) = hit.get(Verb::Set) {
        for (name, value) in &rule.set {
            members.insert(name.clone(), Value::String(value.clone()));
        }
    }
}

/// The whole reply. `key` signs it; `None` sends it without a signature.
pub fn render(
    frame: Frame<'_>,
    outcome: &Result<Members, GatewayError>,
    credentials: &Credentials,
    key: Option<&SigningKey>,
) -> Vec<u8> {
    let name = match frame.method {
        Some(method) => format!("{}_response", method.replace('.', "_")),
        None => "error_response".to_owned(),
    };
    let member = frame.charset.encode(&member_text(outcome));
    let signed = outcome.as_ref().map_or_else(|error| error.signed, |_| true);
    let mut reply = format!("{{\"{name}\":").into_bytes();
    reply.extend_from_slice(&member);
    if frame.certificates {
        let serial = credentials.signer_sn();
        reply.extend_from_slice(format!(",\"alipay_cert_sn\":\"{serial}\"").as_bytes());
    }
    if let Some(key) = key.filter(|_| signed) {
        reply.extend_from_slice(format!(",\"sign\":\"{}\"", key.sign(&member)).as_bytes());
    }
    reply.push(b'}');
    reply
}

/// An HTTP answer: always 200, as the gateway tells errors inside the text.
pub fn answer(charset: Charset, trace_id: String, body: Vec<u8>) -> Response {
    let kind = format!("text/html;charset={}", charset.name());
    let headers = [(header::CONTENT_TYPE.as_str(), kind), ("trace_id", trace_id)];
    (StatusCode::OK, headers, body).into_response()
}
