//! API keys over HTTP: a key is told when it is made, and never again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::scope::Scopes;
use tollgate_domain::time::Moment;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Held, Named, Once};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::keys::{self, Issued, Issuer};
use crate::store::keys::KeyRow;

/// What a key is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// What you call it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it may do: `read`, `orders:write`, `payments:write`, `refunds:write`, `accounts:write`,
    /// `reconciliation:write`, `webhooks:write`, `keys:write`, or `full`. No more than the key that you use.
    #[schema(min_items = 1)]
    scopes: Vec<String>,
    /// How long it lives, in seconds; until it is revoked if you do not say. No longer than the key that you use.
    #[serde(default)]
    #[schema(minimum = 60)]
    expires_in_s: Option<i64>,
}

/// How a key is to be replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// How long the old key still works beside the new one, in seconds.
    #[serde(default = "a_day")]
    #[schema(minimum = 0, maximum = 7_776_000, default = 86400)]
    overlap_s: i64,
}

fn a_day() -> i64 {
    86_400
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
pub struct Key {
    /// Starts with `key_`.
    id: String,
    /// What you call it.
    name: String,
    /// Its first characters, to tell keys apart.
    hint: String,
    /// The key itself: only in the answer to the request that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What it may do.
    scopes: Vec<String>,
    /// Whether it works now.
    active: bool,
    /// How many requests a second it may make, where the operator set that for this key.
    per_second: Option<i64>,
    /// The key that replaces it.
    successor_id: Option<String>,
    /// When it ends.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was ended before its time.
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

impl Key {
    fn render(row: KeyRow, now: Moment) -> Key {
        let text = |micros: Option<i64>| micros.map(|micros| Moment(micros).to_string());
        Key {
            active: keys::lives(&row, now),
            id: row.id.to_string(),
            name: row.name,
            hint: row.hint,
            key: None,
            scopes: row.scopes.iter().map(|scope| scope.to_string()).collect(),
            per_second: row.per_second,
            successor_id: row.successor,
            expires_at: text(row.expires_at),
            revoked_at: text(row.revoked_at),
            created_at: row.created_at.to_string(),
        }
    }

    fn told(issued: Issued, now: Moment) -> Key {
        let key = Some(keys::told(&issued).to_owned());
        Key { key, ..Key::render(issued.row, now) }
    }
}

/// Make a key. The answer tells it, and nothing does later.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", operation_id = "createKey",
    security(("key" = ["keys:write"])), request_body = NewKey,
    responses((status = 201, body = Key),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Held(holder): Held,
    Once(turn): Once,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<Key>), Problem> {
    let scopes = Scopes::of(new.scopes.iter().map(String::as_str));
    let new = keys::NewKey {
        name: new.name,
        scopes: scopes.map_err(|error| Problem::field("scopes", error.to_string()))?,
        per_second: None,
        expires_in_s: new.expires_in_s,
    };
    finish(async move {
        let (store, chance) = (&gateway.store, &gateway.chance);
        let issuer = Issuer::Holder(&holder);
        let issued =
            keys::issue(store, chance, issuer, holder.merchant_id, new, turn.as_ref()).await?;
        Ok((StatusCode::CREATED, Json(Key::told(issued, gateway.store.now()))))
    })
    .await
}

/// List keys, newest first.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", operation_id = "listKeys",
    security(("key" = ["read"])),
    params(("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Key>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Key>>, Problem> {
    let before = query.before::<kind::ApiKey>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let rows = keys::list(&gateway.store, merchant, &before, page::one_more(limit)).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let now = gateway.store.now();
        let data = rows.into_iter().map(|row| Key::render(row, now)).collect();
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read what is known of a key.
#[utoipa::path(get, path = "/v1/keys/{id}", tag = "keys", operation_id = "getKey",
    security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, body = Key),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::ApiKey>,
) -> Result<Json<Key>, Problem> {
    finish(async move {
        let row = keys::get(&gateway.store, merchant, id).await?;
        Ok(Json(Key::render(row, gateway.store.now())))
    })
    .await
}

/// Make a key that may do the same, beside this one, which ends after the overlap.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", operation_id = "rotateKey",
    security(("key" = ["keys:write"])), params(("id" = String, Path)), request_body = Rotation,
    responses((status = 201, body = Key),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn rotate(
    State(gateway): State<Shared>,
    Held(holder): Held,
    Once(turn): Once,
    Named(id): Named<kind::ApiKey>,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<Key>), Problem> {
    finish(async move {
        let (store, chance) = (&gateway.store, &gateway.chance);
        let (issuer, place) = (Issuer::Holder(&holder), (holder.merchant_id, id));
        let issued =
            keys::rotate(store, chance, issuer, place, rotation.overlap_s, turn.as_ref()).await?;
        Ok((StatusCode::CREATED, Json(Key::told(issued, gateway.store.now()))))
    })
    .await
}

/// End a key now.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", tag = "keys", operation_id = "revokeKey",
    security(("key" = ["keys:write"])), params(("id" = String, Path)),
    responses((status = 200, body = Key),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn revoke(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::ApiKey>,
) -> Result<Json<Key>, Problem> {
    finish(async move {
        let row = keys::revoke(&gateway.store, merchant, id).await?;
        Ok(Json(Key::render(row, gateway.store.now())))
    })
    .await
}
