//! The HTTP API of merchants under `/v1`, and the addresses that providers call.
//!
//! A handler extracts, authenticates, calls one flow and renders what it gives. Its types are its own: rows never
//! leave as they are. `GET /openapi.json` is made from the same table as the router.

pub mod accounts;
pub mod bills;
pub mod body;
pub mod caller;
pub mod cases;
pub mod deliveries;
pub mod disputes;
pub mod document;
pub mod door;
pub mod endpoints;
pub mod events;
pub mod health;
pub mod jobs;
pub mod keys;
pub mod limits;
pub mod once;
pub mod orders;
pub mod page;
pub mod payments;
pub mod plugins;
pub mod problem;
pub mod problem_pages;
pub mod providers;
pub mod reconciliations;
pub mod refunds;
pub mod table;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cashier;
use crate::flows::Flow;
use crate::gateway::Gateway;
use problem::Problem;

/// What every handler is given.
pub type Shared = Arc<Gateway>;

/// Every route that the document lists, with its handler.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(document::Document::openapi())
        .routes(routes!(orders::create, orders::list))
        .routes(routes!(orders::get))
        .routes(routes!(orders::close))
        .routes(routes!(payments::start))
        .routes(routes!(payments::get))
        .routes(routes!(payments::sync))
        .routes(routes!(payments::client_result))
        .routes(routes!(refunds::create, refunds::list))
        .routes(routes!(refunds::get))
        .routes(routes!(disputes::list))
        .routes(routes!(disputes::get))
        .routes(routes!(cases::list))
        .routes(routes!(cases::get))
        .routes(routes!(cases::close))
        .routes(routes!(accounts::create, accounts::list))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::grant))
        .routes(routes!(plugins::list))
        .routes(routes!(bills::create, bills::list))
        .routes(routes!(bills::get))
        .routes(routes!(reconciliations::create, reconciliations::list))
        .routes(routes!(reconciliations::get))
        .routes(routes!(reconciliations::discrepancies))
        .routes(routes!(events::list))
        .routes(routes!(endpoints::create, endpoints::list))
        .routes(routes!(endpoints::get, endpoints::change))
        .routes(routes!(endpoints::enable))
        .routes(routes!(endpoints::disable))
        .routes(routes!(endpoints::rotate_secret))
        .routes(routes!(endpoints::replay))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::get))
        .routes(routes!(deliveries::replay))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::replay))
        .routes(routes!(keys::create, keys::list))
        .routes(routes!(keys::get))
        .routes(routes!(keys::rotate))
        .routes(routes!(keys::revoke))
        .routes(routes!(providers::notified, providers::notified_by_get))
        .routes(routes!(providers::posted_back, providers::returned))
        .routes(routes!(cashier::show, cashier::choose))
        .routes(routes!(cashier::status))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(problem_pages::show))
        .routes(routes!(document::show))
}

/// Runs a flow and answers for one that panics. It runs to its end even if the client hangs up meanwhile, as all of a
/// request does that was let in (`server::admission`): half a payment helps nobody. A flow is large, so it is moved once.
pub fn finish<T, F>(flow: F) -> BoxFuture<'static, Result<T, Problem>>
where
    T: Send + 'static,
    F: Future<Output = Flow<T>> + Send + 'static,
{
    Box::pin(async move {
        match AssertUnwindSafe(flow).catch_unwind().await {
            Ok(done) => done.map_err(Problem::from),
            // The panic itself was written by the panic hook; the payload may hold anything.
            Err(_) => Err(Problem::internal("a flow panicked")),
        }
    })
}
