//! Messages from providers and payers' browsers, kept as they came.

use tollgate_domain::ids::{AccountId, MerchantId, NotificationId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const INSERT: &str = "INSERT INTO notifications (merchant_id, id, account_id, payment_id, message, body, state, \
     reason, received_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
const GET: &str = "SELECT * FROM notifications WHERE merchant_id = $1 AND id = $2";
/// Whoever read it slowly and has to wait does not undo what somebody else made of it meanwhile.
const SETTLE: &str = "UPDATE notifications SET state = $3, reason = $4, payment_id = coalesce($5, payment_id), \
     dedupe_key = coalesce($6, dedupe_key), updated_at = $7, signed = CASE WHEN signed = 1 THEN 1 ELSE $8 END \
     WHERE merchant_id = $1 AND id = $2 AND ($3 <> 'waiting' OR state IN ('received', 'waiting'))";
const CUT: &str = "UPDATE notifications SET body = substr(body, 1, 65536) \
     WHERE merchant_id = $1 AND id = $2 AND length(body) > 65536";
const SWEEP: &str = "DELETE FROM notifications WHERE merchant_id = $1 AND account_id = $2 AND signed = $3 AND state = $4 \
     AND id <= (SELECT id FROM notifications WHERE merchant_id = $1 AND account_id = $2 AND signed = $3 AND state = $4 \
     ORDER BY id DESC LIMIT 1 OFFSET $5)";

/// Nobody has read these, and no job will: by one look into the index for each account. SQLite keeps to the order of a
/// `CROSS JOIN`, and takes no index for what is computed.
pub(super) const UNREAD: &str = "SELECT notifications.merchant_id, notifications.id, notifications.account_id FROM accounts \
     CROSS JOIN notifications WHERE notifications.merchant_id = accounts.merchant_id \
     AND notifications.account_id = accounts.id AND notifications.signed = 0 AND notifications.state = 'received' \
     AND notifications.received_at + 0 <= $1 AND NOT EXISTS (SELECT 1 FROM jobs \
     WHERE jobs.merchant_id = notifications.merchant_id AND jobs.kind = $2 AND jobs.subject_id = notifications.id) \
     ORDER BY notifications.received_at LIMIT $3";

/// A row of `notifications`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct NotificationRow {
    /// Owner of the account.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: NotificationId,
    /// The account that it was addressed to.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
    /// What it was addressed to, or turned out to be about.
    pub payment_id: Option<String>,
    /// JSON of [`crate::flows::notices::Message`], without the body.
    pub message: String,
    /// The raw bytes.
    pub body: Vec<u8>,
    /// received, applied, duplicate, rejected or waiting.
    pub state: String,
    /// Why it was refused, or what it waits for.
    pub reason: Option<String>,
    /// The same for each delivery of one event.
    pub dedupe_key: Option<String>,
    /// When it came.
    #[sqlx(try_from = "i64")]
    pub received_at: Moment,
}

/// Keeps a message.
pub async fn insert(sql: &mut Sql, row: &NotificationRow) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(row.merchant_id.to_string())
        .bind(row.id.to_string())
        .bind(row.account_id.to_string())
        .bind(row.payment_id.as_deref())
        .bind(row.message.as_str())
        .bind(row.body.as_slice())
        .bind(row.state.as_str())
        .bind(row.reason.as_deref())
        .bind(row.received_at.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A kept message.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: NotificationId,
) -> Result<Option<NotificationRow>, StoreError> {
    Ok(sqlx::query_as(GET)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .fetch_optional(sql)
        .await?)
}

/// What became of a message.
pub struct Settled<'a> {
    /// applied, duplicate, rejected or waiting.
    pub state: &'a str,
    /// Why it was refused, or what it waits for.
    pub reason: Option<&'a str>,
    /// What it turned out to be about.
    pub payment_id: Option<String>,
    /// The event that it delivers.
    pub dedupe_key: Option<&'a str>,
    /// Whether a signature held while it was read.
    pub signed: bool,
}

/// Notes what became of a message. That it waits is noted only while nobody has dealt with it.
pub async fn settle(
    sql: &mut Sql,
    merchant: MerchantId,
    id: NotificationId,
    settled: &Settled<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(SETTLE)
        .bind(merchant.to_string())
        .bind(id.to_string())
        .bind(settled.state)
        .bind(settled.reason)
        .bind(settled.payment_id.as_deref())
        .bind(settled.dedupe_key)
        .bind(now.0)
        .bind(i64::from(settled.signed))
        .execute(sql)
        .await?;
    Ok(())
}

/// A message that was kept and never read.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct UnreadRow {
    /// Owner of the account.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: NotificationId,
    /// The account that it was addressed to.
    #[sqlx(try_from = "String")]
    pub account_id: AccountId,
}

/// Everybody's messages that were kept up to then, were never read, and that no job of this kind is about; oldest first.
pub async fn unread(
    sql: &mut Sql,
    until: Moment,
    kind: &str,
    limit: i64,
) -> Result<Vec<UnreadRow>, StoreError> {
    let unread = sqlx::query_as(UNREAD).bind(until.0).bind(kind).bind(limit);
    Ok(unread.fetch_all(sql).await?)
}

/// Keeps no more of a message's body than its first 64 KiB.
pub async fn cut(
    sql: &mut Sql,
    merchant: MerchantId,
    id: NotificationId,
) -> Result<(), StoreError> {
    sqlx::query(CUT).bind(merchant.to_string()).bind(id.to_string()).execute(sql).await?;
    Ok(())
}

/// Drops all but the newest messages of an account that are in a state, signed or not.
pub async fn sweep(
    sql: &mut Sql,
    merchant: MerchantId,
    account: AccountId,
    (state, signed): (&str, bool),
    keep: i64,
) -> Result<(), StoreError> {
    sqlx::query(SWEEP)
        .bind(merchant.to_string())
        .bind(account.to_string())
        .bind(i64::from(signed))
        .bind(state)
        .bind(keep)
        .execute(sql)
        .await?;
    Ok(())
}
