//! Payments and refunds of a stretch of time whose end is not known.

use super::records::{Owner, Stretch};
use crate::store::{Sql, StoreError};

const PAYMENTS: &str = "SELECT id, created_at FROM payments WHERE merchant_id = $1 AND account_id = $2 \
     AND state IN ('created', 'pending', 'unknown', 'approved', 'authorized') \
     AND (created_at, id) > ($3, $4) AND created_at < $5 ORDER BY created_at, id LIMIT $6";
const REFUNDS: &str = "SELECT id, created_at FROM refunds WHERE merchant_id = $1 AND account_id = $2 \
     AND succeeded_at IS NULL AND state IN ('requested', 'pending', 'unknown', 'needs_action') \
     AND (created_at, id) > ($3, $4) AND created_at < $5 ORDER BY created_at, id LIMIT $6";

/// One of them: its id, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct OpenRow {
    /// Id.
    pub id: String,
    /// Microseconds.
    pub created_at: i64,
}

/// A page of the payments made in a stretch that may still take money.
pub async fn payments(
    sql: &mut Sql,
    owner: Owner,
    stretch: &Stretch,
) -> Result<Vec<OpenRow>, StoreError> {
    page(sql, PAYMENTS, owner, stretch).await
}

/// A page of the refunds asked for in a stretch that may still give money back.
pub async fn refunds(
    sql: &mut Sql,
    owner: Owner,
    stretch: &Stretch,
) -> Result<Vec<OpenRow>, StoreError> {
    page(sql, REFUNDS, owner, stretch).await
}

async fn page(
    sql: &mut Sql,
    statement: &'static str,
    owner: Owner,
    stretch: &Stretch,
) -> Result<Vec<OpenRow>, StoreError> {
    Ok(sqlx::query_as(statement)
        .bind(owner.merchant.to_string())
        .bind(owner.account.to_string())
        .bind(stretch.from)
        .bind(stretch.after.as_str())
        .bind(stretch.until)
        .bind(stretch.limit)
        .fetch_all(sql)
        .await?)
}
