//! Cases over HTTP: what only people can settle.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::{Flow, cases};
use crate::store::cases::{CaseRow, Filter};

/// The provider contradicts our records, or itself. A cause has one case, however often it is met.
#[derive(Serialize, ToSchema)]
pub struct Case {
    /// Starts with `cas_`.
    id: String,
    /// What is wrong: mismatch (a signed message, or an answer, disagrees with what we know), unconfirmed_success (a signed message tells
    /// of a success that the provider denies when asked), unknown_payment (one about a payment that we do not have),
    /// dispute_endings (a dispute ended in two ways), refund_impossible (money that the order has no use for, and
    /// that cannot go back by itself: the provider takes no refunds or refused it, or the payment is in dispute).
    kind: String,
    /// The account that it was met at.
    account_id: String,
    /// The order, if it is about one that we know.
    order_id: Option<String>,
    /// The payment, if it is about one that we know.
    payment_id: Option<String>,
    /// The message that it was first met in.
    notification_id: Option<String>,
    /// open or closed.
    state: String,
    /// What who closed it says.
    note: Option<String>,
    /// More about it.
    #[schema(value_type = Object)]
    data: serde_json::Value,
    /// When it was first met.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// How a case was settled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// For whoever looks at it later.
    #[schema(min_length = 1, max_length = 500)]
    note: String,
}

impl Case {
    fn render(row: CaseRow) -> Flow<Case> {
        Ok(Case {
            data: serde_json::from_str(&row.data)?,
            id: row.id.to_string(),
            kind: row.kind,
            account_id: row.account_id.to_string(),
            order_id: row.order_id,
            payment_id: row.payment_id,
            notification_id: row.notification_id,
            state: row.state,
            note: row.note,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        })
    }
}

/// List cases, newest first.
#[utoipa::path(get, path = "/v1/cases", tag = "cases", operation_id = "listCases", security(("key" = ["read"])),
    params(("state" = Option<String>, Query, description = "open or closed"),
        ("payment_id" = Option<String>, Query),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Case>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Case>>, Problem> {
    if !["", "open", "closed"].contains(&query.text("state")) {
        return Err(Problem::field("state", "must be open or closed"));
    }
    let payment = query.id::<kind::Payment>("payment_id")?.to_owned();
    let before = query.before::<kind::Case>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter {
            state: query.text("state"),
            payment: &payment,
            before: &before,
            limit: page::one_more(limit),
        };
        let rows = cases::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let data = rows.into_iter().map(Case::render).collect::<Flow<_>>()?;
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read a case.
#[utoipa::path(get, path = "/v1/cases/{id}", tag = "cases", operation_id = "getCase", security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Case),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Case>,
) -> Result<Json<Case>, Problem> {
    finish(async move { Case::render(cases::get(&gateway, merchant, id).await?).map(Json) }).await
}

/// Close a case that you have settled. One that is closed stays as it is.
#[utoipa::path(post, path = "/v1/cases/{id}/close", tag = "cases", operation_id = "closeCase", security(("key" = ["reconciliation:write"])),
    params(("id" = String, Path)), request_body = Closing,
    responses((status = 200, body = Case),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn close(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Case>,
    Body(closing): Body<Closing>,
) -> Result<Json<Case>, Problem> {
    finish(async move {
        Case::render(cases::close(&gateway, merchant, id, &closing.note).await?).map(Json)
    })
    .await
}
