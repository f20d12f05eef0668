//! Requests under an idempotency key: who runs one, what it made, and what was answered.
//!
//! A row is claimed by its insert, or by counting its fence up once the lease of whoever ran it is over. Everything
//! written later names the fence, so that a runner who was given up changes nothing. Fences begin at the time of the
//! claim: one of a row that was withdrawn is none of the row that took its place.

use tollgate_domain::ids::MerchantId;
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const FORGET: &str = "DELETE FROM keyed_requests WHERE merchant_id = $1 AND route = $2 AND key = $3 \
     AND expires_at <= $4 AND leased_until <= $4";
const INSERT: &str = "INSERT INTO keyed_requests (merchant_id, route, key, fingerprint, fence, leased_until, \
     expires_at, created_at) VALUES ($1, $2, $3, $4, $7, $5, $6, $7) \
     ON CONFLICT (merchant_id, route, key) DO NOTHING";
const GET: &str = "SELECT * FROM keyed_requests WHERE merchant_id = $1 AND route = $2 AND key = $3";
const TAKE_UP: &str = "UPDATE keyed_requests SET fence = fence + 1, leased_until = $5 \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND fence = $4 AND leased_until <= $6 AND answer IS NULL";
const NOTE: &str = "UPDATE keyed_requests SET made = $5 \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND fence = $4 AND answer IS NULL";
const ANSWER: &str = "UPDATE keyed_requests SET answer = $5, leased_until = 0 \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND fence = $4 AND answer IS NULL";
/// What something was made by stays, so that a retry finds it.
const LET_GO: &str = "UPDATE keyed_requests SET leased_until = 0 \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND fence = $4 AND answer IS NULL AND made IS NOT NULL";
const WITHDRAW: &str = "DELETE FROM keyed_requests \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND fence = $4 AND answer IS NULL AND made IS NULL";
const ANSWERED: &str = "SELECT * FROM keyed_requests WHERE (merchant_id, route, key) > ($1, $2, $3) \
     AND answer IS NOT NULL ORDER BY merchant_id, route, key LIMIT $4";
/// Names what was read, so that what took its place meanwhile stays.
const RESEAL: &str = "UPDATE keyed_requests SET answer = $5 \
     WHERE merchant_id = $1 AND route = $2 AND key = $3 AND answer = $4";
const SWEEP: &str = "DELETE FROM keyed_requests WHERE (merchant_id, route, key) IN \
     (SELECT merchant_id, route, key FROM keyed_requests WHERE expires_at <= $1 AND leased_until <= $1 LIMIT $2)";

/// A row of `keyed_requests`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RequestRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Method and path as the route table writes them.
    pub route: String,
    /// The merchant's key.
    pub key: String,
    /// SHA-256 of address and body, hex.
    pub fingerprint: String,
    /// Counts who took it up.
    pub fence: i64,
    /// Until then nobody else takes it up.
    #[sqlx(try_from = "i64")]
    pub leased_until: Moment,
    /// Id of what it made.
    pub made: Option<String>,
    /// Sealed answer.
    pub answer: Option<Vec<u8>>,
}

/// One row by its key.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Owner.
    pub merchant: MerchantId,
    /// Method and path as the route table writes them.
    pub route: &'a str,
    /// The merchant's key.
    pub key: &'a str,
}

/// Times of a claim.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Now.
    pub now: Moment,
    /// The lease's end.
    pub leased_until: Moment,
    /// From when on the key is a new one.
    pub expires_at: Moment,
}

/// Claims a key that nobody used, or whose time is over. False: a row is there.
pub async fn insert(
    sql: &mut Sql,
    place: Place<'_>,
    fingerprint: &str,
    times: Times,
) -> Result<bool, StoreError> {
    at(FORGET, place).bind(times.now.0).execute(&mut *sql).await?;
    let done = at(INSERT, place)
        .bind(fingerprint)
        .bind(times.leased_until.0)
        .bind(times.expires_at.0)
        .bind(times.now.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// A merchant's request by its key.
pub async fn get(sql: &mut Sql, place: Place<'_>) -> Result<Option<RequestRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(place.merchant.to_string())
        .bind(place.route)
        .bind(place.key)
        .fetch_optional(sql)
        .await?)
}

/// Takes a request up whose runner's lease is over. False: somebody else did, or it was answered.
pub async fn take_up(
    sql: &mut Sql,
    place: Place<'_>,
    fence: i64,
    times: Times,
) -> Result<bool, StoreError> {
    let take_up = at(TAKE_UP, place).bind(fence).bind(times.leased_until.0).bind(times.now.0);
    Ok(take_up.execute(sql).await?.rows_affected() == 1)
}

/// Notes what the request made. False: somebody else runs it by now.
pub async fn note(
    sql: &mut Sql,
    place: Place<'_>,
    fence: i64,
    made: &str,
) -> Result<bool, StoreError> {
    Ok(at(NOTE, place).bind(fence).bind(made).execute(sql).await?.rows_affected() == 1)
}

/// Keeps the answer. False: somebody else runs it by now, or answered it.
pub async fn answer(
    sql: &mut Sql,
    place: Place<'_>,
    fence: i64,
    answer: &[u8],
) -> Result<bool, StoreError> {
    Ok(at(ANSWER, place).bind(fence).bind(answer).execute(sql).await?.rows_affected() == 1)
}

/// Lets a request go that came to no answer worth keeping: the next one under its key runs at once.
pub async fn let_go(sql: &mut Sql, place: Place<'_>, fence: i64) -> Result<(), StoreError> {
    at(WITHDRAW, place).bind(fence).execute(&mut *sql).await?;
    at(LET_GO, place).bind(fence).execute(sql).await?;
    Ok(())
}

/// Removes up to `most` requests whose time is over; tells how many.
pub async fn sweep(sql: &mut Sql, now: Moment, most: i64) -> Result<u64, StoreError> {
    Ok(sqlx::query(SWEEP).bind(now.0).bind(most).execute(sql).await?.rows_affected())
}

/// Up to `most` answered requests after this place, in order, whoever owns them.
pub async fn answered(
    sql: &mut Sql,
    (merchant, route, key): (&str, &str, &str),
    most: i64,
) -> Result<Vec<RequestRow>, StoreError> {
    let rows = sqlx::query_as(ANSWERED).bind(merchant).bind(route).bind(key).bind(most);
    Ok(rows.fetch_all(sql).await?)
}

/// Writes an answer as another key sealed it, if it is still the one that was read.
pub async fn reseal(
    sql: &mut Sql,
    place: Place<'_>,
    read: &[u8],
    sealed: &[u8],
) -> Result<(), StoreError> {
    at(RESEAL, place).bind(read).bind(sealed).execute(sql).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn at<'q>(statement: &'static str, place: Place<'q>) -> Query<'q> {
    sqlx::query(statement).bind(place.merchant.to_string()).bind(place.route).bind(place.key)
}
