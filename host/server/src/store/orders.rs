//! Orders: what payers owe.

use tollgate_domain::ids::{MerchantId, OrderId};
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::order::{LateSuccess, Order, OrderState};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO orders (merchant_id, id, number, state, amount, currency, subject, details, \
     fingerprint, token, event_seq, expires_at, created_at, updated_at, late_success) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, $12, $13)";
const GET: &str = "SELECT * FROM orders WHERE merchant_id = $1 AND id = $2";
const BY_NUMBER: &str = "SELECT * FROM orders WHERE merchant_id = $1 AND number = $2";
const BY_TOKEN: &str = "SELECT * FROM orders WHERE token = $1";
/// All, or the one with a number: each by an index of its own.
pub(super) const LIST: &str = "SELECT * FROM orders WHERE $3 = '' AND merchant_id = $1 AND id < $2 AND ($4 = '' OR state = $4) \
     UNION ALL SELECT * FROM orders WHERE merchant_id = $1 AND number = $3 AND id < $2 AND ($4 = '' OR state = $4) \
     ORDER BY id DESC LIMIT $5";
const SET_STATE: &str = "UPDATE orders SET state = $3, updated_at = $4 WHERE merchant_id = $1 AND id = $2 AND state = $5";
/// Changes nothing, and has whoever does the same wait for this transaction's end: on every engine.
const LOCK: &str = "UPDATE orders SET event_seq = event_seq WHERE merchant_id = $1 AND id = $2";
const NEXT_SEQUENCE: &str = "UPDATE orders SET event_seq = event_seq + 1 WHERE merchant_id = $1 AND id = $2 \
     RETURNING event_seq";

/// A row of `orders`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OrderRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: OrderId,
    /// The merchant's own number.
    pub number: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: OrderState,
    /// What is owed, in minor units.
    pub amount: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// What it is for, in a few words.
    pub subject: String,
    /// JSON of [`crate::flows::orders::Details`].
    pub details: String,
    /// SHA-256 of the request that made it.
    pub fingerprint: String,
    /// The secret part of the cashier's address.
    pub token: String,
    /// What becomes of money that comes after its end.
    #[sqlx(try_from = "String")]
    pub late_success: LateSuccess,
    /// How many events it has.
    pub event_seq: i64,
    /// When it ends unpaid.
    #[sqlx(try_from = "i64")]
    pub expires_at: Moment,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

impl OrderRow {
    /// What the rules need to know of it.
    pub fn rules(&self) -> Order {
        Order {
            state: self.state,
            amount: Money::new(self.amount, self.currency),
            late: self.late_success,
            expires: self.expires_at,
        }
    }
}

/// Writes a new order.
pub async fn insert(sql: &mut Sql, row: &OrderRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.number.as_str())
        .bind(row.state.as_str())
        .bind(row.amount)
        .bind(row.currency.code())
        .bind(row.subject.as_str())
        .bind(row.details.as_str())
        .bind(row.fingerprint.as_str())
        .bind(row.token.as_str())
        .bind(row.expires_at.0)
        .bind(row.created_at.0)
        .bind(row.late_success.as_str())
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's order.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: OrderId,
) -> Result<Option<OrderRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// A merchant's order that must be there, because another row names it.
pub async fn must(
    sql: &mut Sql,
    merchant: MerchantId,
    id: OrderId,
) -> Result<OrderRow, StoreError> {
    get(sql, merchant, id).await?.ok_or(StoreError::Inconsistent {
        table: "orders",
        column: "id",
        row: id.to_string(),
    })
}

/// A merchant's order by its own number.
pub async fn by_number(
    sql: &mut Sql,
    merchant: MerchantId,
    number: &str,
) -> Result<Option<OrderRow>, StoreError> {
    Ok(sqlx::query_as(BY_NUMBER)
        .bind(merchant.to_string())
        .bind(number)
        .fetch_optional(sql)
        .await?)
}

/// The order that a cashier page belongs to.
pub async fn by_token(sql: &mut Sql, token: &str) -> Result<Option<OrderRow>, StoreError> {
    Ok(sqlx::query_as(BY_TOKEN).bind(token).fetch_optional(sql).await?)
}

/// Which orders to list. Empty texts match all.
pub struct Filter<'a> {
    /// The merchant's own number.
    pub number: &'a str,
    /// A state's word.
    pub state: &'a str,
    /// Only those before this id; `~` is after all.
    pub before: &'a str,
    /// At most so many.
    pub limit: i64,
}

/// A merchant's orders, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<OrderRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.number)
        .bind(filter.state)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Takes the order's row until the transaction ends. Whoever decides about an order, its payments or its refunds does
/// this before anything else: what it reads afterwards is all there is, and nobody else decides meanwhile.
pub async fn lock(sql: &mut Sql, merchant: MerchantId, id: OrderId) -> Result<(), StoreError> {
    let locked =
        sqlx::query(LOCK).bind(merchant.to_string()).bind(id.to_string()).execute(sql).await?;
    if locked.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Inconsistent { table: "orders", column: "id", row: id.to_string() })
}

/// Writes a new state over the one that was read.
pub async fn set_state(
    sql: &mut Sql,
    row: &OrderRow,
    state: OrderState,
    now: Moment,
) -> Result<(), StoreError> {
    let done = sqlx::query(SET_STATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(state.as_str())
        .bind(now.0)
        .bind(row.state.as_str())
        .execute(sql)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "orders", row: row.id.to_string() })
}

/// The number of the order's next event, counted within the transaction.
pub(super) async fn next_sequence(
    sql: &mut Sql,
    merchant: MerchantId,
    id: OrderId,
) -> Result<i64, StoreError> {
    let (sequence,): (i64,) = sqlx::query_as(NEXT_SEQUENCE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_one(sql)
        .await?;
    Ok(sequence)
}
