//! Jobs that have ended: kept beside the hot table for a while, so that somebody can look, and then swept.

use tollgate_domain::ids::{JobId, MerchantId};
use tollgate_domain::time::Moment;

use super::JobRow;
use crate::store::{Sql, StoreError};

/// Its own run ended it.
pub const DONE: &str = "done";
/// Something else left it nothing to do.
pub const SETTLED: &str = "settled";

const INSERT: &str = "INSERT INTO job_history (merchant_id, id, kind, subject_id, outcome, attempts, reason, \
     created_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const LIST: &str =
    "SELECT * FROM job_history WHERE merchant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
const SWEEP: &str = "DELETE FROM job_history WHERE id IN \
     (SELECT id FROM job_history WHERE ended_at < $1 ORDER BY ended_at LIMIT $2)";

/// A row of `job_history`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EndedRow {
    /// The job's id.
    #[sqlx(try_from = "String")]
    pub id: JobId,
    /// What it did: a word of [`crate::jobs::Kind`].
    pub kind: String,
    /// With what.
    pub subject_id: String,
    /// [`DONE`] or [`SETTLED`].
    pub outcome: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last attempt but one did not finish it.
    pub reason: Option<String>,
    /// When it was written.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
    /// When it ended.
    #[sqlx(try_from = "i64")]
    pub ended_at: Moment,
}

/// Notes how a job ended.
pub async fn insert(
    sql: &mut Sql,
    job: &JobRow,
    outcome: &str,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(INSERT)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.kind.as_str())
        .bind(job.subject_id.as_str())
        .bind(outcome)
        .bind(job.attempts)
        .bind(job.reason.as_deref())
        .bind(job.created_at.0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// A merchant's ended jobs before an id, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    before: &str,
    limit: i64,
) -> Result<Vec<EndedRow>, StoreError> {
    let list = sqlx::query_as(LIST).bind(merchant.to_string()).bind(before).bind(limit);
    Ok(list.fetch_all(sql).await?)
}

/// Forgets up to `most` jobs that ended before a time, oldest first. Gives how many.
pub async fn sweep(sql: &mut Sql, before: Moment, most: i64) -> Result<u64, StoreError> {
    let swept = sqlx::query(SWEEP).bind(before.0).bind(most).execute(sql).await?;
    Ok(swept.rows_affected())
}
