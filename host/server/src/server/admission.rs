//! How much is worked on at a time: what is too much is refused before anything is done.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::api::problem::Problem;

/// Gives a request a place until it is done, or refuses it at once. A client that hangs up leaves its place to the
/// work that goes on. Probes need none: an overloaded gateway is alive.
pub async fn admit(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    if matches!(route, "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let Ok(place) = places.try_acquire_owned() else {
        let detail = "more requests are being worked on than this gateway takes at a time";
        return Problem::new("overloaded", detail).into_response();
    };
    let work = async move {
        let response = next.run(request).await;
        drop(place);
        response
    };
    match tokio::spawn(work.in_current_span()).await {
        Ok(response) => response,
        // The panic itself was written by the panic hook; the payload may hold anything.
        Err(_) => Problem::internal("a handler panicked").into_response(),
    }
}
