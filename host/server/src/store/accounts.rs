//! Accounts: a merchant's standing with a provider.

use tollgate_domain::ids::{AccountId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO accounts (merchant_id, id, plugin, name, live, simulator, settings, origins, \
     secrets, slots, granted, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const SET_GRANTED: &str = "UPDATE accounts SET granted = $3 WHERE merchant_id = $1 AND id = $2";
/// Names what was read, so that a change made meanwhile is not lost.
const RESEAL: &str =
    "UPDATE accounts SET secrets = $4 WHERE merchant_id = $1 AND id = $2 AND secrets = $3";
const GET: &str = "SELECT * FROM accounts WHERE merchant_id = $1 AND id = $2";
const BY_ADDRESS: &str = "SELECT * FROM accounts WHERE id = $1";
const LIST: &str = "SELECT * FROM accounts WHERE merchant_id = $1 ORDER BY id";
const ALL: &str = "SELECT * FROM accounts ORDER BY id";

/// A row of `accounts`.
#[derive(Clone, sqlx::FromRow)]
pub struct AccountRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: AccountId,
    /// The plugin that speaks for it.
    pub plugin: String,
    /// What the merchant calls it.
    pub name: String,
    /// 1: real money.
    pub live: i64,
    /// 1: at a simulator on this machine.
    pub simulator: i64,
    /// JSON: public settings by name.
    pub settings: String,
    /// JSON: base addresses of a simulator by name.
    pub origins: String,
    /// Sealed secrets.
    pub secrets: Vec<u8>,
    /// JSON: number of keys by slot.
    pub slots: String,
    /// JSON: what the plugin may do with them, as `tollgate_plugin::permissions` words it.
    pub granted: String,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
}

/// Writes an account.
pub async fn insert(sql: &mut Sql, row: &AccountRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.plugin.as_str())
        .bind(row.name.as_str())
        .bind(row.live)
        .bind(row.simulator)
        .bind(row.settings.as_str())
        .bind(row.origins.as_str())
        .bind(row.secrets.as_slice())
        .bind(row.slots.as_str())
        .bind(row.granted.as_str())
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Writes what an account's plugin may do from now on.
pub async fn set_granted(
    sql: &mut Sql,
    merchant: MerchantId,
    id: AccountId,
    granted: &str,
) -> Result<(), StoreError> {
    sqlx::query(SET_GRANTED)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(granted)
        .execute(sql)
        .await?;
    Ok(())
}

/// Writes an account's secrets as another key sealed them. False: they were changed meanwhile.
pub async fn reseal(sql: &mut Sql, row: &AccountRow, sealed: &[u8]) -> Result<bool, StoreError> {
    let done = sqlx::query(RESEAL)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.secrets.as_slice())
        .bind(sealed)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A merchant's account.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: AccountId,
) -> Result<Option<AccountRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// The account that a provider's message is addressed to, whoever owns it.
pub async fn by_address(sql: &mut Sql, id: AccountId) -> Result<Option<AccountRow>, StoreError> {
    Ok(sqlx::query_as(BY_ADDRESS).bind(id.to_string()).fetch_optional(sql).await?)
}

/// All accounts of a merchant, oldest first.
pub async fn list(sql: &mut Sql, merchant: MerchantId) -> Result<Vec<AccountRow>, StoreError> {
    Ok(sqlx::query_as(LIST).bind(merchant.to_string()).fetch_all(sql).await?)
}

/// All accounts of everybody, oldest first: for the daily bills.
pub async fn all(sql: &mut Sql) -> Result<Vec<AccountRow>, StoreError> {
    Ok(sqlx::query_as(ALL).fetch_all(sql).await?)
}
