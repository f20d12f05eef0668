//! Keys that a provider handed over, sealed, so that every replica has them; and when each may be asked for again.

use tollgate_domain::ids::{AccountId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const PUT: &str = "INSERT INTO fetched_keys (merchant_id, account_id, slot, key_id, value, fetched_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (merchant_id, account_id, slot, key_id) DO UPDATE SET \
     value = excluded.value, fetched_at = excluded.fetched_at, expires_at = excluded.expires_at";
const ALL: &str = "SELECT slot, key_id, value, fetched_at, expires_at FROM fetched_keys \
     WHERE merchant_id = $1 AND account_id = $2 AND expires_at > $3 ORDER BY fetched_at, key_id";
const SWEEP: &str =
    "DELETE FROM fetched_keys WHERE merchant_id = $1 AND account_id = $2 AND expires_at <= $3";
const TRIES: &str = "SELECT failures, next_at FROM key_fetches \
     WHERE merchant_id = $1 AND account_id = $2 AND slot = $3 AND cause = $4";
const BEGIN: &str = "INSERT INTO key_fetches (merchant_id, account_id, slot, cause, failures, next_at) \
     VALUES ($1, $2, $3, $4, $5 + 1, $6) ON CONFLICT (merchant_id, account_id, slot, cause) DO UPDATE SET \
     failures = excluded.failures, next_at = excluded.next_at WHERE key_fetches.failures = $5 AND key_fetches.next_at <= $7";
const SUCCEED: &str = "UPDATE key_fetches SET failures = 0 \
     WHERE merchant_id = $1 AND account_id = $2 AND slot = $3 AND cause = $4";

/// Whose slot, and why it is filled.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Owner of the account.
    pub merchant: MerchantId,
    /// The account.
    pub account: AccountId,
    /// The slot.
    pub slot: &'a str,
    /// A word of [`crate::flows::keyring::Cause`].
    pub cause: &'a str,
}

/// A row of `fetched_keys`.
#[derive(Clone, sqlx::FromRow)]
pub struct FetchedRow {
    /// The slot that it is in.
    pub slot: String,
    /// The provider's name for it; empty for a token.
    pub key_id: String,
    /// Sealed.
    pub value: Vec<u8>,
    /// When it came.
    #[sqlx(try_from = "i64")]
    pub fetched_at: Moment,
    /// Until when it is worth anything.
    #[sqlx(try_from = "i64")]
    pub expires_at: Moment,
}

/// Keeps a key in place of the one of that name, and drops what has expired.
pub async fn put(sql: &mut Sql, place: Place<'_>, row: &FetchedRow) -> Result<(), StoreError> {
    sqlx::query(SWEEP)
        .bind(place.merchant.to_string())
        .bind(place.account.to_string())
        .bind(row.fetched_at.0)
        .execute(&mut *sql)
        .await?;
    sqlx::query(PUT)
        .bind(place.merchant.to_string())
        .bind(place.account.to_string())
        .bind(row.slot.as_str())
        .bind(row.key_id.as_str())
        .bind(row.value.as_slice())
        .bind(row.fetched_at.0)
        .bind(row.expires_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// An account's keys that are worth something now, oldest first.
pub async fn all(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    now: Moment,
) -> Result<Vec<FetchedRow>, StoreError> {
    Ok(sqlx::query_as(ALL)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(now.0)
        .fetch_all(sql)
        .await?)
}

/// Takes the right to ask now, unless somebody did so too short a time ago. `gap_ms` says how long to wait after so many
/// failures in a row; this try counts as one until [`succeed`].
pub async fn begin(
    sql: &mut Sql,
    place: Place<'_>,
    now: Moment,
    gap_ms: impl Fn(i64) -> i64,
) -> Result<bool, StoreError> {
    let tries: Option<(i64, i64)> = sqlx::query_as(TRIES)
        .bind(place.merchant.to_string())
        .bind(place.account.to_string())
        .bind(place.slot)
        .bind(place.cause)
        .fetch_optional(&mut *sql)
        .await?;
    let failures = tries.map_or(0, |(failures, _)| failures);
    let begun = sqlx::query(BEGIN)
        .bind(place.merchant.to_string())
        .bind(place.account.to_string())
        .bind(place.slot)
        .bind(place.cause)
        .bind(failures)
        .bind(now.plus_millis(gap_ms(failures)).0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(begun.rows_affected() == 1)
}

/// The try that was begun brought what it was for.
pub async fn succeed(sql: &mut Sql, place: Place<'_>) -> Result<(), StoreError> {
    sqlx::query(SUCCEED)
        .bind(place.merchant.to_string())
        .bind(place.account.to_string())
        .bind(place.slot)
        .bind(place.cause)
        .execute(sql)
        .await?;
    Ok(())
}
