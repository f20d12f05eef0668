//! Merchants and their API keys.

use sqlx::AnyConnection;
use tollgate_domain::ids::{ApiKeyId, MerchantId};
use tollgate_domain::time::Moment;

use super::StoreError;

const INSERT: &str = "INSERT INTO merchants (id, name, created_at) VALUES ($1, $2, $3)";
const INSERT_KEY: &str =
    "INSERT INTO api_keys (id, merchant_id, hash, hint, created_at) VALUES ($1, $2, $3, $4, $5)";
const FIRST: &str = "SELECT id FROM merchants ORDER BY created_at LIMIT 1";
const BY_KEY: &str = "SELECT merchant_id FROM api_keys WHERE hash = $1";

/// A merchant's name and the hash of its first key.
pub struct NewMerchant<'a> {
    /// Its id.
    pub id: MerchantId,
    /// What operators call it.
    pub name: &'a str,
    /// The key's id.
    pub key_id: ApiKeyId,
    /// SHA-256 of the key, hex.
    pub key_hash: &'a str,
    /// The key's first characters.
    pub key_hint: &'a str,
}

/// Writes a merchant with its first key.
pub async fn insert(
    sql: &mut AnyConnection,
    new: &NewMerchant<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(new.id.to_string())
        .bind(new.name)
        .bind(now.0)
        .execute(&mut *sql)
        .await?;
    sqlx::query(INSERT_KEY)
        .bind(new.key_id.to_string())
        .bind(new.id.to_string())
        .bind(new.key_hash)
        .bind(new.key_hint)
        .bind(now.0)
        .execute(&mut *sql)
        .await?;
    Ok(())
}

/// The oldest merchant, if there is one.
pub async fn first(sql: &mut AnyConnection) -> Result<Option<MerchantId>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as(FIRST).fetch_optional(sql).await?;
    row.map(|(id,)| parse(&id)).transpose()
}

/// Whose key has this hash.
pub async fn by_key_hash(
    sql: &mut AnyConnection,
    hash: &str,
) -> Result<Option<MerchantId>, StoreError> {
    let row: Option<(String,)> = sqlx::query_as(BY_KEY).bind(hash).fetch_optional(sql).await?;
    row.map(|(id,)| parse(&id)).transpose()
}

fn parse(id: &str) -> Result<MerchantId, StoreError> {
    id.parse().map_err(|_| StoreError::Inconsistent {
        table: "merchants",
        column: "id",
        row: id.to_owned(),
    })
}
