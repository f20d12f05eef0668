//! Operations that a provider needs time for: what the plugin goes on with, and when.

use tollgate_domain::ids::MerchantId;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const PUT: &str = "INSERT INTO pauses (merchant_id, subject_id, operation, state, due_at) VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (merchant_id, subject_id, operation) DO UPDATE SET state = excluded.state, due_at = excluded.due_at";
const OF: &str = "SELECT operation, state, due_at FROM pauses WHERE merchant_id = $1 AND subject_id = $2 \
     ORDER BY due_at, operation";
const END: &str =
    "DELETE FROM pauses WHERE merchant_id = $1 AND subject_id = $2 AND operation = $3";

/// A row of `pauses`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PauseRow {
    /// Which operation, as the contract names it.
    pub operation: String,
    /// What the plugin goes on with.
    pub state: Vec<u8>,
    /// Not before.
    #[sqlx(try_from = "i64")]
    pub due_at: Moment,
}

/// Keeps where an operation on `subject` stands, in place of where it stood.
pub async fn put(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
    row: &PauseRow,
) -> Result<(), StoreError> {
    sqlx::query(PUT)
        .bind(merchant.to_string())
        .bind(subject)
        .bind(row.operation.as_str())
        .bind(row.state.as_slice())
        .bind(row.due_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// The operations on `subject` that wait, the one that is due first in front.
pub async fn of(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
) -> Result<Vec<PauseRow>, StoreError> {
    Ok(sqlx::query_as(OF).bind(merchant.to_string()).bind(subject).fetch_all(sql).await?)
}

/// Forgets that an operation waits.
pub async fn end(
    sql: &mut Sql,
    merchant: MerchantId,
    subject: &str,
    operation: &str,
) -> Result<(), StoreError> {
    sqlx::query(END).bind(merchant.to_string()).bind(subject).bind(operation).execute(sql).await?;
    Ok(())
}
