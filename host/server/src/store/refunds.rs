//! Refunds: requests to give money back. Updates name the version that was read.

use tollgate_domain::ids::{AccountId, MerchantId, OrderId, PaymentId, RefundId};
use tollgate_domain::money::Currency;
use tollgate_domain::refund::{Origin, Refund, RefundState};
use tollgate_domain::time::Moment;

use super::payments::PaymentRow;
use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO refunds (merchant_id, id, payment_id, order_id, account_id, number, state, amount, \
     currency, reason, fingerprint, reference, kept, asked, version, created_at, updated_at, origin, sent_at, \
     provider_ref, succeeded_at, beyond) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 1, $14, \
     $14, $15, $16, $17, $18, $19)";
const GET: &str = "SELECT * FROM refunds WHERE merchant_id = $1 AND id = $2";
const BY_NUMBER: &str = "SELECT * FROM refunds WHERE merchant_id = $1 AND number = $2";
const BY_REFERENCE: &str =
    "SELECT * FROM refunds WHERE merchant_id = $1 AND account_id = $2 AND reference = $3";
pub(super) const OF_PAYMENT: &str =
    "SELECT * FROM refunds WHERE merchant_id = $1 AND payment_id = $2 ORDER BY id";
pub(super) const OF_ORDER: &str =
    "SELECT * FROM refunds WHERE merchant_id = $1 AND order_id = $2 ORDER BY id";
/// All, or those of a payment or an order: each by an index of its own.
pub(super) const LIST: &str = "SELECT * FROM refunds WHERE $3 = '' AND $4 = '' AND merchant_id = $1 AND id < $2 \
     UNION ALL SELECT * FROM refunds WHERE $3 = '' AND merchant_id = $1 AND order_id = $4 AND id < $2 \
     UNION ALL SELECT * FROM refunds WHERE merchant_id = $1 AND payment_id = $3 AND id < $2 \
     AND ($4 = '' OR order_id = $4) ORDER BY id DESC LIMIT $5";
const UPDATE: &str = "UPDATE refunds SET state = $4, provider_ref = $5, kept = $6, failure = $7, asked = $8, \
     succeeded_at = $9, updated_at = $10, amount = $11, reference = $12, sent_at = $13, reversed_at = $14, \
     beyond = $15, version = version + 1 WHERE merchant_id = $1 AND id = $2 AND version = $3";
/// Counts its change too, so that nobody writes an older count over it.
const COUNT_QUESTION: &str = "UPDATE refunds SET asked = asked + 1, version = version + 1 WHERE merchant_id = $1 AND id = $2";

/// A row of `refunds`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct RefundRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: RefundId,
    /// The payment that it gives back.
    #[sqlx(try_from = "String")]
    pub payment_id: PaymentId,
    /// That payment's order.
    #[sqlx(try_from = "String")]
    pub order_id: OrderId,
    /// That payment's account.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// The merchant's own number.
    pub number: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: RefundState,
    /// What goes back, in minor units.
    pub amount: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// Why, for the payer.
    pub reason: Option<String>,
    /// Who wanted it.
    #[sqlx(try_from = "String")]
    pub origin: Origin,
    /// When it was first about to be sent; none: never.
    pub sent_at: Option<i64>,
    /// When its success was undone, by the provider's clock if it says.
    pub reversed_at: Option<i64>,
    /// 1: it went back beyond what the payment took, and is in no sum.
    pub beyond: i64,
    /// SHA-256 of the request that made it.
    pub fingerprint: String,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference.
    pub provider_ref: Option<String>,
    /// What the plugin asked to keep.
    pub kept: Vec<u8>,
    /// JSON of [`crate::flows::Failure`].
    pub failure: Option<String>,
    /// How often the schedule has asked about it.
    pub asked: i64,
    /// Counts its changes.
    pub version: i64,
    /// The bill that it was found in.
    pub bill_id: Option<String>,
    /// The bill's line.
    pub bill_line: Option<i64>,
    /// The bill's day.
    pub bill_day: Option<String>,
    /// When it succeeded, by the provider's clock if it says.
    pub succeeded_at: Option<i64>,
    /// When it was asked for.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

impl RefundRow {
    /// A refund of a payment that was never sent, and has neither number nor reference yet.
    pub fn blank(
        paid: &PaymentRow,
        id: RefundId,
        minor: i64,
        origin: Origin,
        now: Moment,
    ) -> RefundRow {
        RefundRow {
            merchant_id: paid.merchant_id,
            id,
            payment_id: paid.id,
            order_id: paid.order_id,
            account_id: paid.account_id,
            number: String::new(),
            state: RefundState::Requested,
            amount: minor,
            currency: paid.currency,
            reason: None,
            origin,
            sent_at: None,
            reversed_at: None,
            beyond: 0,
            fingerprint: String::new(),
            reference: String::new(),
            provider_ref: None,
            kept: Vec::new(),
            failure: None,
            asked: 0,
            version: 1,
            bill_id: None,
            bill_line: None,
            bill_day: None,
            succeeded_at: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What the rules need to know of it.
    pub fn rules(&self) -> Refund {
        Refund {
            state: self.state,
            minor: self.amount,
            reversed: self.reversed_at.is_some(),
            changed: self.updated_at,
        }
    }

    /// Takes what the rules made of it, `at` being when that happened.
    pub fn take(&mut self, refund: Refund, at: Moment) {
        if refund.reversed && self.reversed_at.is_none() {
            self.reversed_at = Some(at.0);
        }
        self.state = refund.state;
        self.updated_at = refund.changed;
    }
}

/// Writes a new refund.
pub async fn insert(sql: &mut Sql, row: &RefundRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.payment_id.to_string())
        .bind(row.order_id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.number.as_str())
        .bind(row.state.as_str())
        .bind(row.amount)
        .bind(row.currency.code())
        .bind(row.reason.as_deref())
        .bind(row.fingerprint.as_str())
        .bind(row.reference.as_str())
        .bind(row.kept.as_slice())
        .bind(row.created_at.0)
        .bind(row.origin.as_str())
        .bind(row.sent_at)
        .bind(row.provider_ref.as_deref())
        .bind(row.succeeded_at)
        .bind(row.beyond)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's refund.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: RefundId,
) -> Result<Option<RefundRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// A merchant's refund that must be there.
pub async fn must(
    sql: &mut Sql,
    merchant: MerchantId,
    id: RefundId,
) -> Result<RefundRow, StoreError> {
    get(sql, merchant, id).await?.ok_or(StoreError::Inconsistent {
        table: "refunds",
        column: "id",
        row: id.to_string(),
    })
}

/// A merchant's refund by its own number.
pub async fn by_number(
    sql: &mut Sql,
    merchant: MerchantId,
    number: &str,
) -> Result<Option<RefundRow>, StoreError> {
    Ok(sqlx::query_as(BY_NUMBER)
        .bind(merchant.to_string())
        .bind(number)
        .fetch_optional(sql)
        .await?)
}

/// An account's refund by our reference at the provider.
pub async fn by_reference(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    reference: &str,
) -> Result<Option<RefundRow>, StoreError> {
    Ok(sqlx::query_as(BY_REFERENCE)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(reference)
        .fetch_optional(sql)
        .await?)
}

/// A payment's refunds, oldest first.
pub async fn of_payment(
    sql: &mut Sql,
    merchant: MerchantId,
    payment: PaymentId,
) -> Result<Vec<RefundRow>, StoreError> {
    Ok(sqlx::query_as(OF_PAYMENT)
        .bind(merchant.to_string())
        .bind(payment.to_string())
        .fetch_all(sql)
        .await?)
}

/// An order's refunds, oldest first.
pub async fn of_order(
    sql: &mut Sql,
    merchant: MerchantId,
    order: OrderId,
) -> Result<Vec<RefundRow>, StoreError> {
    Ok(sqlx::query_as(OF_ORDER)
        .bind(merchant.to_string())
        .bind(order.to_string())
        .fetch_all(sql)
        .await?)
}

/// Which refunds to list. Empty texts match all.
pub struct Filter<'a> {
    /// Of this payment.
    pub payment: &'a str,
    /// Of this order.
    pub order: &'a str,
    /// Only those before this id; `~` is after all.
    pub before: &'a str,
    /// At most so many.
    pub limit: i64,
}

/// A merchant's refunds, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Result<Vec<RefundRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(filter.before)
        .bind(filter.payment)
        .bind(filter.order)
        .bind(filter.limit)
        .fetch_all(sql)
        .await?)
}

/// Counts a question about a refund.
pub async fn count_question(
    sql: &mut Sql,
    merchant: MerchantId,
    id: &str,
) -> Result<(), StoreError> {
    sqlx::query(COUNT_QUESTION).bind(merchant.to_string()).bind(id).execute(sql).await?;
    Ok(())
}

/// Writes a changed row over the version that was read.
pub async fn update(sql: &mut Sql, row: &RefundRow) -> Result<(), StoreError> {
    let done = sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.version)
        .bind(row.state.as_str())
        .bind(row.provider_ref.as_deref())
        .bind(row.kept.as_slice())
        .bind(row.failure.as_deref())
        .bind(row.asked)
        .bind(row.succeeded_at)
        .bind(row.updated_at.0)
        .bind(row.amount)
        .bind(row.reference.as_str())
        .bind(row.sent_at)
        .bind(row.reversed_at)
        .bind(row.beyond)
        .execute(sql)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "refunds", row: row.id.to_string() })
}
