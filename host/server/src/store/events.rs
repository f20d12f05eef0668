//! Events: facts for the merchant, in order for each order, written in the transaction that made them true.

use tollgate_domain::ids::{EventId, MerchantId, OrderId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError, orders};

const INSERT: &str = "INSERT INTO events (merchant_id, id, order_id, sequence, kind, data, created_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";
const GET: &str = "SELECT * FROM events WHERE merchant_id = $1 AND id = $2";
/// All, or those of an order: each by an index of its own. The inner limit, which is none, keeps SQLite from going
/// through all of a merchant's events in the order of their ids.
pub(super) const LIST: &str = "SELECT * FROM events WHERE $3 = '' AND merchant_id = $1 AND id > $2 \
     UNION ALL SELECT * FROM (SELECT * FROM events WHERE merchant_id = $1 AND order_id = $3 \
     LIMIT 9223372036854775807) AS of_order WHERE id > $2 ORDER BY id LIMIT $4";

/// A row of `events`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EventRow {
    /// Id: later ones sort after.
    #[sqlx(try_from = "String")]
    pub id: EventId,
    /// The order, if it is about one.
    pub order_id: Option<String>,
    /// Counts the order's events from 1; 0 without an order.
    pub sequence: i64,
    /// What happened.
    pub kind: String,
    /// JSON.
    pub data: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
}

/// What happened, to be written.
pub struct NewEvent<'a> {
    /// Id.
    pub id: EventId,
    /// The order, if it is about one.
    pub order: Option<OrderId>,
    /// What happened.
    pub kind: &'a str,
    /// JSON.
    pub data: serde_json::Value,
}

/// Writes an event as its order's next.
pub async fn insert(
    sql: &mut Sql,
    merchant: MerchantId,
    event: &NewEvent<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    let sequence = match event.order {
        Some(order) => orders::next_sequence(&mut *sql, merchant, order).await?,
        None => 0,
    };
    sqlx::query(INSERT)
        .bind(merchant.to_string())
        .bind(event.id.to_string())
        .bind(event.order.map(|order| order.to_string()))
        .bind(sequence)
        .bind(event.kind)
        .bind(event.data.to_string())
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's event that must be there, because another row names it.
pub async fn must(
    sql: &mut Sql,
    merchant: MerchantId,
    id: EventId,
) -> Result<EventRow, StoreError> {
    let get = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    get.fetch_optional(sql).await?.ok_or(StoreError::Inconsistent {
        table: "events",
        column: "id",
        row: id.to_string(),
    })
}

/// A merchant's events after `after` (empty: from the start), oldest first, of `order` (empty: of all).
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    after: &str,
    order: &str,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    Ok(sqlx::query_as(LIST)
        .bind(merchant.to_string())
        .bind(after)
        .bind(order)
        .bind(limit)
        .fetch_all(sql)
        .await?)
}
