//! Merchants: who uses the gateway, and what they demand of it.

use tollgate_domain::ids::MerchantId;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str =
    "INSERT INTO merchants (id, name, demands_keys, created_at) VALUES ($1, $2, $3, $4)";
const FIRST: &str = "SELECT id FROM merchants ORDER BY created_at, id LIMIT 1";
const GET: &str = "SELECT * FROM merchants WHERE id = $1";
const ALL: &str = "SELECT * FROM merchants ORDER BY created_at, id";
const UPDATE: &str = "UPDATE merchants SET name = $2, demands_keys = $3 WHERE id = $1";

/// A row of `merchants`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MerchantRow {
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: MerchantId,
    /// What operators call it.
    pub name: String,
    /// 1: a POST without an idempotency key is refused.
    pub demands_keys: i64,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
}

/// Writes a merchant.
pub async fn insert(sql: &mut Sql, row: &MerchantRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.id.to_string())
        .bind(row.name.as_str())
        .bind(row.demands_keys)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// The oldest merchant, if there is one.
pub async fn first(sql: &mut Sql) -> Result<Option<MerchantId>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as(FIRST).fetch_optional(sql).await?;
    row.map(|(id,)| {
        id.parse().map_err(|_| StoreError::Inconsistent {
            table: "merchants",
            column: "id",
            row: id.clone(),
        })
    })
    .transpose()
}

/// A merchant.
pub async fn get(sql: &mut Sql, id: MerchantId) -> Result<Option<MerchantRow>, StoreError> {
    Ok(sqlx::query_as(GET).bind(id.to_string()).fetch_optional(sql).await?)
}

/// Every merchant, oldest first: for the operator.
pub async fn all(sql: &mut Sql) -> Result<Vec<MerchantRow>, StoreError> {
    Ok(sqlx::query_as(ALL).fetch_all(sql).await?)
}

/// Writes a merchant's name and demands.
pub async fn update(sql: &mut Sql, row: &MerchantRow) -> Result<(), StoreError> {
    sqlx::query(UPDATE)
        .bind(row.id.to_string())
        .bind(row.name.as_str())
        .bind(row.demands_keys)
        .execute(sql)
        .await?;
    Ok(())
}
