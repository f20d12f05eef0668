//! Disputes over HTTP: payments that payers contest.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_domain::dispute::DisputeState;
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::caller::{Caller, Named};
use super::page::{self, Page, Query};
use super::payments::Reconciled;
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::disputes;
use crate::store::disputes::{DisputeRow, Filter};

/// A payer contests a payment, at his bank or at the provider.
#[derive(Serialize, ToSchema)]
pub struct Dispute {
    /// Starts with `dsp_`.
    id: String,
    /// The payment that is contested.
    payment_id: String,
    /// That payment's order.
    order_id: String,
    /// That payment's account.
    account_id: String,
    /// The provider's reference; none where only a bill has told of it.
    provider_reference: Option<String>,
    /// warned, opened, closed, won or lost.
    state: &'static str,
    /// What it is about, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: String,
    /// Why, in the provider's words.
    reason: Option<String>,
    /// Until when you may object, as the provider writes it.
    respond_by: Option<String>,
    /// Who told of it first: notification or bill.
    source: String,
    /// Where a bill tells that its money was taken.
    charged_back: Option<Reconciled>,
    /// When we first heard of it.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl Dispute {
    fn render(row: DisputeRow) -> Dispute {
        Dispute {
            charged_back: Reconciled::of(row.bill_id, row.bill_line, None),
            id: row.id.to_string(),
            payment_id: row.payment_id.to_string(),
            order_id: row.order_id.to_string(),
            account_id: row.account_id.to_string(),
            provider_reference: row.reference,
            state: row.state.as_str(),
            amount: row.amount,
            currency: row.currency.to_string(),
            reason: row.reason,
            respond_by: row.respond_by,
            source: row.source,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        }
    }
}

/// List disputes, newest first.
#[utoipa::path(get, path = "/v1/disputes", tag = "disputes", operation_id = "listDisputes", security(("key" = ["read"])),
    params(("payment_id" = Option<String>, Query), ("order_id" = Option<String>, Query),
        ("state" = Option<String>, Query), ("limit" = Option<u8>, Query, minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Dispute>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Dispute>>, Problem> {
    query.one_of::<DisputeState>("state", "must be a state of a dispute")?;
    let payment = query.id::<kind::Payment>("payment_id")?.to_owned();
    let order = query.id::<kind::Order>("order_id")?.to_owned();
    let before = query.before::<kind::Dispute>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter {
            payment: &payment,
            order: &order,
            state: query.text("state"),
            before: &before,
            limit: page::one_more(limit),
        };
        let rows = disputes::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        Ok(Json(Page { data: rows.into_iter().map(Dispute::render).collect(), next_cursor }))
    })
    .await
}

/// Read a dispute.
#[utoipa::path(get, path = "/v1/disputes/{id}", tag = "disputes", operation_id = "getDispute", security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Dispute),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Dispute>,
) -> Result<Json<Dispute>, Problem> {
    finish(async move { Ok(Json(Dispute::render(disputes::get(&gateway, merchant, id).await?))) })
        .await
}
