//! Calls of the API: JSON, the token that the host puts in, and an id under which a repeat changes nothing more.

use serde::Serialize;
use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, SecretRef, Value};
use tollgate_sdk::fault;

use crate::token::TOKEN;

/// A call that changes something. Each purpose has an id of its own, because an order is made and captured under one of ours.
///
/// # Errors
/// `config` without an address.
pub fn post(
    context: &Context,
    purpose: &str,
    path: &str,
    content: &impl Serialize,
) -> Result<HttpRequest, Fault> {
    let body = serde_json::to_vec(content)
        .map_err(|error| fault::invalid_request(format!("body: {error}")))?;
    let mut request = post_bytes(context, path, body)?;
    let id = format!("{}-{purpose}", context.idempotency_key);
    request.headers.push(text("paypal-request-id", id));
    // Otherwise the reply is an id and little more.
    request.headers.push(text("prefer", "return=representation"));
    Ok(request)
}

/// A call with these very bytes.
///
/// # Errors
/// `config` without an address.
pub fn post_bytes(context: &Context, path: &str, body: Vec<u8>) -> Result<HttpRequest, Fault> {
    let mut request = request(context, "POST", path)?;
    request.headers.push(text("content-type", "application/json"));
    request.body = Body::Bytes(body);
    Ok(request)
}

/// A call that reads.
///
/// # Errors
/// `config` without an address.
pub fn get(
    context: &Context,
    path: &str,
    query: Vec<(String, String)>,
) -> Result<HttpRequest, Fault> {
    let query = query.into_iter().map(|(name, value)| (name, Value::Text(value))).collect();
    Ok(HttpRequest { query, ..request(context, "GET", path)? })
}

fn request(context: &Context, method: &str, path: &str) -> Result<HttpRequest, Fault> {
    let token = SecretRef { slot: TOKEN.to_owned(), form: "bearer".to_owned(), user: None };
    Ok(HttpRequest {
        method: method.to_owned(),
        url: format!("{}{path}", context.origin("api")?),
        query: Vec::new(),
        headers: vec![("authorization".to_owned(), Value::Secret(token))],
        body: Body::Empty,
    })
}

fn text(name: &str, value: impl Into<String>) -> (String, Value) {
    (name.to_owned(), Value::Text(value.into()))
}
