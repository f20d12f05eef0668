//! API keys: kept as hashes, each with what it may do and until when.

use tollgate_domain::ids::{ApiKeyId, MerchantId};
use tollgate_domain::scope::Scopes;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO api_keys (merchant_id, id, hash, hint, name, scopes, per_second, expires_at, \
     created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const BY_HASH: &str = "SELECT k.merchant_id, k.id, k.scopes, k.per_second, k.expires_at, m.demands_keys \
     FROM api_keys k JOIN merchants m ON m.id = k.merchant_id \
     WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)";
const GET: &str = "SELECT * FROM api_keys WHERE merchant_id = $1 AND id = $2";
const OWNER: &str = "SELECT * FROM api_keys WHERE id = $1";
const LIST: &str =
    "SELECT * FROM api_keys WHERE merchant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
/// Of two generations the older one: it still lives, and names this key as the one that replaces it.
const PREDECESSOR: &str = "SELECT * FROM api_keys WHERE merchant_id = $1 AND successor = $2 AND revoked_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $3)";
const REVOKE: &str =
    "UPDATE api_keys SET revoked_at = $3 WHERE merchant_id = $1 AND id = $2 AND revoked_at IS NULL";
const REPLACE: &str = "UPDATE api_keys SET successor = $3, \
     expires_at = CASE WHEN expires_at IS NULL OR expires_at > $4 THEN $4 ELSE expires_at END \
     WHERE merchant_id = $1 AND id = $2 AND successor IS NULL AND revoked_at IS NULL \
     AND (expires_at IS NULL OR expires_at > $5)";
const SET_SECRET: &str = "UPDATE api_keys SET hash = $3, hint = $4 WHERE merchant_id = $1 AND id = $2 AND revoked_at IS NULL";

/// A row of `api_keys`, without the hash, which nobody needs to see again.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct KeyRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: ApiKeyId,
    /// Its first characters, to tell keys apart.
    pub hint: String,
    /// What the merchant calls it.
    pub name: String,
    /// What it may do.
    #[sqlx(try_from = "String")]
    pub scopes: Scopes,
    /// How many requests a second it may make; none: as many as the configuration says.
    pub per_second: Option<i64>,
    /// When it ends, in microseconds.
    pub expires_at: Option<i64>,
    /// When it was ended before its time.
    pub revoked_at: Option<i64>,
    /// The key that replaces it.
    pub successor: Option<String>,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
}

/// Who holds a key that lives.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Holder {
    /// The merchant.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// The key.
    #[sqlx(try_from = "String")]
    pub id: ApiKeyId,
    /// What it may do.
    #[sqlx(try_from = "String")]
    pub scopes: Scopes,
    /// How many requests a second it may make; none: as many as the configuration says.
    pub per_second: Option<i64>,
    /// When it ends, in microseconds.
    pub expires_at: Option<i64>,
    /// 1: the merchant wants no POST without an idempotency key.
    pub demands_keys: i64,
}

/// What a key is found by, and its first characters: all that is kept of it.
#[derive(Clone, Debug)]
pub struct Trace {
    /// SHA-256, hex.
    pub hash: String,
    /// Its first characters.
    pub hint: String,
}

/// Writes a new key.
pub async fn insert(sql: &mut Sql, row: &KeyRow, trace: &Trace) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(trace.hash.as_str())
        .bind(trace.hint.as_str())
        .bind(row.name.as_str())
        .bind(row.scopes.to_string())
        .bind(row.per_second)
        .bind(row.expires_at)
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Who holds the key with this hash, if it lives at `now`.
pub async fn by_hash(sql: &mut Sql, hash: &str, now: Moment) -> Result<Option<Holder>, StoreError> {
    Ok(sqlx::query_as(BY_HASH).bind(hash).bind(now.0).fetch_optional(sql).await?)
}

/// A merchant's key.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ApiKeyId,
) -> Result<Option<KeyRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// A key, whoever owns it: for the operator.
pub async fn anybodys(sql: &mut Sql, id: ApiKeyId) -> Result<Option<KeyRow>, StoreError> {
    Ok(sqlx::query_as(OWNER).bind(id.to_string()).fetch_optional(sql).await?)
}

/// A merchant's keys with ids before `before`, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    before: &str,
    limit: i64,
) -> Result<Vec<KeyRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(before)
        .bind(limit)
        .fetch_all(sql)
        .await?)
}

/// The key that this one replaces, if it still lives.
pub async fn predecessor(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ApiKeyId,
    now: Moment,
) -> Result<Option<KeyRow>, StoreError> {
    Ok(sqlx::query_as(PREDECESSOR)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(now.0)
        .fetch_optional(sql)
        .await?)
}

/// Ends a key now. One that was ended before keeps its time.
pub async fn revoke(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ApiKeyId,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(REVOKE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Names the key that replaces this one, which ends at `end` or before. False: it is replaced already, or over.
pub async fn replace(
    sql: &mut Sql,
    old: &KeyRow,
    successor: ApiKeyId,
    end: Moment,
    now: Moment,
) -> Result<bool, StoreError> {
    let done = sqlx::query(REPLACE)
        .bind(old.merchant_id.to_string())
        .bind(old.id.to_string())
        .bind(successor.to_string())
        .bind(end.0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives a key another secret: for one whose first nobody was ever told. False: it was revoked.
pub async fn set_secret(
    sql: &mut Sql,
    merchant: MerchantId,
    id: ApiKeyId,
    trace: &Trace,
) -> Result<bool, StoreError> {
    let done = sqlx::query(SET_SECRET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(trace.hash.as_str())
        .bind(trace.hint.as_str())
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}
