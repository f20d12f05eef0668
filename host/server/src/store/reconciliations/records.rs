//! Payments and refunds as a comparison sees them, each with the bill that has settled it.

use tollgate_domain::ids::{AccountId, MerchantId, PaymentId, RefundId};
use tollgate_domain::money::Currency;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::RefundState;

use crate::store::{Sql, StoreError};

const PAYMENTS_BETWEEN: &str = "SELECT p.id, p.reference, p.provider_ref, p.state, p.amount, p.taken, p.currency, \
     p.succeeded_at, p.bill_id, p.bill_line, b.kind AS bill_kind FROM payments p \
     LEFT JOIN bills b ON b.merchant_id = p.merchant_id AND b.id = p.bill_id \
     WHERE p.merchant_id = $1 AND p.account_id = $2 AND (p.succeeded_at, p.id) > ($3, $4) \
     AND p.succeeded_at < $5 ORDER BY p.succeeded_at, p.id LIMIT $6";
pub(in crate::store) const PAYMENT_BY_OURS: &str = "SELECT p.id, p.reference, p.provider_ref, p.state, p.amount, p.taken, p.currency, \
     p.succeeded_at, p.bill_id, p.bill_line, b.kind AS bill_kind FROM payments p \
     LEFT JOIN bills b ON b.merchant_id = p.merchant_id AND b.id = p.bill_id \
     WHERE p.merchant_id = $1 AND p.account_id = $2 AND p.reference = $3";
pub(in crate::store) const PAYMENT_BY_THEIRS: &str = "SELECT p.id, p.reference, p.provider_ref, p.state, p.amount, p.taken, p.currency, \
     p.succeeded_at, p.bill_id, p.bill_line, b.kind AS bill_kind FROM payments p \
     LEFT JOIN bills b ON b.merchant_id = p.merchant_id AND b.id = p.bill_id \
     WHERE p.merchant_id = $1 AND p.account_id = $2 AND p.provider_ref = $3 ORDER BY p.id LIMIT 1";
const REFUNDS_BETWEEN: &str = "SELECT r.id, r.reference, r.provider_ref, r.state, r.amount, r.currency, \
     r.succeeded_at, r.bill_id, r.bill_line, b.kind AS bill_kind, p.reference AS payment_reference, \
     p.provider_ref AS payment_provider_ref FROM refunds r \
     JOIN payments p ON p.merchant_id = r.merchant_id AND p.id = r.payment_id \
     LEFT JOIN bills b ON b.merchant_id = r.merchant_id AND b.id = r.bill_id \
     WHERE r.merchant_id = $1 AND r.account_id = $2 AND (r.succeeded_at, r.id) > ($3, $4) \
     AND r.succeeded_at < $5 AND NOT (r.origin = 'provider' AND r.provider_ref IS NULL AND r.reversed_at IS NOT NULL) \
     ORDER BY r.succeeded_at, r.id LIMIT $6";
pub(in crate::store) const REFUND_BY_OURS: &str = "SELECT r.id, r.reference, r.provider_ref, r.state, r.amount, r.currency, \
     r.succeeded_at, r.bill_id, r.bill_line, b.kind AS bill_kind, p.reference AS payment_reference, \
     p.provider_ref AS payment_provider_ref FROM refunds r \
     JOIN payments p ON p.merchant_id = r.merchant_id AND p.id = r.payment_id \
     LEFT JOIN bills b ON b.merchant_id = r.merchant_id AND b.id = r.bill_id \
     WHERE r.merchant_id = $1 AND r.account_id = $2 AND r.reference = $3";
pub(in crate::store) const REFUND_BY_THEIRS: &str = "SELECT r.id, r.reference, r.provider_ref, r.state, r.amount, r.currency, \
     r.succeeded_at, r.bill_id, r.bill_line, b.kind AS bill_kind, p.reference AS payment_reference, \
     p.provider_ref AS payment_provider_ref FROM refunds r \
     JOIN payments p ON p.merchant_id = r.merchant_id AND p.id = r.payment_id \
     LEFT JOIN bills b ON b.merchant_id = r.merchant_id AND b.id = r.bill_id \
     WHERE r.merchant_id = $1 AND r.account_id = $2 AND r.provider_ref = $3 ORDER BY r.id LIMIT 1";

/// A payment.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct PaymentRecord {
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: PaymentId,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference.
    pub provider_ref: Option<String>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: PaymentState,
    /// What it is to take.
    pub amount: i64,
    /// What it took.
    pub taken: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// When it succeeded.
    pub succeeded_at: Option<i64>,
    /// The bill that has settled it.
    pub bill_id: Option<String>,
    /// That bill's line.
    pub bill_line: Option<i64>,
    /// Which of the provider's bills that is.
    pub bill_kind: Option<String>,
}

/// A refund, and its payment's references.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RefundRecord {
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: RefundId,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference.
    pub provider_ref: Option<String>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: RefundState,
    /// What goes back.
    pub amount: i64,
    /// Of this currency.
    #[sqlx(try_from = "String")]
    pub currency: Currency,
    /// When it succeeded.
    pub succeeded_at: Option<i64>,
    /// The bill that has settled it.
    pub bill_id: Option<String>,
    /// That bill's line.
    pub bill_line: Option<i64>,
    /// Which of the provider's bills that is.
    pub bill_kind: Option<String>,
    /// Our reference of its payment.
    pub payment_reference: String,
    /// The provider's reference of its payment.
    pub payment_provider_ref: Option<String>,
}

/// Whose records, of which account.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The merchant.
    pub merchant: MerchantId,
    /// The account.
    pub account: AccountId,
}

/// A stretch of time that is read page by page: behind (`from`, `after`), before `until`, microseconds.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Where the last page ended.
    pub from: i64,
    /// The last page's last id; empty at first.
    pub after: String,
    /// Where to end.
    pub until: i64,
    /// Rows of a page.
    pub limit: i64,
}

/// A page of the payments that succeeded in a stretch.
pub async fn payments_between(
    sql: &mut Sql,
    owner: Owner,
    stretch: &Stretch,
) -> Result<Vec<PaymentRecord>, StoreError> {
    Ok(sqlx::query_as(PAYMENTS_BETWEEN)
        .bind(owner.merchant.to_string())
        .bind(owner.account.to_string())
        .bind(stretch.from)
        .bind(stretch.after.as_str())
        .bind(stretch.until)
        .bind(stretch.limit)
        .fetch_all(sql)
        .await?)
}

/// A page of the refunds that succeeded in a stretch, without those that only sums told of and others turned out to be.
pub async fn refunds_between(
    sql: &mut Sql,
    owner: Owner,
    stretch: &Stretch,
) -> Result<Vec<RefundRecord>, StoreError> {
    Ok(sqlx::query_as(REFUNDS_BETWEEN)
        .bind(owner.merchant.to_string())
        .bind(owner.account.to_string())
        .bind(stretch.from)
        .bind(stretch.after.as_str())
        .bind(stretch.until)
        .bind(stretch.limit)
        .fetch_all(sql)
        .await?)
}

/// The payment of a row's references: by ours, else by theirs.
pub async fn payment(
    sql: &mut Sql,
    owner: Owner,
    ours: Option<&str>,
    theirs: Option<&str>,
) -> Result<Option<PaymentRecord>, StoreError> {
    for (statement, reference) in [(PAYMENT_BY_OURS, ours), (PAYMENT_BY_THEIRS, theirs)] {
        let Some(reference) = reference else { continue };
        let found: Option<PaymentRecord> = sqlx::query_as(statement)
            .bind(owner.merchant.to_string())
            .bind(owner.account.to_string())
            .bind(reference)
            .fetch_optional(&mut *sql)
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The refund of a row's references: by ours, else by theirs.
pub async fn refund(
    sql: &mut Sql,
    owner: Owner,
    ours: Option<&str>,
    theirs: Option<&str>,
) -> Result<Option<RefundRecord>, StoreError> {
    for (statement, reference) in [(REFUND_BY_OURS, ours), (REFUND_BY_THEIRS, theirs)] {
        let Some(reference) = reference else { continue };
        let found: Option<RefundRecord> = sqlx::query_as(statement)
            .bind(owner.merchant.to_string())
            .bind(owner.account.to_string())
            .bind(reference)
            .fetch_optional(&mut *sql)
            .await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}
