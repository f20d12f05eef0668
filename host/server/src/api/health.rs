//! Whether the gateway lives, and whether it is ready for work.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::store::merchants;

/// That the process answers.
#[derive(Serialize, ToSchema)]
pub struct Alive {
    /// Always `alive`.
    status: &'static str,
    /// The gateway's version.
    version: &'static str,
}

/// That work can be done.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    /// Always `ready`; a gateway that is not answers 503.
    status: &'static str,
    /// How many plugins are loaded.
    plugins: usize,
}

/// Whether the process answers: nothing else is looked at.
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "isAlive", security(()),
    responses((status = 200, body = Alive)))]
pub async fn alive() -> Json<Alive> {
    Json(Alive { status: "alive", version: env!("CARGO_PKG_VERSION") })
}

/// Whether the database answers and a plugin is loaded.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "isReady", security(()),
    responses((status = 200, body = Ready),
        (status = 503, body = ProblemBody, content_type = "application/problem+json")))]
pub async fn ready(State(gateway): State<Shared>) -> Result<Json<Ready>, Problem> {
    let store = gateway.clone();
    let read = finish(async move {
        let mut sql = store.store.read().await?;
        Ok(merchants::first(&mut sql).await?)
    });
    let mut failed = match read.await {
        Ok(_) => {
            let plugins = gateway.plugins.plugins().len();
            if plugins > 0 {
                return Ok(Json(Ready { status: "ready", plugins }));
            }
            return Err(Problem::new("unavailable", "no plugin is loaded"));
        }
        Err(problem) => problem,
    };
    if let Some(cause) = failed.take_cause() {
        tracing::error!(cause = cause.0, "the database does not answer");
    }
    Err(Problem::new("unavailable", "the database does not answer"))
}
