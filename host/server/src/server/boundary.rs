//! The boundary of every request: its id, its line in the log, and what no answer leaves without.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;

use crate::api::Shared;
use crate::api::problem::{Cause, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its id, answers for a handler that panics, and writes what became of it: once, and without the
/// address, which may be a payer's.
pub async fn guard(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    let id = format!("req_{}", gateway.chance.text(20));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let span = tracing::info_span!("request", id, %method, route);
    let started = gateway.store.now();
    let answered =
        AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response =
        answered.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    let ms = gateway.store.now().millis_since(started);
    span.in_scope(|| log(&response, ms));
    finish(&mut response, &id);
    response
}

fn log(response: &Response, ms: i64) {
    let status = response.status().as_u16();
    match (status, response.extensions().get::<Cause>()) {
        (_, Some(Cause(cause))) => tracing::error!(status, ms, cause, "failed"),
        (500.., None) => tracing::warn!(status, ms, "unavailable"),
        (400..500, None) => tracing::info!(status, ms, "refused"),
        _ => tracing::debug!(status, ms, "answered"),
    }
}

fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
}
