//! Every request to a provider with its answer, secrets redacted: what happened, and what a replay needs.

use tollgate_domain::ids::{AccountId, ExchangeId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO exchanges (merchant_id, id, account_id, subject_id, operation, record, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// A row of `exchanges`.
pub struct ExchangeRow<'a> {
    /// Owner.
    pub merchant_id: MerchantId,
    /// Id.
    pub id: ExchangeId,
    /// The account that it went through.
    pub account_id: AccountId,
    /// The payment, refund, bill or message that it served.
    pub subject_id: &'a str,
    /// The operation in the contract's words.
    pub operation: &'a str,
    /// JSON of `tollgate_plugin::Exchange`.
    pub record: &'a str,
    /// When it ended.
    pub created_at: Moment,
}

/// Writes a record.
pub async fn insert(sql: &mut Sql, row: &ExchangeRow<'_>) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.subject_id)
        .bind(row.operation)
        .bind(row.record)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}
