//! Webhook endpoints over HTTP. A secret goes out once, when it is made.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::time::Moment;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named, Once};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::{Flow, deliveries, endpoints};
use crate::store::endpoints::EndpointRow;

/// Where you want to hear of events.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhookEndpoint {
    /// What is called: https, port 443 or 8443, and no private network, unless the operator allows that.
    #[schema(max_length = 2048)]
    url: String,
    /// Your own words.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: String,
    /// The kinds of events that it hears of: `order.paid`, or `order.*` for a family. None: all.
    #[serde(default)]
    #[schema(max_items = 50)]
    kinds: Vec<String>,
}

/// What is to change. What is not given stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointChange {
    /// What is called.
    #[serde(default)]
    #[schema(max_length = 2048)]
    url: Option<String>,
    /// Your own words.
    #[serde(default)]
    #[schema(max_length = 200)]
    description: Option<String>,
    /// The kinds of events that it hears of. None in the list: all.
    #[serde(default)]
    #[schema(max_items = 50)]
    kinds: Option<Vec<String>>,
}

/// How to change secrets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRotation {
    /// For so many seconds each message is signed with both secrets; 0 ends the old one at once.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    overlap_s: i64,
}

fn a_day() -> i64 {
    86_400
}

/// What to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Parked deliveries that were made then or later.
    #[schema(format = DateTime)]
    since: String,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
pub struct Replayed {
    /// How many deliveries.
    replayed: u64,
}

/// Where you hear of events.
#[derive(Serialize, ToSchema)]
pub struct WebhookEndpoint {
    /// Starts with `whe_`.
    id: String,
    /// What is called.
    url: String,
    /// Your own words.
    description: String,
    /// The kinds of events that it hears of. None: all.
    kinds: Vec<String>,
    /// `enabled` or `disabled`.
    state: String,
    /// Why it is disabled.
    reason: Option<String>,
    /// Until when the secret before the current one signs too.
    #[schema(format = DateTime)]
    old_secret_until: Option<String>,
    /// Until when nothing is sent, because it asked for that.
    #[schema(format = DateTime)]
    paused_until: Option<String>,
    /// Since when it has taken nothing.
    #[schema(format = DateTime)]
    failing_since: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// Where you hear of events, and its new secret.
#[derive(Serialize, ToSchema)]
pub struct WebhookEndpointWithSecret {
    #[serde(flatten)]
    endpoint: WebhookEndpoint,
    /// What messages are signed with, by Standard Webhooks 1.0. It is told here and never again.
    secret: String,
}

impl WebhookEndpoint {
    fn render(row: EndpointRow, now: Moment) -> Flow<WebhookEndpoint> {
        let to_come = |moment: Moment| (moment > now).then(|| moment.to_string());
        Ok(WebhookEndpoint {
            kinds: serde_json::from_str(&row.kinds)?,
            id: row.id.to_string(),
            url: row.url,
            description: row.description,
            state: row.state.to_string(),
            reason: row.reason,
            old_secret_until: to_come(row.old_until),
            paused_until: to_come(row.paused_until),
            failing_since: (row.failing_since != Moment(0)).then(|| row.failing_since.to_string()),
            created_at: row.created_at.to_string(),
        })
    }
}

/// Make a webhook endpoint. Messages follow Standard Webhooks 1.0; the secret is in this answer and in no other.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "createWebhookEndpoint",
    security(("key" = ["webhooks:write"])),
    request_body = NewWebhookEndpoint,
    responses((status = 201, body = WebhookEndpointWithSecret),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Once(turn): Once,
    Body(new): Body<NewWebhookEndpoint>,
) -> Result<(StatusCode, Json<WebhookEndpointWithSecret>), Problem> {
    let wanted = endpoints::Wanted { url: new.url, description: new.description, kinds: new.kinds };
    finish(async move {
        let (row, secret) = endpoints::create(&gateway, merchant, wanted, turn.as_ref()).await?;
        let endpoint = WebhookEndpoint::render(row, gateway.store.now())?;
        Ok((StatusCode::CREATED, Json(WebhookEndpointWithSecret { endpoint, secret })))
    })
    .await
}

/// List webhook endpoints, oldest first.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "listWebhookEndpoints",
    security(("key" = ["read"])),
    params(("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<WebhookEndpoint>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<WebhookEndpoint>>, Problem> {
    let after = query.id::<kind::Endpoint>("cursor")?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let rows = endpoints::list(&gateway, merchant, &after, page::one_more(limit)).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let now = gateway.store.now();
        let data =
            rows.into_iter().map(|row| WebhookEndpoint::render(row, now)).collect::<Flow<_>>()?;
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read a webhook endpoint.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "getWebhookEndpoint",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = WebhookEndpoint),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    finish(async move {
        let row = endpoints::get(&gateway, merchant, id).await?;
        WebhookEndpoint::render(row, gateway.store.now()).map(Json)
    })
    .await
}

/// Change a webhook endpoint. What is on its way goes to the new address.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "changeWebhookEndpoint",
    security(("key" = ["webhooks:write"])),
    params(("id" = String, Path)), request_body = WebhookEndpointChange,
    responses((status = 200, body = WebhookEndpoint),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn change(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
    Body(change): Body<WebhookEndpointChange>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    let WebhookEndpointChange { url, description, kinds } = change;
    finish(async move {
        let change = endpoints::Change { url, description, kinds };
        let row = endpoints::update(&gateway, merchant, id, change).await?;
        WebhookEndpoint::render(row, gateway.store.now()).map(Json)
    })
    .await
}

/// Send to a webhook endpoint again. What happened while it was disabled is in the list of events.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/enable", tag = "webhooks",
    operation_id = "enableWebhookEndpoint",
    security(("key" = ["webhooks:write"])), params(("id" = String, Path)),
    responses((status = 200, body = WebhookEndpoint),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn enable(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    finish(async move {
        let row = endpoints::enable(&gateway, merchant, id).await?;
        WebhookEndpoint::render(row, gateway.store.now()).map(Json)
    })
    .await
}

/// Send to a webhook endpoint no more. What is on its way is parked.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/disable", tag = "webhooks",
    operation_id = "disableWebhookEndpoint",
    security(("key" = ["webhooks:write"])), params(("id" = String, Path)),
    responses((status = 200, body = WebhookEndpoint),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn disable(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    finish(async move {
        let row = endpoints::disable(&gateway, merchant, id).await?;
        WebhookEndpoint::render(row, gateway.store.now()).map(Json)
    })
    .await
}

/// Give a webhook endpoint a new secret. For a time each message is signed with the one before it too.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks",
    operation_id = "rotateWebhookSecret",
    security(("key" = ["webhooks:write"])), params(("id" = String, Path)), request_body = SecretRotation,
    responses((status = 200, body = WebhookEndpointWithSecret),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn rotate_secret(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
    Once(turn): Once,
    Body(rotation): Body<SecretRotation>,
) -> Result<Json<WebhookEndpointWithSecret>, Problem> {
    finish(async move {
        let (overlap_s, turn) = (rotation.overlap_s, turn.as_ref());
        let (row, secret) =
            endpoints::rotate_secret(&gateway, merchant, id, overlap_s, turn).await?;
        let endpoint = WebhookEndpoint::render(row, gateway.store.now())?;
        Ok(Json(WebhookEndpointWithSecret { endpoint, secret }))
    })
    .await
}

/// Send again what a webhook endpoint did not take.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/replay", tag = "webhooks",
    operation_id = "replayWebhookEndpoint",
    security(("key" = ["webhooks:write"])), params(("id" = String, Path)), request_body = Replay,
    responses((status = 200, body = Replayed),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn replay(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Endpoint>,
    Body(Replay { since }): Body<Replay>,
) -> Result<Json<Replayed>, Problem> {
    let since = since
        .parse()
        .map_err(|_| Problem::field("since", "must be a time such as 2026-11-22T10:00:00Z"))?;
    finish(async move {
        let replayed = deliveries::replay_since(&gateway, merchant, id, since).await?;
        Ok(Json(Replayed { replayed }))
    })
    .await
}
