//! Orders: made by the merchant, paid by somebody, ended by the merchant or by time.

mod ending;

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{MerchantId, OrderId};
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::order::{GRACE_MS, LateSuccess, OrderRefusal, OrderState};

pub use self::ending::{Expiry, close, expire};
use super::texts::one_line;
use super::{FieldError, Flow, FlowError, Made, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::events::{self, EventRow};
use crate::store::orders::{self, Filter, OrderRow};
use crate::store::payments::{self, PaymentRow};
use crate::store::refunds::{self, RefundRow};

/// An order as the merchant asks for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The merchant's own number, unique for the merchant.
    pub number: String,
    /// What is owed, in minor units.
    pub amount: i64,
    /// Of this currency, ISO 4217.
    pub currency: String,
    /// What it is for, in a few words that the payer sees.
    pub subject: String,
    /// More words on what it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What is bought.
    #[serde(default)]
    pub items: Vec<NewItem>,
    /// Where it goes.
    #[serde(default)]
    pub deliver_to: Option<Address>,
    /// The merchant's own notes.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Where the payer goes back to, at the shop.
    #[serde(default)]
    pub return_url: Option<String>,
    /// The payer's language, as in `zh-CN`.
    #[serde(default)]
    pub locale: Option<String>,
    /// How long the payer has, in seconds.
    #[serde(default = "two_hours")]
    pub expires_in_s: i64,
    /// What becomes of money that comes after the order's end: `reopen` or `refund`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_success: Option<String>,
}

fn two_hours() -> i64 {
    7200
}

/// What an order carries for people and providers, beside what the rules need.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// More words on what it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What is bought.
    pub items: Vec<NewItem>,
    /// Where it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliver_to: Option<Address>,
    /// The merchant's own notes.
    pub metadata: BTreeMap<String, String>,
    /// Where the payer goes back to, at the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The payer's language, as in `zh-CN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
}

/// One thing that is bought.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// What.
    pub name: String,
    /// What one of it costs, in minor units.
    pub price: i64,
    /// How many.
    pub quantity: u32,
}

/// A delivery address.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Who gets it.
    pub name: String,
    /// How to reach them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Street and house, a line each.
    pub lines: Vec<String>,
    /// Town.
    pub city: String,
    /// Province or state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166 alpha-2.
    pub country: String,
}

/// An order with everything that happened to it.
#[derive(Clone, Debug)]
pub struct OrderView {
    /// The order.
    pub order: OrderRow,
    /// Its payments, oldest first.
    pub payments: Vec<PaymentRow>,
    /// Their refunds, oldest first.
    pub refunds: Vec<RefundRow>,
}

/// Makes an order; the same number and request again gives the one that is there.
pub async fn create(
    gateway: &Gateway,
    merchant: MerchantId,
    new: NewOrder,
) -> Flow<Made<OrderRow>> {
    let money = check(&new)?;
    let late_success = late_success(&new)?;
    let now = gateway.store.now();
    let fingerprint = hex::encode(digest(&SHA256, &serde_json::to_vec(&new)?));
    let details = Details {
        description: new.description,
        items: new.items,
        deliver_to: new.deliver_to,
        metadata: new.metadata,
        return_url: new.return_url,
        locale: new.locale,
    };
    let row = OrderRow {
        merchant_id: merchant,
        id: gateway.chance.id(now),
        number: new.number,
        state: OrderState::Open,
        amount: money.minor,
        currency: money.currency,
        subject: new.subject,
        details: serde_json::to_string(&details)?,
        fingerprint,
        token: gateway.chance.text(32),
        late_success,
        event_seq: 0,
        expires_at: now.plus_millis(new.expires_in_s * 1_000),
        created_at: now,
        updated_at: now,
    };
    let row = &row;
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                if let Some(there) = orders::by_number(tx.sql(), merchant, &row.number).await? {
                    if there.fingerprint == row.fingerprint {
                        return Ok(Made { row: there, fresh: false });
                    }
                    let detail =
                        format!("order number {:?} was used for another order", row.number);
                    return Err(FlowError::Conflict { code: "order-number-used", detail });
                }
                orders::insert(tx.sql(), row).await?;
                let data = serde_json::json!({
                    "order_id": row.id, "number": row.number, "state": row.state.as_str(),
                    "amount": row.amount, "currency": row.currency,
                });
                learn::announce(tx, gateway, merchant, Some(row.id), "order.created", data).await?;
                let (subject, end) = (row.id.to_string(), row.expires_at.plus_millis(GRACE_MS));
                learn::put_job(tx, gateway, merchant, Kind::EndOrder, &subject, end).await?;
                Ok(Made { row: row.clone(), fresh: true })
            })
        })
        .await
}

fn late_success(new: &NewOrder) -> Flow<LateSuccess> {
    let word = new.late_success.as_deref().map(str::parse).transpose();
    let word = word.map_err(|_| FlowError::invalid("late_success", "must be reopen or refund"))?;
    Ok(word.unwrap_or_default())
}

fn check(new: &NewOrder) -> Flow<Money> {
    let mut errors = Vec::new();
    let mut text =
        |field: &str, value: &str, most: usize| errors.extend(one_line(field, value, most));
    text("number", &new.number, 64);
    text("subject", &new.subject, 256);
    if let Some(description) = &new.description {
        text("description", description, 1024);
    }
    for (index, item) in new.items.iter().enumerate() {
        text(&format!("items[{index}].name"), &item.name, 256);
    }
    if let Some(address) = &new.deliver_to {
        check_address(address, &mut text);
    }
    for (name, value) in &new.metadata {
        text("metadata", name, 64);
        text(&format!("metadata.{name}"), value, 512);
    }
    check_numbers(new, &mut errors);
    let currency = new.currency.parse::<Currency>();
    let money = currency.map_err(|error| FieldError::new("currency", error.to_string())).and_then(
        |currency| {
            Money::positive(new.amount, currency)
                .map_err(|error| FieldError::new("amount", error.to_string()))
        },
    );
    match money {
        Ok(money) if errors.is_empty() => Ok(money),
        Ok(_) => Err(FlowError::Invalid(errors)),
        Err(error) => {
            errors.push(error);
            Err(FlowError::Invalid(errors))
        }
    }
}

fn check_address(address: &Address, text: &mut impl FnMut(&str, &str, usize)) {
    text("deliver_to.name", &address.name, 128);
    text("deliver_to.city", &address.city, 128);
    if address.lines.is_empty() {
        text("deliver_to.lines", "", 256);
    }
    for (index, line) in address.lines.iter().enumerate() {
        text(&format!("deliver_to.lines[{index}]"), line, 256);
    }
    let optional = [
        ("phone", &address.phone),
        ("region", &address.region),
        ("postal_code", &address.postal_code),
    ];
    for (field, value) in optional {
        if let Some(value) = value {
            text(&format!("deliver_to.{field}"), value, 64);
        }
    }
    let code = &address.country;
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    // An empty text breaks the rule whatever it is.
    text("deliver_to.country", if is_code { code } else { "" }, 2);
}

fn check_numbers(new: &NewOrder, errors: &mut Vec<FieldError>) {
    if !(60..=2_592_000).contains(&new.expires_in_s) {
        errors.push(FieldError::new("expires_in_s", "must be between 60 and 2592000"));
    }
    if new.items.len() > 500 {
        errors.push(FieldError::new("items", "must be at most 500"));
    }
    if new.metadata.len() > 50 {
        errors.push(FieldError::new("metadata", "must have at most 50 names"));
    }
    for (index, item) in new.items.iter().enumerate() {
        if item.price < 0 || item.price.checked_mul(i64::from(item.quantity)).is_none() {
            errors.push(FieldError::new(
                format!("items[{index}].price"),
                "must be zero or more, and not overflow",
            ));
        }
        if item.quantity == 0 {
            errors.push(FieldError::new(
                format!("items[{index}].quantity"),
                "must be greater than zero",
            ));
        }
    }
    if let Some(url) = &new.return_url {
        let web = url::Url::parse(url)
            .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if !web || url.len() > 2048 {
            errors.push(FieldError::new("return_url", "must be an http or https address"));
        }
    }
    if let Some(locale) = &new.locale {
        let tag = locale.len() <= 35
            && locale.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !tag || locale.is_empty() {
            errors.push(FieldError::new("locale", "must be a language tag such as zh-CN"));
        }
    }
}

/// A merchant's order with everything that happened to it.
pub async fn view(gateway: &Gateway, merchant: MerchantId, id: OrderId) -> Flow<OrderView> {
    let mut sql = gateway.store.read().await?;
    let order = orders::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("order"))?;
    let payments = payments::of_order(&mut sql, merchant, id).await?;
    let refunds = refunds::of_order(&mut sql, merchant, id).await?;
    Ok(OrderView { order, payments, refunds })
}

/// The order of a cashier page.
pub async fn by_token(gateway: &Gateway, token: &str) -> Flow<OrderView> {
    // A stranger's address may hold anything, and some of it no database takes for a text.
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(FlowError::NotFound("order"));
    }
    let mut sql = gateway.store.read().await?;
    let order = orders::by_token(&mut sql, token).await?.ok_or(FlowError::NotFound("order"))?;
    drop(sql);
    view(gateway, order.merchant_id, order.id).await
}

/// A merchant's orders, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<OrderRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(orders::list(&mut sql, merchant, filter).await?)
}

/// A merchant's events, oldest first.
pub async fn events(
    gateway: &Gateway,
    merchant: MerchantId,
    after: &str,
    order: &str,
    limit: i64,
) -> Flow<Vec<EventRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(events::list(&mut sql, merchant, after, order, limit).await?)
}

/// An order's refusal as the merchant is told.
pub(super) fn refused(refusal: OrderRefusal) -> FlowError {
    let code = match refusal {
        OrderRefusal::AlreadyPaid => "order-paid",
        OrderRefusal::Ended => "order-closed",
        OrderRefusal::Expired => "order-expired",
        OrderRefusal::PaymentAlive => "payment-open",
        OrderRefusal::NotYetExpired => "order-not-expired",
    };
    FlowError::Conflict { code, detail: refusal.to_string() }
}
