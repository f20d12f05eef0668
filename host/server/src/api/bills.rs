//! Providers' bills over HTTP.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named};
use super::orders::made_or_there;
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::bills::{self, Ask};
use crate::store::bills::{BillRow, Filter};

/// Which bill is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Of which account.
    pub account_id: String,
    /// Which of the plugin's kinds; the first if you do not say.
    #[serde(default)]
    pub kind: Option<String>,
    /// The day, in the provider's time zone.
    #[schema(example = "2026-11-21")]
    pub period: String,
}

/// A provider's file of a day's transactions.
#[derive(Serialize, ToSchema)]
pub struct Bill {
    /// Starts with `bil_`.
    id: String,
    /// Of this account.
    account_id: String,
    /// In the plugin's words.
    kind: String,
    /// The day.
    period: String,
    /// fetching, not_ready, ready or rejected.
    state: String,
    /// Why it is not ready, or rejected.
    reason: Option<String>,
    /// How many transactions are in it.
    rows: i64,
    /// How many lines of it could not be read, or not wholly: what stands in them was compared with nothing.
    bad_lines: i64,
    /// SHA-256 of what was fetched.
    digest: Option<String>,
    /// When it was first asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<BillRow> for Bill {
    fn from(row: BillRow) -> Bill {
        Bill {
            id: row.id.to_string(),
            account_id: row.account_id.to_string(),
            kind: row.kind,
            period: row.period,
            state: row.state.to_string(),
            reason: row.reason,
            rows: row.rows,
            bad_lines: row.bad_lines,
            digest: row.digest,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

/// Fetch a bill, unless it is there.
#[utoipa::path(post, path = "/v1/bills", tag = "reconciliation", operation_id = "fetchBill",
    security(("key" = ["reconciliation:write"])),
    request_body = Wanted,
    responses((status = 201, body = Bill), (status = 200, body = Bill, description = "It is there already"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Bill>), Problem> {
    let account = wanted.account_id.parse();
    let account = account.map_err(|_| Problem::field("account_id", "is no account of yours"))?;
    let ask = Ask { account, kind: wanted.kind, period: wanted.period };
    finish(async move {
        let made = bills::fetch(&gateway, merchant, &ask).await?;
        Ok((made_or_there(made.fresh), Json(Bill::from(made.row))))
    })
    .await
}

/// List bills, newest first.
#[utoipa::path(get, path = "/v1/bills", tag = "reconciliation", operation_id = "listBills",
    security(("key" = ["read"])),
    params(("account_id" = Option<String>, Query), ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Bill>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Bill>>, Problem> {
    let account = query.id::<kind::Account>("account_id")?.to_owned();
    let before = query.before::<kind::Bill>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter { account: &account, before: &before, limit: page::one_more(limit) };
        let rows = bills::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        Ok(Json(Page { data: rows.into_iter().map(Bill::from).collect(), next_cursor }))
    })
    .await
}

/// Read a bill's state.
#[utoipa::path(get, path = "/v1/bills/{id}", tag = "reconciliation", operation_id = "getBill",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Bill),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Bill>,
) -> Result<Json<Bill>, Problem> {
    finish(async move { Ok(Json(Bill::from(bills::get(&gateway, merchant, id).await?))) }).await
}
