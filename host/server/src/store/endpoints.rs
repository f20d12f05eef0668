//! Webhook endpoints: where a merchant hears of events. Updates of what the merchant set name the version that was read.

use std::fmt;
use std::str::FromStr;

use tollgate_domain::UnknownState;
use tollgate_domain::ids::{EndpointId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO webhook_endpoints (merchant_id, id, url, description, kinds, state, secret, \
     old_until, paused_until, failing_since, version, created_at, updated_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 1, $8, $8)";
const GET: &str = "SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND id = $2";
const LIST: &str =
    "SELECT * FROM webhook_endpoints WHERE merchant_id = $1 AND id > $2 ORDER BY id LIMIT $3";
const ENABLED: &str = "SELECT id, kinds FROM webhook_endpoints WHERE merchant_id = $1 AND state = 'enabled' \
     ORDER BY id";
const ALL: &str = "SELECT * FROM webhook_endpoints ORDER BY id";
/// Names what was read, so that a change made meanwhile is not lost.
const RESEAL: &str = "UPDATE webhook_endpoints SET secret = $4, old_secret = $5, version = version + 1 \
     WHERE merchant_id = $1 AND id = $2 AND version = $3";
const UPDATE: &str = "UPDATE webhook_endpoints SET url = $4, description = $5, kinds = $6, state = $7, reason = $8, \
     secret = $9, old_secret = $10, old_until = $11, paused_until = $12, failing_since = $13, updated_at = $14, \
     version = version + 1 WHERE merchant_id = $1 AND id = $2 AND version = $3";
const DISABLE: &str = "UPDATE webhook_endpoints SET state = 'disabled', reason = $3, updated_at = $4, \
     version = version + 1 WHERE merchant_id = $1 AND id = $2 AND state = 'enabled'";
const PAUSE: &str = "UPDATE webhook_endpoints SET paused_until = $3 WHERE merchant_id = $1 AND id = $2 \
     AND paused_until < $3";
const FAILING: &str = "UPDATE webhook_endpoints SET failing_since = $3 WHERE merchant_id = $1 AND id = $2 \
     AND failing_since = 0";
const WELL: &str =
    "UPDATE webhook_endpoints SET failing_since = 0 WHERE merchant_id = $1 AND id = $2";

/// Whether an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It hears of events.
    Enabled,
    /// It does not.
    Disabled,
}

impl EndpointState {
    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            EndpointState::Enabled => "enabled",
            EndpointState::Disabled => "disabled",
        }
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EndpointState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<EndpointState, UnknownState> {
        match text {
            "enabled" => Ok(EndpointState::Enabled),
            "disabled" => Ok(EndpointState::Disabled),
            _ => Err(UnknownState),
        }
    }
}

impl TryFrom<String> for EndpointState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<EndpointState, UnknownState> {
        text.parse()
    }
}

/// A row of `webhook_endpoints`. It has no form for logs: it holds secrets, sealed as they are.
#[derive(Clone, sqlx::FromRow)]
pub struct EndpointRow {
    /// Owner.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: EndpointId,
    /// What is called.
    pub url: String,
    /// The merchant's own words.
    pub description: String,
    /// JSON: the kinds of events that it hears of; none: all.
    pub kinds: String,
    /// Whether it is called.
    #[sqlx(try_from = "String")]
    pub state: EndpointState,
    /// Why it is not.
    pub reason: Option<String>,
    /// Sealed: what its messages are signed with.
    pub secret: Vec<u8>,
    /// Sealed: the one before, which signs too.
    pub old_secret: Option<Vec<u8>>,
    /// Until then; 0: there is none.
    #[sqlx(try_from = "i64")]
    pub old_until: Moment,
    /// Until when it asked to be left alone; 0: it did not.
    #[sqlx(try_from = "i64")]
    pub paused_until: Moment,
    /// Since when it has taken nothing; 0: it took the last one.
    #[sqlx(try_from = "i64")]
    pub failing_since: Moment,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it last changed.
    #[sqlx(try_from = "i64")]
    pub updated_at: Moment,
}

/// An endpoint that is called, and what it hears of.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EnabledRow {
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: EndpointId,
    /// JSON: the kinds of events that it hears of; none: all.
    pub kinds: String,
}

/// Writes a new endpoint.
pub async fn insert(sql: &mut Sql, row: &EndpointRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.url.as_str())
        .bind(row.description.as_str())
        .bind(row.kinds.as_str())
        .bind(row.state.as_str())
        .bind(row.secret.as_slice())
        .bind(row.created_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's endpoint.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: EndpointId,
) -> Result<Option<EndpointRow>, StoreError> {
    let get = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    Ok(get.fetch_optional(sql).await?)
}

/// A merchant's endpoints after `after` (empty: from the start), oldest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    after: &str,
    limit: i64,
) -> Result<Vec<EndpointRow>, StoreError> {
    let list = sqlx::query_as(LIST).bind(merchant.to_string()).bind(after).bind(limit);
    Ok(list.fetch_all(sql).await?)
}

/// A merchant's endpoints that are called.
pub async fn enabled(sql: &mut Sql, merchant: MerchantId) -> Result<Vec<EnabledRow>, StoreError> {
    Ok(sqlx::query_as(ENABLED).bind(merchant.to_string()).fetch_all(sql).await?)
}

/// Writes a changed row over the version that was read.
pub async fn update(sql: &mut Sql, row: &EndpointRow) -> Result<(), StoreError> {
    let done = sqlx::query(UPDATE)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.version)
        .bind(row.url.as_str())
        .bind(row.description.as_str())
        .bind(row.kinds.as_str())
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(row.secret.as_slice())
        .bind(row.old_secret.as_deref())
        .bind(row.old_until.0)
        .bind(row.paused_until.0)
        .bind(row.failing_since.0)
        .bind(row.updated_at.0)
        .execute(sql)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(());
    }
    Err(StoreError::Stale { table: "webhook_endpoints", row: row.id.to_string() })
}

/// Calls an endpoint no more. False: it was not called any more before.
pub async fn disable(
    sql: &mut Sql,
    merchant: MerchantId,
    id: EndpointId,
    reason: &str,
    now: Moment,
) -> Result<bool, StoreError> {
    let done = sqlx::query(DISABLE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(reason)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Leaves an endpoint alone until then.
pub async fn pause(
    sql: &mut Sql,
    merchant: MerchantId,
    id: EndpointId,
    until: Moment,
) -> Result<(), StoreError> {
    let pause = sqlx::query(PAUSE).bind(merchant.to_string()).bind(id.to_string()).bind(until.0);
    pause.execute(sql).await?;
    Ok(())
}

/// Notes that an endpoint takes nothing, unless that is known.
pub async fn failing(
    sql: &mut Sql,
    merchant: MerchantId,
    id: EndpointId,
    since: Moment,
) -> Result<(), StoreError> {
    let failing =
        sqlx::query(FAILING).bind(merchant.to_string()).bind(id.to_string()).bind(since.0);
    failing.execute(sql).await?;
    Ok(())
}

/// Notes that an endpoint takes what it is sent.
pub async fn well(sql: &mut Sql, merchant: MerchantId, id: EndpointId) -> Result<(), StoreError> {
    sqlx::query(WELL).bind(merchant.to_string()).bind(id.to_string()).execute(sql).await?;
    Ok(())
}

/// All endpoints of everybody, oldest first: for when the sealing key is replaced.
pub async fn all(sql: &mut Sql) -> Result<Vec<EndpointRow>, StoreError> {
    Ok(sqlx::query_as(ALL).fetch_all(sql).await?)
}

/// Writes an endpoint's secrets as another key sealed them. False: it was changed meanwhile.
pub async fn reseal(
    sql: &mut Sql,
    row: &EndpointRow,
    secret: &[u8],
    old_secret: Option<&[u8]>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(RESEAL)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.version)
        .bind(secret)
        .bind(old_secret)
        .execute(sql)
        .await?;
    Ok(done.rows_affected() == 1)
}
