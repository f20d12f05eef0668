//! Orders over HTTP.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::order::OrderState;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named};
use super::page::{self, Page, Query};
use super::payments::Payment;
use super::problem::{Problem, ProblemBody};
use super::refunds::Refund;
use super::{Shared, finish};
use crate::flows::orders::{self, Details, OrderView};
use crate::flows::{Flow, FlowError};
use crate::store::orders::Filter;
use crate::store::payments::PaymentRow;

/// What a payer is to owe.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Your own number, unique among your orders: the same request again gives the order that is there.
    #[schema(min_length = 1, max_length = 64)]
    pub number: String,
    /// What is owed, in minor units (fen, cents, yen).
    #[schema(minimum = 1)]
    pub amount: i64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    pub currency: String,
    /// What it is for, in a few words that the payer sees.
    #[schema(min_length = 1, max_length = 256)]
    pub subject: String,
    /// More words on what it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What is bought.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Where it goes. Providers that want it are told.
    #[serde(default)]
    pub deliver_to: Option<Address>,
    /// Your own notes; nobody reads them but you.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// How long the payer has, in seconds.
    #[serde(default = "two_hours")]
    #[schema(minimum = 60, maximum = 2_592_000, default = 7200)]
    pub expires_in_s: i64,
    /// Where the payer goes back to, at the shop.
    #[serde(default)]
    pub return_url: Option<String>,
    /// The payer's language.
    #[serde(default)]
    #[schema(example = "zh-CN")]
    pub locale: Option<String>,
    /// What becomes of money that comes after the order's end: `reopen` (if you do not say), and the order is paid after
    /// all; or `refund`, and all of it goes back by itself, for what cannot be had any more.
    #[serde(default)]
    #[schema(example = "reopen")]
    pub late_success: Option<String>,
}

fn two_hours() -> i64 {
    7200
}

/// One thing that is bought.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What.
    pub name: String,
    /// What one of it costs, in minor units.
    #[schema(minimum = 0)]
    pub price: i64,
    /// How many.
    #[schema(minimum = 1)]
    pub quantity: u32,
}

/// A delivery address.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who gets it.
    pub name: String,
    /// How to reach them.
    #[serde(default)]
    pub phone: Option<String>,
    /// Street and house, a line each.
    pub lines: Vec<String>,
    /// Town.
    pub city: String,
    /// Province or state.
    #[serde(default)]
    pub region: Option<String>,
    /// Postal code.
    #[serde(default)]
    pub postal_code: Option<String>,
    /// ISO 3166 alpha-2.
    #[schema(example = "CN")]
    pub country: String,
}

/// What a payer owes, and how far that has come.
#[derive(Serialize, ToSchema)]
pub struct Order {
    /// Starts with `ord_`.
    id: String,
    /// Your own number.
    number: String,
    /// open, paid, partially_refunded, refunded, closed or expired.
    state: String,
    /// What is owed, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: String,
    /// What the payment took that it counts, in minor units.
    paid: i64,
    /// What was given back of that, in minor units.
    refunded: i64,
    /// What the provider took back of that, in minor units.
    reversed: i64,
    /// What of that is in dispute and still with you, in minor units.
    disputed: i64,
    /// What of that was charged back, in minor units.
    charged_back: i64,
    /// What becomes of money that comes after its end: reopen or refund.
    late_success: &'static str,
    /// What it is for.
    subject: String,
    /// More words on what it is for.
    description: Option<String>,
    /// What is bought.
    items: Vec<Item>,
    /// Where it goes.
    deliver_to: Option<Address>,
    /// Your own notes.
    metadata: BTreeMap<String, String>,
    /// Where the payer goes back to.
    return_url: Option<String>,
    /// The payer's language.
    locale: Option<String>,
    /// Where the payer chooses how to pay. Who has it can pay, so give it to the payer alone.
    cashier_url: String,
    /// Whether every payment and refund of it that moved money was found in a bill.
    reconciled: bool,
    /// When it ends unpaid.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Its payments, oldest first.
    payments: Vec<Payment>,
    /// Their refunds, oldest first.
    refunds: Vec<Refund>,
}

impl From<NewOrder> for orders::NewOrder {
    fn from(new: NewOrder) -> orders::NewOrder {
        let item = |item: Item| orders::NewItem {
            name: item.name,
            price: item.price,
            quantity: item.quantity,
        };
        orders::NewOrder {
            number: new.number,
            amount: new.amount,
            currency: new.currency,
            subject: new.subject,
            description: new.description,
            items: new.items.into_iter().map(item).collect(),
            deliver_to: new.deliver_to.map(orders::Address::from),
            metadata: new.metadata,
            return_url: new.return_url,
            locale: new.locale,
            late_success: new.late_success,
            expires_in_s: new.expires_in_s,
        }
    }
}

impl From<Address> for orders::Address {
    fn from(address: Address) -> orders::Address {
        orders::Address {
            name: address.name,
            phone: address.phone,
            lines: address.lines,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
        }
    }
}

impl From<orders::Address> for Address {
    fn from(address: orders::Address) -> Address {
        Address {
            name: address.name,
            phone: address.phone,
            lines: address.lines,
            city: address.city,
            region: address.region,
            postal_code: address.postal_code,
            country: address.country,
        }
    }
}

impl Order {
    fn render(public_url: &str, view: OrderView) -> Flow<Order> {
        let OrderView { order, payments, refunds } = view;
        let details: Details = serde_json::from_str(&order.details)?;
        let counted = |figure: fn(&PaymentRow) -> i64| {
            sum(payments.iter().filter(|payment| payment.allocated == 1).map(figure))
        };
        let (paid, refunded) = (counted(|row| row.taken)?, counted(|row| row.refunded)?);
        let (reversed, disputed) = (counted(|row| row.reversed)?, counted(|row| row.disputed)?);
        let charged_back = counted(|row| row.charged_back)?;
        let payments: Vec<Payment> =
            payments.into_iter().map(Payment::render).collect::<Flow<_>>()?;
        let refunds: Vec<Refund> = refunds.into_iter().map(Refund::render).collect::<Flow<_>>()?;
        let moved = payments.iter().any(Payment::moved_money);
        let found = payments.iter().filter(|one| one.moved_money()).all(Payment::is_reconciled)
            && refunds.iter().filter(|one| one.moved_money()).all(Refund::is_reconciled);
        let item = |item: orders::NewItem| Item {
            name: item.name,
            price: item.price,
            quantity: item.quantity,
        };
        Ok(Order {
            paid,
            refunded,
            reversed,
            disputed,
            charged_back,
            late_success: order.late_success.as_str(),
            id: order.id.to_string(),
            number: order.number,
            state: order.state.to_string(),
            amount: order.amount,
            currency: order.currency.to_string(),
            subject: order.subject,
            description: details.description,
            items: details.items.into_iter().map(item).collect(),
            deliver_to: details.deliver_to.map(Address::from),
            metadata: details.metadata,
            return_url: details.return_url,
            locale: details.locale,
            cashier_url: format!("{public_url}/pay/{}", order.token),
            reconciled: moved && found,
            expires_at: order.expires_at.to_string(),
            created_at: order.created_at.to_string(),
            updated_at: order.updated_at.to_string(),
            payments,
            refunds,
        })
    }
}

fn sum(mut amounts: impl Iterator<Item = i64>) -> Flow<i64> {
    let sum = amounts.try_fold(0i64, i64::checked_add);
    sum.ok_or_else(|| FlowError::Internal("the amounts of an order overflow".to_owned()))
}

/// Make an order. The same number and request again gives the order that is there.
#[utoipa::path(post, path = "/v1/orders", tag = "orders", operation_id = "createOrder",
    security(("key" = ["orders:write"])),
    request_body = NewOrder,
    responses((status = 201, body = Order), (status = 200, body = Order, description = "It is there already"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Body(new): Body<NewOrder>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    finish(async move {
        let made = orders::create(&gateway, merchant, new.into()).await?;
        let view = orders::view(&gateway, merchant, made.row.id).await?;
        let order = Order::render(&gateway.settings.public_url, view)?;
        Ok((made_or_there(made.fresh), Json(order)))
    })
    .await
}

/// 201 for what this request made, 200 for what was there.
pub fn made_or_there(fresh: bool) -> StatusCode {
    if fresh { StatusCode::CREATED } else { StatusCode::OK }
}

/// List orders, newest first.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", operation_id = "listOrders", security(("key" = ["read"])),
    params(("number" = Option<String>, Query), ("state" = Option<String>, Query),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Order>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Order>>, Problem> {
    query.one_of::<OrderState>("state", "must be a state of an order")?;
    query.before::<kind::Order>()?;
    let limit = query.limit()?;
    finish(async move {
        let filter = Filter {
            number: query.text("number"),
            state: query.text("state"),
            before: match query.text("cursor") {
                "" => page::AFTER_ALL,
                cursor => cursor,
            },
            limit: page::one_more(limit),
        };
        let rows = orders::list(&gateway, merchant, &filter).await?;
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let mut data = Vec::with_capacity(rows.len());
        for row in rows {
            let view = orders::view(&gateway, merchant, row.id).await?;
            data.push(Order::render(&gateway.settings.public_url, view)?);
        }
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read an order with its payments and refunds.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", operation_id = "getOrder", security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Order),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Order>,
) -> Result<Json<Order>, Problem> {
    finish(async move {
        let view = orders::view(&gateway, merchant, id).await?;
        Order::render(&gateway.settings.public_url, view).map(Json)
    })
    .await
}

/// End an unpaid order. What may still be paid at a provider is ended there first.
#[utoipa::path(post, path = "/v1/orders/{id}/close", tag = "orders", operation_id = "closeOrder",
    security(("key" = ["orders:write"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Order),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn close(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Order>,
) -> Result<Json<Order>, Problem> {
    finish(async move {
        let view = orders::close(&gateway, merchant, id).await?;
        Order::render(&gateway.settings.public_url, view).map(Json)
    })
    .await
}
