//! Deliveries: the outbox of events, a row for each event and endpoint, and how each try went.

use tollgate_domain::delivery::{Delivery, DeliveryState};
use tollgate_domain::ids::{DeliveryId, EndpointId, EventId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO deliveries (merchant_id, id, endpoint_id, event_id, state, tries, attempts, next_at, \
     created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $8)";
const GET: &str = "SELECT * FROM deliveries WHERE merchant_id = $1 AND id = $2";
/// All, or those of an event: each by an index of its own. The inner limit, which is none, keeps SQLite from going
/// through all of a merchant's deliveries in the order of their ids.
pub(super) const LIST: &str = "SELECT * FROM deliveries WHERE $5 = '' AND merchant_id = $1 AND id < $2 \
     AND ($3 = '' OR endpoint_id = $3) AND ($4 = '' OR state = $4) \
     UNION ALL SELECT * FROM (SELECT * FROM deliveries WHERE merchant_id = $1 AND event_id = $5 LIMIT 9223372036854775807) \
     AS of_event WHERE id < $2 AND ($3 = '' OR endpoint_id = $3) AND ($4 = '' OR state = $4) ORDER BY id DESC LIMIT $6";
const DUE: &str = "SELECT * FROM deliveries WHERE merchant_id = $1 AND endpoint_id = $2 AND state = 'pending' \
     AND next_at <= $3 ORDER BY next_at, id LIMIT $4";
const NEXT: &str = "SELECT min(next_at) FROM deliveries WHERE merchant_id = $1 AND endpoint_id = $2 \
     AND state = 'pending'";
const SETTLE: &str = "UPDATE deliveries SET state = $5, tries = $6, next_at = $7, reason = $8, delivered_at = $9, \
     attempts = attempts + 1, updated_at = $10 WHERE merchant_id = $1 AND id = $2 AND state = 'pending' \
     AND tries = $3 AND attempts = $4";
const PARK_ALL: &str = "UPDATE deliveries SET state = 'parked', reason = $3, updated_at = $4 \
     WHERE merchant_id = $1 AND endpoint_id = $2 AND state = 'pending'";
const REPLAY: &str = "UPDATE deliveries SET state = 'pending', tries = 0, next_at = $3, updated_at = $3 \
     WHERE merchant_id = $1 AND id = $2";
const REPLAY_SINCE: &str = "UPDATE deliveries SET state = 'pending', tries = 0, next_at = $4, updated_at = $4 \
     WHERE merchant_id = $1 AND endpoint_id = $2 AND state = 'parked' AND created_at >= $3";
const RECORD: &str = "INSERT INTO delivery_attempts (merchant_id, delivery_id, number, at, took_ms, status, reply, \
     failure) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const FORGET: &str =
    "DELETE FROM delivery_attempts WHERE merchant_id = $1 AND delivery_id = $2 AND number <= $3";
const ATTEMPTS: &str =
    "SELECT * FROM delivery_attempts WHERE merchant_id = $1 AND delivery_id = $2 ORDER BY number";

/// So many tries of a delivery are kept, the newest ones.
const KEPT_ATTEMPTS: i64 = 50;

/// A row of `deliveries`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DeliveryRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: DeliveryId,
    /// To whom.
    #[sqlx(try_from = "String")]
    pub endpoint_id: EndpointId,
    /// What. The endpoint knows the message by this, however often it comes.
    #[sqlx(try_from = "String")]
    pub event_id: EventId,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: DeliveryState,
    /// Why the last try failed, or why it is parked.
    pub reason: Option<String>,
    /// How often it was tried since it was made or replayed.
    pub tries: i64,
    /// How often in all.
    pub attempts: i64,
    /// When it is to be tried next, while it is pending.
    #[sqlx(try_from = "i64")]
    pub next_at: Moment,
    /// When the endpoint took it.
    pub delivered_at: Option<i64>,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

impl DeliveryRow {
    /// What the rules need to know of it.
    pub fn rules(&self) -> Delivery {
        Delivery { state: self.state, tries: self.tries, next_at: self.next_at }
    }
}

/// A row of `delivery_attempts`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct AttemptRow {
    /// Counts from 1.
    pub number: i64,
    /// When it began.
    #[sqlx(try_from = "i64")]
    pub at: Moment,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// The HTTP status, if there was one.
    pub status: Option<i64>,
    /// How the answer's body began.
    pub reply: String,
    /// Why there was no answer.
    pub failure: Option<String>,
}

/// Which deliveries a list wants; empty: any.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// To this endpoint.
    pub endpoint: String,
    /// In this state.
    pub state: String,
    /// Of this event.
    pub event: String,
}

/// Writes a new delivery.
pub async fn insert(
    sql: &mut Sql,
    merchant: MerchantId,
    id: DeliveryId,
    (endpoint, event): (EndpointId, EventId),
    delivery: Delivery,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(endpoint.to_string())
        .bind(event.to_string())
        .bind(delivery.state.as_str())
        .bind(delivery.tries)
        .bind(delivery.next_at.0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's delivery.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, StoreError> {
    let get = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    Ok(get.fetch_optional(sql).await?)
}

/// A merchant's deliveries before `before`, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    before: &str,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<DeliveryRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(before)
        .bind(filter.endpoint.as_str())
        .bind(filter.state.as_str())
        .bind(filter.event.as_str())
        .bind(limit)
        .fetch_all(sql)
        .await?)
}

/// What is to be sent to an endpoint by now: what has waited longest first.
pub async fn due(
    sql: &mut Sql,
    merchant: MerchantId,
    endpoint: EndpointId,
    now: Moment,
    most: i64,
) -> Result<Vec<DeliveryRow>, StoreError> {
    Ok(sqlx::query_as(DUE)
        .bind(merchant.to_string())
        .bind(endpoint.to_string())
        .bind(now.0)
        .bind(most)
        .fetch_all(sql)
        .await?)
}

/// When an endpoint's next delivery is due, if it has one that is pending.
pub async fn next(
    sql: &mut Sql,
    merchant: MerchantId,
    endpoint: EndpointId,
) -> Result<Option<Moment>, StoreError> {
    let next = sqlx::query_as(NEXT).bind(merchant.to_string()).bind(endpoint.to_string());
    let (next,): (Option<i64>,) = next.fetch_one(sql).await?;
    Ok(next.map(Moment))
}

/// Writes what became of a try of the delivery that was read. False: it was replayed, parked or settled by another run
/// meanwhile, and stays what that made of it.
pub async fn settle(
    sql: &mut Sql,
    read: &DeliveryRow,
    after: Delivery,
    reason: Option<&str>,
    now: Moment,
) -> Result<bool, StoreError> {
    let delivered = after.state == DeliveryState::Delivered;
    let done = sqlx::query(SETTLE)
        .bind(read.merchant_id.to_string())
        .bind(read.id.to_string())
        .bind(read.tries)
        .bind(read.attempts)
        .bind(after.state.as_str())
        .bind(after.tries)
        .bind(after.next_at.0)
        .bind(reason)
        .bind(if delivered { Some(now.0) } else { read.delivered_at })
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Parks all that an endpoint was to be sent.
pub async fn park_all(
    sql: &mut Sql,
    merchant: MerchantId,
    endpoint: EndpointId,
    reason: &str,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(PARK_ALL)
        .bind(merchant.to_string())
        .bind(endpoint.to_string())
        .bind(reason)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Has a delivery tried again from now on, whatever became of it.
pub async fn replay(
    sql: &mut Sql,
    merchant: MerchantId,
    id: DeliveryId,
    now: Moment,
) -> Result<(), StoreError> {
    let replay = sqlx::query(REPLAY).bind(merchant.to_string()).bind(id.to_string()).bind(now.0);
    replay.execute(sql).await?;
    Ok(())
}

/// Has an endpoint's parked deliveries tried again that were made since then. Gives how many.
pub async fn replay_since(
    sql: &mut Sql,
    merchant: MerchantId,
    endpoint: EndpointId,
    since: Moment,
    now: Moment,
) -> Result<u64, StoreError> {
    let done = sqlx::query(REPLAY_SINCE)
        .bind(merchant.to_string())
        .bind(endpoint.to_string())
        .bind(since.0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected())
}

/// Writes how a try went, and lets go of those that are long past.
pub async fn record(
    sql: &mut Sql,
    merchant: MerchantId,
    delivery: DeliveryId,
    attempt: &AttemptRow,
) -> Result<(), StoreError> {
    sqlx::query(RECORD)
        .bind(merchant.to_string())
        .bind(delivery.to_string())
        .bind(attempt.number)
        .bind(attempt.at.0)
        .bind(attempt.took_ms)
        .bind(attempt.status)
        .bind(attempt.reply.as_str())
        .bind(attempt.failure.as_deref())
        .execute(&mut *sql)
        .await?;
    if attempt.number > KEPT_ATTEMPTS {
        sqlx::query(FORGET)
            .bind(merchant.to_string())
            .bind(delivery.to_string())
            .bind(attempt.number - KEPT_ATTEMPTS)
            .execute(sql)
            .await?;
    }
    Ok(())
}

/// How a delivery's tries went, oldest first.
pub async fn attempts(
    sql: &mut Sql,
    merchant: MerchantId,
    delivery: DeliveryId,
) -> Result<Vec<AttemptRow>, StoreError> {
    let attempts = sqlx::query_as(ATTEMPTS).bind(merchant.to_string()).bind(delivery.to_string());
    Ok(attempts.fetch_all(sql).await?)
}
