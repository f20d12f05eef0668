//! Calls of the API: a form with brackets, the pinned version, and the secret key that the host puts in.

use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, SecretRef, Value};

/// The slot of the secret or restricted key.
pub const SECRET_KEY: &str = "secret-key";
/// The version that requests and replies are written for.
pub const VERSION: &str = "2026-10-28.endive";

/// Names and values of a form or query.
pub type Pairs = Vec<(String, String)>;

/// A pair.
pub fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// A call that changes something. Whoever repeats it under the same key changes nothing more; each purpose has a key of its
/// own, because a payment is made and ended under one of ours.
///
/// # Errors
/// `config` without an address.
pub fn post(
    context: &Context,
    purpose: &str,
    path: &str,
    form: Pairs,
) -> Result<HttpRequest, Fault> {
    let mut request = request(context, "POST", path)?;
    let key = Value::Text(format!("{}-{purpose}", context.idempotency_key));
    request.headers.push(("idempotency-key".to_owned(), key));
    request.body = Body::Form(texts(form));
    Ok(request)
}

/// A call that reads.
///
/// # Errors
/// `config` without an address.
pub fn get(context: &Context, path: &str, query: Pairs) -> Result<HttpRequest, Fault> {
    Ok(HttpRequest { query: texts(query), ..request(context, "GET", path)? })
}

fn request(context: &Context, method: &str, path: &str) -> Result<HttpRequest, Fault> {
    let secret = SecretRef { slot: SECRET_KEY.to_owned(), form: "bearer".to_owned(), user: None };
    Ok(HttpRequest {
        method: method.to_owned(),
        url: format!("{}{path}", context.origin("api")?),
        query: Vec::new(),
        headers: vec![
            ("authorization".to_owned(), Value::Secret(secret)),
            ("stripe-version".to_owned(), Value::Text(VERSION.to_owned())),
        ],
        body: Body::Empty,
    })
}

fn texts(pairs: Pairs) -> Vec<(String, Value)> {
    pairs.into_iter().map(|(name, value)| (name, Value::Text(value))).collect()
}
