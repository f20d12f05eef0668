//! Refunds over HTTP: requests to give money back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::refund::RefundState;
use tollgate_domain::time::Moment;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named};
use super::orders::made_or_there;
use super::page::{self, Page, Query};
use super::payments::{Failure, Reconciled};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::{Flow, refunds};
use crate::store::refunds::{Filter, RefundRow};

/// What is to go back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    /// Of which payment.
    payment_id: String,
    /// Your own number, unique among your refunds: the same request again gives the refund that is there.
    #[schema(min_length = 1, max_length = 64)]
    number: String,
    /// How much, in minor units of the payment's currency.
    #[schema(minimum = 1)]
    amount: i64,
    /// Why, for the payer.
    #[serde(default)]
    reason: Option<String>,
    /// You know that the payment is in dispute or was charged back, and want it all the same.
    #[serde(default)]
    despite_dispute: bool,
}

/// A request to give money back, until the provider says that it is done.
#[derive(Serialize, ToSchema)]
pub struct Refund {
    /// Starts with `ref_`.
    id: String,
    /// The payment that it gives back.
    payment_id: String,
    /// That payment's order.
    order_id: String,
    /// Your own number; where you did not ask for it, `auto:` or `provider:` and an id.
    number: String,
    /// Who wanted it: merchant, duplicate (another payment had paid the order before), late (its order had ended and was
    /// made with `late_success` `refund`), or provider (it was made there, without us).
    origin: &'static str,
    /// requested, pending, unknown, needs_action, succeeded or failed.
    state: String,
    /// What goes back, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: String,
    /// Why, for the payer.
    reason: Option<String>,
    /// Our reference at the provider, for life.
    reference: String,
    /// The provider's reference, once it told us.
    provider_reference: Option<String>,
    /// Why it does not go on.
    failure: Option<Failure>,
    /// When the provider took its success back, so that the money is with you again.
    #[schema(format = DateTime)]
    reversed_at: Option<String>,
    /// It went back beyond what the payment took, and is in none of its sums: somebody has to look.
    exceeds_payment: bool,
    /// Where it was found in a bill.
    reconciled: Option<Reconciled>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl Refund {
    /// From a row.
    pub fn render(row: RefundRow) -> Flow<Refund> {
        Ok(Refund {
            failure: Failure::render(row.failure.as_deref())?,
            reconciled: Reconciled::of(row.bill_id, row.bill_line, row.bill_day),
            id: row.id.to_string(),
            payment_id: row.payment_id.to_string(),
            order_id: row.order_id.to_string(),
            number: row.number,
            origin: row.origin.as_str(),
            reversed_at: row.reversed_at.map(|at| Moment(at).to_string()),
            exceeds_payment: row.beyond == 1,
            state: row.state.to_string(),
            amount: row.amount,
            currency: row.currency.to_string(),
            reason: row.reason,
            reference: row.reference,
            provider_reference: row.provider_ref,
            created_at: row.created_at.to_string(),
            updated_at: row.updated_at.to_string(),
        })
    }

    /// Whether it belongs into a bill.
    pub fn moved_money(&self) -> bool {
        self.state == RefundState::Succeeded.as_str()
    }

    /// Whether it was found in one.
    pub fn is_reconciled(&self) -> bool {
        self.reconciled.is_some()
    }
}

/// Give back all or part of a payment. The same number and request again gives the refund that is there.
#[utoipa::path(post, path = "/v1/refunds", tag = "refunds", operation_id = "createRefund",
    security(("key" = ["refunds:write"])),
    request_body = NewRefund,
    responses((status = 201, body = Refund), (status = 200, body = Refund, description = "It is there already"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Body(new): Body<NewRefund>,
) -> Result<(StatusCode, Json<Refund>), Problem> {
    let payment = new.payment_id.parse();
    let new = refunds::NewRefund {
        payment_id: payment.map_err(|_| Problem::field("payment_id", "is no payment of yours"))?,
        number: new.number,
        amount: new.amount,
        reason: new.reason,
        despite_dispute: new.despite_dispute,
    };
    finish(async move {
        let made = refunds::create(&gateway, merchant, new).await?;
        Ok((made_or_there(made.fresh), Json(Refund::render(made.row)?)))
    })
    .await
}

/// List refunds, newest first.
#[utoipa::path(get, path = "/v1/refunds", tag = "refunds", operation_id = "listRefunds", security(("key" = ["read"])),
    params(("payment_id" = Option<String>, Query), ("order_id" = Option<String>, Query),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Refund>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Refund>>, Problem> {
    let payment = query.id::<kind::Payment>("payment_id")?.to_owned();
    let order = query.id::<kind::Order>("order_id")?.to_owned();
    let before = query.before::<kind::Refund>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter {
            payment: &payment,
            order: &order,
            before: &before,
            limit: page::one_more(limit),
        };
        let rows = refunds::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let data = rows.into_iter().map(Refund::render).collect::<Flow<_>>()?;
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read a refund.
#[utoipa::path(get, path = "/v1/refunds/{id}", tag = "refunds", operation_id = "getRefund",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Refund),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Refund>,
) -> Result<Json<Refund>, Problem> {
    finish(async move { Refund::render(refunds::get(&gateway, merchant, id).await?).map(Json) })
        .await
}
