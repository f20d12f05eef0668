//! Tries of operations: which one is next, and whether the provider has answered it for good. No row: the first one is, and it
//! may still act.

use tollgate_domain::ids::MerchantId;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const OF: &str =
    "SELECT operation, number, spent_from FROM tries WHERE merchant_id = $1 AND subject_id = $2";
const SPEND: &str = "INSERT INTO tries (merchant_id, subject_id, operation, number, spent_from) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (merchant_id, subject_id, operation) DO UPDATE SET spent_from = excluded.spent_from \
     WHERE tries.number = excluded.number AND tries.spent_from IS NULL";
const RENEW: &str = "UPDATE tries SET number = number + 1, spent_from = NULL \
     WHERE merchant_id = $1 AND subject_id = $2 AND operation = $3 AND number = $4 AND spent_from IS NOT NULL";

/// A row of `tries`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct TryRow {
    /// Which operation, as the contract names it.
    pub operation: String,
    /// How many tries were given up before it.
    pub number: i64,
    /// From when on nothing that comes under its key can act, and what it did shows; none: it may still act.
    pub spent_from: Option<i64>,
}

/// The tries of operations on `subject`.
pub async fn of(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
) -> Result<Vec<TryRow>, StoreError> {
    Ok(sqlx::query_as(OF).bind(merchant.to_string()).bind(subject).fetch_all(sql).await?)
}

/// Notes that a try was answered for good, unless another one has taken its place.
pub async fn spend(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
    (operation, number): (&str, i64),
    from: Moment,
) -> Result<(), StoreError> {
    sqlx::query(SPEND)
        .bind(merchant.to_string())
        .bind(subject)
        .bind(operation)
        .bind(number)
        .bind(from.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Has another try take the place of one that is spent.
pub async fn renew(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
    row: &TryRow,
) -> Result<(), StoreError> {
    sqlx::query(RENEW)
        .bind(merchant.to_string())
        .bind(subject)
        .bind(row.operation.as_str())
        .bind(row.number)
        .execute(sql)
        .await?;
    Ok(())
}
