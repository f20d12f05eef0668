//! Payments: attempts to pay an order. An update names the version that was read, so that no change is lost.

use tollgate_domain::ids::{AccountId, MerchantId, OrderId, PaymentId};
use tollgate_domain::money::{Currency, Money};
use tollgate_domain::payment::{Payment, PaymentState};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO payments (merchant_id, id, order_id, account_id, plugin, method, state, amount, \
     currency, taken, reserved, refunded, reference, request, kept, asked, version, expires_at, created_at, \
     updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, $10, $11, $12, 0, 1, $13, $14, $14)";
const GET: &str = "SELECT * FROM payments WHERE merchant_id = $1 AND id = $2";
const BY_ADDRESS: &str = "SELECT * FROM payments WHERE id = $1";
const BY_REFERENCE: &str =
    "SELECT * FROM payments WHERE merchant_id = $1 AND account_id = $2 AND reference = $3";
const BY_PROVIDER_REF: &str = "SELECT * FROM payments WHERE merchant_id = $1 AND account_id = $2 AND provider_ref = $3 LIMIT 1";
pub(super) const OF_ORDER: &str =
    "SELECT * FROM payments WHERE merchant_id = $1 AND order_id = $2 ORDER BY id";
const UPDATE: &str = "UPDATE payments SET state = $4, taken = $5, reserved = $6, refunded = $7, provider_ref = $8, \
     kept = $9, action = $10, failure = $11, asked = $12, succeeded_at = $13, updated_at = $14, allocated = $15, \
     late = $16, reversed = $17, reversed_at = $18, disputed = $19, charged_back = $20, refunded_asked = $21, \
     refunded_told = $22, version = version + 1 WHERE merchant_id = $1 AND id = $2 AND version = $3";
/// The guard of every refund: one statement, whatever else runs. $5: 1 where it may stand beside a dispute.
const RESERVE: &str = "UPDATE payments SET reserved = reserved + $3, updated_at = $4, version = version + 1 \
     WHERE merchant_id = $1 AND id = $2 AND state = 'succeeded' AND (disputed + charged_back = 0 OR $5 = 1) \
     AND taken - reversed - charged_back - reserved - refunded >= $3";
/// Counts its change too, so that nobody writes an older count over it.
const COUNT_QUESTION: &str = "UPDATE payments SET asked = asked + 1, version = version + 1 \
     WHERE merchant_id = $1 AND id = $2";

/// A row of `payments`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PaymentRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: PaymentId,
    /// The order that it pays.
    #[sqlx(try_from = "String")]
    pub order_id: OrderId,
    /// The account that it goes through.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// That account's plugin.
    pub plugin: String,
    /// The method, in the plugin's words.
    pub method: String,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: PaymentState,
    /// What it is to take, in minor units.
    pub amount: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// What it took.
    pub taken: i64,
    /// What refunds in flight hold.
    pub reserved: i64,
    /// What refunds gave back.
    pub refunded: i64,
    /// What the provider took back of its success.
    pub reversed: i64,
    /// When it did, by the provider's clock if it says.
    pub reversed_at: Option<i64>,
    /// The sum of its open disputes whose money the merchant still has.
    pub disputed: i64,
    /// The sum of those whose money is gone.
    pub charged_back: i64,
    /// The most that a query told of what was given back so far, by whomever.
    pub refunded_asked: Option<i64>,
    /// The most that a message told of it whose signature held.
    pub refunded_told: Option<i64>,
    /// 1: it is the one that its order counts.
    pub allocated: i64,
    /// 1: its money came after its order had ended.
    pub late: i64,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference.
    pub provider_ref: Option<String>,
    /// JSON of [`crate::flows::payments::Choice`].
    pub request: String,
    /// What the plugin asked to keep.
    pub kept: Vec<u8>,
    /// JSON of [`crate::flows::payments::Action`].
    pub action: Option<String>,
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
    /// When the payer can no longer pay it.
    #[sqlx(try_from = "i64")]
    pub expires_at: Moment,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

impl PaymentRow {
    /// What the rules need to know of it.
    pub fn rules(&self) -> Payment {
        Payment {
            state: self.state,
            amount: Money::new(self.amount, self.currency),
            taken: self.taken,
            reserved: self.reserved,
            refunded: self.refunded,
            reversed: self.reversed,
            disputed: self.disputed,
            charged_back: self.charged_back,
            allocated: self.allocated == 1,
            changed: self.updated_at,
        }
    }

    /// Takes what the rules made of it.
    pub fn take(&mut self, payment: Payment) {
        self.state = payment.state;
        self.taken = payment.taken;
        self.reserved = payment.reserved;
        self.refunded = payment.refunded;
        self.reversed = payment.reversed;
        self.disputed = payment.disputed;
        self.charged_back = payment.charged_back;
        self.updated_at = payment.changed;
    }
}

/// Writes a new payment.
pub async fn insert(sql: &mut Sql, row: &PaymentRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.order_id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.plugin.as_str())
        .bind(row.method.as_str())
        .bind(row.state.as_str())
        .bind(row.amount)
        .bind(row.currency.code())
        .bind(row.reference.as_str())
        .bind(row.request.as_str())
        .bind(row.kept.as_slice())
        .bind(row.expires_at.0)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's payment.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: PaymentId,
) -> Result<Option<PaymentRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// A merchant's payment that must be there, because another row names it.
pub async fn must(
    sql: &mut Sql,
    merchant: MerchantId,
    id: PaymentId,
) -> Result<PaymentRow, StoreError> {
    get(sql, merchant, id).await?.ok_or(StoreError::Inconsistent {
        table: "payments",
        column: "id",
        row: id.to_string(),
    })
}

/// The payment that a return address belongs to, whoever owns it.
pub async fn by_address(sql: &mut Sql, id: PaymentId) -> Result<Option<PaymentRow>, StoreError> {
    Ok(sqlx::query_as(BY_ADDRESS).bind(id.to_string()).fetch_optional(sql).await?)
}

/// An account's payment by our reference at the provider.
pub async fn by_reference(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    reference: &str,
) -> Result<Option<PaymentRow>, StoreError> {
    Ok(sqlx::query_as(BY_REFERENCE)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(reference)
        .fetch_optional(sql)
        .await?)
}

/// An account's payment by the provider's reference.
pub async fn by_provider_ref(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    reference: &str,
) -> Result<Option<PaymentRow>, StoreError> {
    Ok(sqlx::query_as(BY_PROVIDER_REF)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(reference)
        .fetch_optional(sql)
        .await?)
}

/// An order's payments, oldest first.
pub async fn of_order(
    sql: &mut Sql,
    merchant: MerchantId,
    order: OrderId,
) -> Result<Vec<PaymentRow>, StoreError> {
    Ok(sqlx::query_as(OF_ORDER)
        .bind(merchant.to_string())
        .bind(order.to_string())
        .fetch_all(sql)
        .await?)
}

/// Writes a changed row over the version that was read.
pub async fn update(sql: &mut Sql, row: &PaymentRow) -> Result<(), StoreError> {
    let done = sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.version)
        .bind(row.state.as_str())
        .bind(row.taken)
        .bind(row.reserved)
        .bind(row.refunded)
        .bind(row.provider_ref.as_deref())
        .bind(row.kept.as_slice())
        .bind(row.action.as_deref())
        .bind(row.failure.as_deref())
        .bind(row.asked)
        .bind(row.succeeded_at)
        .bind(row.updated_at.0)
        .bind(row.allocated)
        .bind(row.late)
        .bind(row.reversed)
        .bind(row.reversed_at)
        .bind(row.disputed)
        .bind(row.charged_back)
        .bind(row.refunded_asked)
        .bind(row.refunded_told)
        .execute(sql)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "payments", row: row.id.to_string() })
}

/// Counts a question about a payment.
pub async fn count_question(
    sql: &mut Sql,
    merchant: MerchantId,
    id: &str,
) -> Result<(), StoreError> {
    sqlx::query(COUNT_QUESTION).bind(merchant.to_string()).bind(id).execute(sql).await?;
    Ok(())
}

/// Reserves so many minor units for a refund, if so much is left and, unless `despite_dispute`, nothing of the payment
/// is in dispute. False: it is not.
pub async fn reserve(
    sql: &mut Sql,
    merchant: MerchantId,
    id: PaymentId,
    minor: i64,
    despite_dispute: bool,
    now: Moment,
) -> Result<bool, StoreError> {
    let done = sqlx::query(RESERVE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(minor)
        .bind(now.0)
        .bind(i64::from(despite_dispute))
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}
