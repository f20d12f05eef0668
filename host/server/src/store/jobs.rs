//! Jobs: what to do and when, written in the transaction they follow. One of a kind for each subject.
//!
//! A claim leases a job and counts its fence up; finishing names the fence, so that a worker whose lease ran
//! out cannot finish what another one has taken over.

use sqlx::AnyConnection;
use tollgate_domain::ids::{JobId, MerchantId};
use tollgate_domain::time::Moment;

use super::StoreError;

const PUT: &str = "INSERT INTO jobs (merchant_id, id, kind, subject_id, payload, due_at, attempts, leased_until, \
     fence, urgings, created_at) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7) \
     ON CONFLICT (merchant_id, kind, subject_id) DO UPDATE SET payload = excluded.payload, \
     due_at = CASE WHEN excluded.due_at < jobs.due_at THEN excluded.due_at ELSE jobs.due_at END, \
     urgings = jobs.urgings + CASE WHEN excluded.due_at <= excluded.created_at THEN 1 ELSE 0 END";
const CLAIM: &str = "UPDATE jobs SET leased_until = $2, fence = fence + 1, attempts = attempts + 1 WHERE id IN \
     (SELECT id FROM jobs WHERE due_at <= $1 AND leased_until <= $1 \
     AND CASE WHEN kind IN ('daily_bills', 'reconcile') THEN 1 WHEN kind = 'deliver' THEN 2 ELSE 0 END = $4 \
     ORDER BY due_at LIMIT $3) RETURNING *";
const FINISH: &str =
    "DELETE FROM jobs WHERE merchant_id = $1 AND id = $2 AND fence = $3 AND urgings = $4";
const POSTPONE: &str = "UPDATE jobs SET due_at = CASE WHEN urgings = $6 THEN $4 ELSE due_at END, leased_until = 0, \
     reason = $5 WHERE merchant_id = $1 AND id = $2 AND fence = $3";
const CANCEL: &str = "DELETE FROM jobs WHERE merchant_id = $1 AND kind = $2 AND subject_id = $3";
const NEXT_DUE: &str = "SELECT min(CASE WHEN due_at > leased_until THEN due_at ELSE leased_until END) FROM jobs \
     WHERE CASE WHEN kind IN ('daily_bills', 'reconcile') THEN 1 WHEN kind = 'deliver' THEN 2 ELSE 0 END = $1";
const COUNT: &str = "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND kind = $2";

/// Jobs are claimed by lanes, so that what takes seconds never waits behind what takes an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Questions about payments and refunds, and all that is as short.
    Short,
    /// Fetching and comparing bills.
    Bills,
    /// Calling merchants' endpoints, one job for each.
    Webhooks,
}

impl Lane {
    fn number(self) -> i64 {
        match self {
            Lane::Short => 0,
            Lane::Bills => 1,
            Lane::Webhooks => 2,
        }
    }
}

/// A row of `jobs`.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct JobRow {
    /// Owner of the subject.
    #[sqlx(try_from = "String")]
    pub merchant_id: MerchantId,
    /// Id.
    #[sqlx(try_from = "String")]
    pub id: JobId,
    /// What to do: a word of [`crate::jobs::Kind`].
    pub kind: String,
    /// With what.
    pub subject_id: String,
    /// JSON: what else the doing needs.
    pub payload: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub due_at: Moment,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// The lease that a finish names.
    pub fence: i64,
    /// How often it had been wanted at once when it was claimed.
    pub urgings: i64,
}

/// A job to be written.
pub struct NewJob<'a> {
    /// Id, if there is none yet.
    pub id: JobId,
    /// What to do.
    pub kind: &'a str,
    /// With what.
    pub subject: &'a str,
    /// JSON: what else the doing needs.
    pub payload: &'a str,
    /// When.
    pub due_at: Moment,
}

/// Writes a job, or brings the one that is there forward.
pub async fn put(
    sql: &mut AnyConnection,
    merchant: MerchantId,
    job: &NewJob<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    sqlx::query(PUT)
        .bind(merchant.to_string())
        .bind(job.id.to_string())
        .bind(job.kind)
        .bind(job.subject)
        .bind(job.payload)
        .bind(job.due_at.0)
        .bind(now.0)
        .execute(sql)
        .await?;
    Ok(())
}

/// Leases up to `most` due jobs of a lane until `until`.
pub async fn claim(
    sql: &mut AnyConnection,
    lane: Lane,
    now: Moment,
    until: Moment,
    most: i64,
) -> Result<Vec<JobRow>, StoreError> {
    let claim = sqlx::query_as(CLAIM).bind(now.0).bind(until.0).bind(most).bind(lane.number());
    Ok(claim.fetch_all(sql).await?)
}

/// Removes a job that is done, if the lease still holds; one that was wanted at once meanwhile runs again.
pub async fn finish(sql: &mut AnyConnection, job: &JobRow, now: Moment) -> Result<(), StoreError> {
    let done = sqlx::query(FINISH)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(job.urgings)
        .execute(&mut *sql)
        .await?;
    if done.rows_affected() == 0 {
        postpone(sql, job, now, "wanted again").await?;
    }
    Ok(())
}

/// Makes a job due later, with the reason, if the lease still holds; one that was wanted at once meanwhile stays due.
pub async fn postpone(
    sql: &mut AnyConnection,
    job: &JobRow,
    due_at: Moment,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query(POSTPONE)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(due_at.0)
        .bind(reason)
        .bind(job.urgings)
        .execute(sql)
        .await?;
    Ok(())
}

/// Removes a subject's job of a kind: there is nothing left to do.
pub async fn cancel(
    sql: &mut AnyConnection,
    merchant: MerchantId,
    kind: &str,
    subject: &str,
) -> Result<(), StoreError> {
    sqlx::query(CANCEL).bind(merchant.to_string()).bind(kind).bind(subject).execute(sql).await?;
    Ok(())
}

/// When the next job of a lane is due, if there is one.
pub async fn next_due(sql: &mut AnyConnection, lane: Lane) -> Result<Option<Moment>, StoreError> {
    let next = sqlx::query_as(NEXT_DUE).bind(lane.number());
    let (due,): (Option<i64>,) = next.fetch_one(sql).await?;
    Ok(due.map(Moment))
}

/// How many jobs of a kind a merchant has.
pub async fn count(
    sql: &mut AnyConnection,
    merchant: MerchantId,
    kind: &str,
) -> Result<i64, StoreError> {
    let (count,): (i64,) =
        sqlx::query_as(COUNT).bind(merchant.to_string()).bind(kind).fetch_one(sql).await?;
    Ok(count)
}
