//! Deliveries over HTTP: what became of telling you of events, and telling you again.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_domain::delivery::DeliveryState;
use tollgate_domain::ids::kind;
use tollgate_domain::time::Moment;
use utoipa::ToSchema;

use super::caller::{Caller, Named};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::deliveries;
use crate::store::deliveries::{AttemptRow, DeliveryRow, Filter};

/// Telling one endpoint of one event.
#[derive(Serialize, ToSchema)]
pub struct Delivery {
    /// Starts with `dlv_`.
    id: String,
    /// To whom.
    endpoint_id: String,
    /// What: the header `webhook-id` of each try.
    event_id: String,
    /// `pending`, `delivered`, or `parked`: nobody tries any more until you replay it.
    state: String,
    /// Why the last try failed, or why it is parked.
    reason: Option<String>,
    /// How often it was tried.
    attempts: i64,
    /// When it is tried next.
    #[schema(format = DateTime)]
    next_at: Option<String>,
    /// When the endpoint took it.
    #[schema(format = DateTime)]
    delivered_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// A delivery and how its tries went.
#[derive(Serialize, ToSchema)]
pub struct DeliveryWithTries {
    #[serde(flatten)]
    delivery: Delivery,
    /// The last 50 tries, oldest first.
    tries: Vec<Try>,
}

/// How a try went.
#[derive(Serialize, ToSchema)]
pub struct Try {
    /// Counts from 1.
    number: i64,
    /// When it began.
    #[schema(format = DateTime)]
    at: String,
    /// How long it took, in milliseconds.
    took_ms: i64,
    /// The HTTP status, if there was one.
    status: Option<i64>,
    /// How the answer's body began.
    reply: String,
    /// Why there was no answer.
    failure: Option<String>,
}

impl Delivery {
    fn render(row: DeliveryRow) -> Delivery {
        let pending = row.state == DeliveryState::Pending;
        Delivery {
            id: row.id.to_string(),
            endpoint_id: row.endpoint_id.to_string(),
            event_id: row.event_id.to_string(),
            state: row.state.to_string(),
            reason: row.reason,
            attempts: row.attempts,
            next_at: pending.then(|| row.next_at.to_string()),
            delivered_at: row.delivered_at.map(|at| Moment(at).to_string()),
            created_at: row.created_at.to_string(),
        }
    }
}

impl DeliveryWithTries {
    fn render((row, attempts): (DeliveryRow, Vec<AttemptRow>)) -> DeliveryWithTries {
        let tried = |row: AttemptRow| Try {
            number: row.number,
            at: row.at.to_string(),
            took_ms: row.took_ms,
            status: row.status,
            reply: row.reply,
            failure: row.failure,
        };
        let tries = attempts.into_iter().map(tried).collect();
        DeliveryWithTries { delivery: Delivery::render(row), tries }
    }
}

/// List deliveries, newest first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "webhooks", operation_id = "listDeliveries",
    security(("key" = ["read"])),
    params(("endpoint_id" = Option<String>, Query), ("state" = Option<String>, Query),
        ("event_id" = Option<String>, Query), ("limit" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Delivery>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Delivery>>, Problem> {
    let rule = "must be pending, delivered or parked";
    let filter = Filter {
        endpoint: query.id::<kind::Endpoint>("endpoint_id")?.to_owned(),
        state: query.one_of::<DeliveryState>("state", rule)?.to_owned(),
        event: query.id::<kind::Event>("event_id")?.to_owned(),
    };
    let before = query.before::<kind::Delivery>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let most = page::one_more(limit);
        let rows = deliveries::list(&gateway, merchant, &before, &filter, most).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        Ok(Json(Page { data: rows.into_iter().map(Delivery::render).collect(), next_cursor }))
    })
    .await
}

/// Read a delivery with its tries.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "webhooks", operation_id = "getDelivery",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = DeliveryWithTries),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<DeliveryWithTries>, Problem> {
    finish(async move {
        let found = deliveries::get(&gateway, merchant, id).await?;
        Ok(Json(DeliveryWithTries::render(found)))
    })
    .await
}

/// Send a delivery again, whatever became of it. Its `webhook-id` stays the same.
#[utoipa::path(post, path = "/v1/deliveries/{id}/replay", tag = "webhooks", operation_id = "replayDelivery",
    security(("key" = ["webhooks:write"])),
    params(("id" = String, Path)),
    responses((status = 200, body = DeliveryWithTries),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn replay(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Delivery>,
) -> Result<Json<DeliveryWithTries>, Problem> {
    finish(async move {
        let found = deliveries::replay(&gateway, merchant, id).await?;
        Ok(Json(DeliveryWithTries::render(found)))
    })
    .await
}
