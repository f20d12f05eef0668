//! Disputes: payments that payers contest. Updates name the version that was read.

use tollgate_domain::dispute::{Dispute, DisputeState};
use tollgate_domain::ids::{AccountId, DisputeId, MerchantId, OrderId, PaymentId};
use tollgate_domain::money::Currency;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO disputes (merchant_id, id, payment_id, order_id, account_id, reference, state, \
     amount, currency, reason, respond_by, source, bill_id, bill_line, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 1, $15, $15)";
const GET: &str = "SELECT * FROM disputes WHERE merchant_id = $1 AND id = $2";
const BY_REFERENCE: &str =
    "SELECT * FROM disputes WHERE merchant_id = $1 AND account_id = $2 AND reference = $3";
pub(super) const OF_PAYMENT: &str =
    "SELECT * FROM disputes WHERE merchant_id = $1 AND payment_id = $2 ORDER BY id";
/// All, or those of a payment or an order: each by an index of its own.
pub(super) const LIST: &str = "SELECT * FROM disputes WHERE $3 = '' AND $4 = '' AND merchant_id = $1 AND id < $2 \
     AND ($5 = '' OR state = $5) \
     UNION ALL SELECT * FROM disputes WHERE $3 = '' AND merchant_id = $1 AND order_id = $4 AND id < $2 \
     AND ($5 = '' OR state = $5) \
     UNION ALL SELECT * FROM disputes WHERE merchant_id = $1 AND payment_id = $3 AND id < $2 \
     AND ($4 = '' OR order_id = $4) AND ($5 = '' OR state = $5) ORDER BY id DESC LIMIT $6";
const UPDATE: &str = "UPDATE disputes SET reference = $4, state = $5, reason = $6, respond_by = $7, bill_id = $8, \
     bill_line = $9, updated_at = $10, version = version + 1 \
     WHERE merchant_id = $1 AND id = $2 AND version = $3";

/// A row of `disputes`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DisputeRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: DisputeId,
    /// The payment that is contested.
    #[sqlx(try_from = "String")]
    pub payment_id: PaymentId,
    /// That payment's order.
    #[sqlx(try_from = "String")]
    pub order_id: OrderId,
    /// That payment's account.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// The provider's reference; none: only a bill has told of it.
    pub reference: Option<String>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: DisputeState,
    /// What it is about, in minor units.
    pub amount: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// Why, in the provider's words.
    pub reason: Option<String>,
    /// Until when the merchant may object, as the provider writes it.
    pub respond_by: Option<String>,
    /// Who told first: notification or bill.
    pub source: String,
    /// The bill that tells that its money was taken.
    pub bill_id: Option<String>,
    /// That bill's line.
    pub bill_line: Option<i64>,
    /// Counts its changes.
    pub version: i64,
    /// When we first heard of it.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

impl DisputeRow {
    /// What the rules need to know of it.
    pub fn rules(&self) -> Dispute {
        Dispute {
            state: self.state,
            minor: self.amount,
            withdrawn: self.bill_id.is_some(),
            changed: self.updated_at,
        }
    }
}

/// Writes a new dispute.
pub async fn insert(sql: &mut Sql, row: &DisputeRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.payment_id.to_string())
        .bind(row.order_id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.reference.as_deref())
        .bind(row.state.as_str())
        .bind(row.amount)
        .bind(row.currency.code())
        .bind(row.reason.as_deref())
        .bind(row.respond_by.as_deref())
        .bind(row.source.as_str())
        .bind(row.bill_id.as_deref())
        .bind(row.bill_line)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's dispute.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: DisputeId,
) -> Result<Option<DisputeRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// An account's dispute by the provider's reference.
pub async fn by_reference(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    reference: &str,
) -> Result<Option<DisputeRow>, StoreError> {
    Ok(sqlx::query_as(BY_REFERENCE)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(reference)
        .fetch_optional(sql)
        .await?)
}

/// A payment's disputes, oldest first.
pub async fn of_payment(
    sql: &mut Sql,
    merchant: MerchantId,
    payment: PaymentId,
) -> Result<Vec<DisputeRow>, StoreError> {
    Ok(sqlx::query_as(OF_PAYMENT)
        .bind(merchant.to_string())
        .bind(payment.to_string())
        .fetch_all(sql)
        .await?)
}

/// Which disputes to list. Empty texts match all.
pub struct Filter<'a> {
    /// Of this payment.
    pub payment: &'a str,
    /// Of this order.
    pub order: &'a str,
    /// A state's word.
    pub state: &'a str,
    /// Only those before this id; `~` is after all.
    pub before: &'a str,
    /// At most so many.
    pub limit: i64,
}

/// A merchant's disputes, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<DisputeRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.payment)
        .bind(filter.order)
        .bind(filter.state)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Writes a changed row over the version that was read.
pub async fn update(sql: &mut Sql, row: &DisputeRow) -> Result<(), StoreError> {
    let done = sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.version)
        .bind(row.reference.as_deref())
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(row.respond_by.as_deref())
        .bind(row.bill_id.as_deref())
        .bind(row.bill_line)
        .bind(row.updated_at.0)
        .execute(sql)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "disputes", row: row.id.to_string() })
}
