//! Events over HTTP: what happened, in order.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::caller::Caller;
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::{Flow, orders};
use crate::store::events::EventRow;

/// A fact.
#[derive(Serialize, ToSchema)]
pub struct Event {
    /// Starts with `evt_`. Later ones sort after, but for those that several gateways write in the same moments: who reads
    /// on from the last id asks from a minute back, and keeps the ids.
    id: String,
    /// Counts the order's events from 1; 0 without an order.
    sequence: i64,
    /// The order, if it is about one.
    order_id: Option<String>,
    /// What happened: `order.paid`, `refund.succeeded`…
    kind: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// More about it.
    #[schema(value_type = Object)]
    data: serde_json::Value,
}

impl Event {
    fn render(row: EventRow) -> Flow<Event> {
        Ok(Event {
            data: serde_json::from_str(&row.data)?,
            id: row.id.to_string(),
            sequence: row.sequence,
            order_id: row.order_id,
            kind: row.kind,
            created_at: row.created_at.to_string(),
        })
    }
}

/// List events, oldest first. `after` the last one that you have seen; `cursor` is another name for it.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "listEvents", security(("key" = ["read"])),
    params(("after" = Option<String>, Query), ("order_id" = Option<String>, Query),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Event>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Event>>, Problem> {
    let order = query.id::<kind::Order>("order_id")?.to_owned();
    let (after, cursor) = (query.id::<kind::Event>("after")?, query.id::<kind::Event>("cursor")?);
    if !after.is_empty() && !cursor.is_empty() {
        return Err(Problem::field("cursor", "is another name for after: give one of them"));
    }
    let after = if cursor.is_empty() { after } else { cursor }.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let rows =
            orders::events(&gateway, merchant, &after, &order, page::one_more(limit)).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let data = rows.into_iter().map(Event::render).collect::<Flow<_>>()?;
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}
