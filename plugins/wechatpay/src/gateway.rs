//! The API's signature: over method, path with query, time, nonce and body, a line each, in the `Authorization` header.

use serde::Serialize;
use tollgate_sdk::contract::requests::Step;
use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, Value};
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256, sign_base64};
use tollgate_sdk::{Keyring, fault};

use crate::certificates;

/// The slot of the merchant's own key.
pub const MERCHANT_KEY: &str = "merchant-private-key";

/// A signed call with JSON.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn post<K: Keyring>(
    context: &Context,
    keys: &K,
    path: &str,
    content: &impl Serialize,
) -> Result<Step, Fault> {
    let body = serde_json::to_string(content)
        .map_err(|error| fault::invalid_request(format!("body: {error}")))?;
    Ok(Step::Send((request(context, keys, "POST", path, body)?, Vec::new())))
}

/// A signed call without a body; the path has its query.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn get<K: Keyring>(context: &Context, keys: &K, path: &str) -> Result<HttpRequest, Fault> {
    request(context, keys, "GET", path, String::new())
}

fn request<K: Keyring>(
    context: &Context,
    keys: &K,
    method: &str,
    path: &str,
    body: String,
) -> Result<HttpRequest, Fault> {
    let (mchid, serial) =
        (context.required_setting("mchid")?, context.required_setting("merchant_serial")?);
    let (seconds, nonce) = (context.now_ms.div_euclid(1000), context.nonce.as_str());
    let url = format!("{}{path}", context.origin("api")?);
    let text = signed_text(method, target(&url), seconds, nonce, &body);
    let signature = sign_base64(keys, Pick::Slot(MERCHANT_KEY), RSA_PKCS1_SHA256, text)?;
    let authorization = format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
         timestamp=\"{seconds}\",serial_no=\"{serial}\""
    );
    let mut headers = vec![
        header("authorization", authorization),
        header("accept", "application/json"),
        // It must not be empty.
        header("user-agent", "tollgate-wechatpay"),
    ];
    if let Some(id) = certificates::public_key_id(keys) {
        // So the provider signs its reply with the key of that id rather than by a certificate.
        headers.push(header("wechatpay-serial", id));
    }
    if method == "POST" {
        headers.push(header("content-type", "application/json"));
    }
    Ok(HttpRequest {
        method: method.to_owned(),
        url,
        query: Vec::new(),
        headers,
        body: if body.is_empty() { Body::Empty } else { Body::Bytes(body.into_bytes()) },
    })
}

/// What a request's signature covers: a line each, also for a body that is empty. `target` is the path with its query, as sent.
pub fn signed_text(method: &str, target: &str, seconds: i64, nonce: &str, body: &str) -> String {
    format!("{method}\n{target}\n{seconds}\n{nonce}\n{body}\n")
}

/// The path of an address and what follows it, as it is sent.
fn target(url: &str) -> &str {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    host.find('/').map_or("/", |at| &host[at..])
}

fn header(name: &str, value: impl Into<String>) -> (String, Value) {
    (name.to_owned(), Value::Text(value.into()))
}
