//! Reconciliations over HTTP: how a bill and our records differ.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::bills::Wanted;
use super::body::Body;
use super::caller::{Caller, Named};
use super::orders::made_or_there;
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::bills::Ask;
use crate::flows::{Flow, reconcile};
use crate::store::bills::Filter;
use crate::store::reconciliations::{DiscrepancyRow, ReconciliationRow};

/// A comparison of a bill with our records.
#[derive(Serialize, ToSchema)]
pub struct Reconciliation {
    /// Starts with `rec_`.
    id: String,
    /// Of this account.
    account_id: String,
    /// With this bill.
    bill_id: Option<String>,
    /// In the plugin's words.
    kind: String,
    /// The day.
    period: String,
    /// waiting_for_bill, done or bill_rejected.
    state: String,
    /// Why it is not done.
    reason: Option<String>,
    /// How many transactions are in the bill.
    rows: i64,
    /// How many of them agree with our records.
    matched: i64,
    /// How many differences there are.
    discrepancies: i64,
    /// When it was first asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// One difference between a bill and our records.
#[derive(Serialize, ToSchema)]
pub struct Discrepancy {
    /// Starts with `dis_`.
    id: String,
    /// missing_here, missing_there, amount, status, time, fee or duplicate.
    kind: String,
    /// The payment that it is about, if we have it.
    payment_id: Option<String>,
    /// The refund that it is about, if we have it.
    refund_id: Option<String>,
    /// The bill's line, if it is there.
    line: Option<i64>,
    /// What we have.
    #[schema(value_type = Option<Object>)]
    ours: Option<serde_json::Value>,
    /// What the bill has.
    #[schema(value_type = Option<Object>)]
    theirs: Option<serde_json::Value>,
    /// open, or gone: a later comparison did not find it any more.
    state: String,
    /// When it was found.
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<ReconciliationRow> for Reconciliation {
    fn from(row: ReconciliationRow) -> Reconciliation {
        Reconciliation {
            id: row.id.to_string(),
            account_id: row.account_id.to_string(),
            bill_id: row.bill_id,
            kind: row.kind.as_str().to_owned(),
            period: row.period,
            state: row.state.to_string(),
            reason: row.reason,
            rows: row.rows,
            matched: row.matched,
            discrepancies: row.discrepancies,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

impl Discrepancy {
    fn render(row: DiscrepancyRow) -> Flow<Discrepancy> {
        let json = |kept: Option<String>| kept.as_deref().map(serde_json::from_str).transpose();
        Ok(Discrepancy {
            id: row.id.to_string(),
            kind: row.kind.as_str().to_owned(),
            payment_id: row.payment_id,
            refund_id: row.refund_id,
            line: row.line,
            ours: json(row.ours)?,
            theirs: json(row.theirs)?,
            state: row.state,
            created_at: row.created_at.to_string(),
        })
    }
}

/// Compare a day with its bill, which is fetched if it is missing. Again gives the same reconciliation.
#[utoipa::path(post, path = "/v1/reconciliations", tag = "reconciliation", operation_id = "reconcile",
    security(("key" = ["reconciliation:write"])),
    request_body = Wanted,
    responses((status = 201, body = Reconciliation),
        (status = 200, body = Reconciliation, description = "It is there already"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Body(wanted): Body<Wanted>,
) -> Result<(StatusCode, Json<Reconciliation>), Problem> {
    let account = wanted.account_id.parse();
    let account = account.map_err(|_| Problem::field("account_id", "is no account of yours"))?;
    let ask = Ask { account, kind: wanted.kind, period: wanted.period };
    finish(async move {
        let made = reconcile::run(&gateway, merchant, &ask).await?;
        Ok((made_or_there(made.fresh), Json(Reconciliation::from(made.row))))
    })
    .await
}

/// List reconciliations, newest first.
#[utoipa::path(get, path = "/v1/reconciliations", tag = "reconciliation", operation_id = "listReconciliations",
    security(("key" = ["read"])),
    params(("account_id" = Option<String>, Query), ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Reconciliation>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Reconciliation>>, Problem> {
    let account = query.id::<kind::Account>("account_id")?.to_owned();
    let before = query.before::<kind::Reconciliation>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter { account: &account, before: &before, limit: page::one_more(limit) };
        let rows = reconcile::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        Ok(Json(Page { data: rows.into_iter().map(Reconciliation::from).collect(), next_cursor }))
    })
    .await
}

/// Read a reconciliation.
#[utoipa::path(get, path = "/v1/reconciliations/{id}", tag = "reconciliation",
    operation_id = "getReconciliation", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, body = Reconciliation),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Reconciliation>,
) -> Result<Json<Reconciliation>, Problem> {
    finish(async move {
        Ok(Json(Reconciliation::from(
            reconcile::get(&gateway, merchant, id).await?,
        )))
    })
    .await
}

/// List the differences of a reconciliation, oldest first.
#[utoipa::path(get, path = "/v1/reconciliations/{id}/discrepancies", tag = "reconciliation",
    operation_id = "listDiscrepancies", security(("key" = ["read"])),
    params(("id" = String, Path), ("limit" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Discrepancy>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn discrepancies(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Reconciliation>,
    query: Query,
) -> Result<Json<Page<Discrepancy>>, Problem> {
    let after = query.id::<kind::Discrepancy>("cursor")?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let limit_and_one = page::one_more(limit);
        let rows = reconcile::discrepancies(&gateway, merchant, id, &after, limit_and_one).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let data = rows.into_iter().map(Discrepancy::render).collect::<Flow<_>>()?;
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}
