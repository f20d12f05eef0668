//! Jobs: what to do and when, written in the transaction they follow. One of a kind for each subject.
//!
//! They stand in lines: a lane, and within it the account or endpoint that they are about, so that a slow one holds
//! nobody else up. A claim leases a job and counts its fence up; finishing names the fence, so that a worker whose
//! lease ran out cannot finish what another one has taken over. What is finished leaves for [`history`].
//!
//! Two jobs of one order may run at once, on two replicas even: what they learn are facts, which join in any order
//! (`tollgate_domain::payment`), and each row is written by the version that was read.

pub mod history;

use tollgate_domain::ids::{JobId, MerchantId};
use tollgate_domain::time::Moment;

use super::{Sql, StoreError};

const PUT: &str = "INSERT INTO jobs (merchant_id, id, kind, subject_id, payload, due_at, attempts, leased_until, \
     fence, urgings, created_at, queue) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, $7, $8) \
     ON CONFLICT (merchant_id, kind, subject_id) DO UPDATE SET payload = excluded.payload, \
     due_at = CASE WHEN excluded.due_at < jobs.due_at THEN excluded.due_at ELSE jobs.due_at END, \
     urgings = jobs.urgings + CASE WHEN excluded.due_at <= excluded.created_at THEN 1 ELSE 0 END";
/// Each line and when its first job wakes, by one look into the index for each.
const LINES: &str = "WITH RECURSIVE line (queue) AS (\
     SELECT (SELECT queue FROM jobs WHERE parked_at IS NULL ORDER BY queue LIMIT 1) UNION ALL \
     SELECT (SELECT jobs.queue FROM jobs WHERE jobs.parked_at IS NULL AND jobs.queue > line.queue \
     ORDER BY jobs.queue LIMIT 1) FROM line WHERE line.queue IS NOT NULL) \
     SELECT line.queue, (SELECT jobs.wake_at FROM jobs WHERE jobs.parked_at IS NULL AND jobs.queue = line.queue \
     ORDER BY jobs.wake_at LIMIT 1) AS wake_at FROM line WHERE line.queue IS NOT NULL";
/// The outer condition is looked at again after waiting for a row that another worker claimed.
const CLAIM: &str = "UPDATE jobs SET leased_until = $2, fence = fence + 1, attempts = attempts + 1, \
     failures = failures + 1 WHERE id IN (SELECT id FROM jobs WHERE queue = $3 AND parked_at IS NULL \
     AND wake_at <= $1 ORDER BY wake_at LIMIT $4) AND wake_at <= $1 RETURNING *";
const KEEP: &str = "UPDATE jobs SET leased_until = $4 WHERE merchant_id = $1 AND id = $2 AND fence = $3 \
     AND leased_until > 0";
const FINISH: &str =
    "DELETE FROM jobs WHERE merchant_id = $1 AND id = $2 AND fence = $3 AND urgings = $4";
const POSTPONE: &str = "UPDATE jobs SET due_at = CASE WHEN urgings = $6 THEN $4 ELSE due_at END, leased_until = 0, \
     reason = $5, failures = $7 WHERE merchant_id = $1 AND id = $2 AND fence = $3 AND leased_until > 0";
const PARK: &str = "UPDATE jobs SET parked_at = $4, leased_until = 0, reason = $5 \
     WHERE merchant_id = $1 AND id = $2 AND fence = $3 AND leased_until > 0";
const REPLAY: &str = "UPDATE jobs SET parked_at = NULL, failures = 0, due_at = $3 \
     WHERE merchant_id = $1 AND id = $2 AND parked_at IS NOT NULL RETURNING *";
const REVIVE: &str = "UPDATE jobs SET parked_at = NULL, failures = 0, due_at = $4 \
     WHERE merchant_id = $1 AND kind = $2 AND subject_id = $3 AND parked_at IS NOT NULL";
const CANCEL: &str =
    "DELETE FROM jobs WHERE merchant_id = $1 AND kind = $2 AND subject_id = $3 RETURNING *";
const GET: &str = "SELECT * FROM jobs WHERE merchant_id = $1 AND id = $2";
const LIST: &str = "SELECT * FROM jobs WHERE merchant_id = $1 AND id < $2 AND parked_at IS NULL \
     ORDER BY id DESC LIMIT $3";
const LIST_PARKED: &str = "SELECT * FROM jobs WHERE merchant_id = $1 AND id < $2 AND parked_at IS NOT NULL \
     ORDER BY id DESC LIMIT $3";
const COUNT: &str = "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND kind = $2";

/// What may take seconds never waits behind what takes an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Questions about payments and refunds, and all that is as short.
    Short,
    /// Fetching and comparing bills.
    Bills,
    /// Calling merchants' endpoints, one job for each.
    Webhooks,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Lane; 3] = [Lane::Short, Lane::Bills, Lane::Webhooks];

    /// What its lines start with, before a slash.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::Short => "short",
            Lane::Bills => "bills",
            Lane::Webhooks => "webhooks",
        }
    }

    /// The line in it for what is about `key`: an account, an endpoint, or nothing in particular.
    pub fn line(self, key: &str) -> String {
        format!("{}/{key}", self.as_str())
    }

    /// The lane of a line, and what the line is about.
    pub fn of(queue: &str) -> (Lane, &str) {
        let (lane, key) = queue.split_once('/').unwrap_or((queue, ""));
        let lane = Lane::ALL.into_iter().find(|known| known.as_str() == lane);
        (lane.unwrap_or(Lane::Short), key)
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
    /// The line that it stands in.
    pub queue: String,
    /// When.
    #[sqlx(try_from = "i64")]
    pub due_at: Moment,
    /// How often it was tried, this time included.
    pub attempts: i64,
    /// How many of its claims in a row came to no end, this one included.
    pub failures: i64,
    /// Until when somebody holds it; 0: nobody does.
    #[sqlx(try_from = "i64")]
    pub leased_until: Moment,
    /// The lease that a finish names.
    pub fence: i64,
    /// How often it had been wanted at once when it was claimed.
    pub urgings: i64,
    /// Why the last attempt did not finish it.
    pub reason: Option<String>,
    /// Since when nobody runs it any more.
    pub parked_at: Option<i64>,
    /// When it was written.
    #[sqlx(try_from = "i64")]
    pub created_at: Moment,
}

impl JobRow {
    /// The lane that its line is in.
    pub fn lane(&self) -> Lane {
        Lane::of(&self.queue).0
    }
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
    /// The line that it stands in: [`Lane::line`].
    pub queue: &'a str,
    /// When.
    pub due_at: Moment,
}

/// A line, and when its first job wakes.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Line {
    /// Its name.
    pub queue: String,
    /// When its first job can be claimed.
    #[sqlx(try_from = "i64")]
    pub wake_at: Moment,
}

/// Writes a job, or brings the one that is there forward. One that is parked stays so.
pub async fn put(
    sql: &mut Sql,
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
        .bind(job.queue)
        .execute(sql)
        .await?;
    Ok(())
}

/// Every line in which a job stands.
pub async fn lines(sql: &mut Sql) -> Result<Vec<Line>, StoreError> {
    Ok(sqlx::query_as(LINES).fetch_all(sql).await?)
}

/// Leases up to `most` due jobs of a line until `until`, the oldest first.
pub async fn claim(
    sql: &mut Sql,
    queue: &str,
    now: Moment,
    until: Moment,
    most: i64,
) -> Result<Vec<JobRow>, StoreError> {
    let claim = sqlx::query_as(CLAIM).bind(now.0).bind(until.0).bind(queue).bind(most);
    let mut claimed: Vec<JobRow> = claim.fetch_all(sql).await?;
    claimed.sort_by_key(|job| (job.due_at, job.id));
    Ok(claimed)
}

/// Lengthens a lease. False: somebody else holds the job now, or it is gone.
pub async fn keep(sql: &mut Sql, job: &JobRow, until: Moment) -> Result<bool, StoreError> {
    let kept = sqlx::query(KEEP)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(until.0)
        .execute(sql)
        .await?;
    Ok(kept.rows_affected() == 1)
}

/// Moves a job that is done to the history, if the lease still holds; one that was wanted at once meanwhile runs
/// again. False: the lease does not hold.
pub async fn finish(sql: &mut Sql, job: &JobRow, now: Moment) -> Result<bool, StoreError> {
    let done = sqlx::query(FINISH)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(job.urgings)
        .execute(&mut *sql)
        .await?;
    if done.rows_affected() == 0 {
        return postpone(sql, job, now, "wanted again", 0).await;
    }
    history::insert(sql, job, history::DONE, now).await?;
    Ok(true)
}

/// Makes a job due later, with the reason, if the lease still holds; one that was wanted at once meanwhile stays due.
/// `failures`: how many claims in a row have come to no end. False: the lease does not hold.
pub async fn postpone(
    sql: &mut Sql,
    job: &JobRow,
    due_at: Moment,
    reason: &str,
    failures: i64,
) -> Result<bool, StoreError> {
    let postponed = sqlx::query(POSTPONE)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(due_at.0)
        .bind(reason)
        .bind(job.urgings)
        .bind(failures)
        .execute(sql)
        .await?;
    Ok(postponed.rows_affected() == 1)
}

/// Sets a job aside, with the reason, if the lease still holds. False: it does not.
pub async fn park(
    sql: &mut Sql,
    job: &JobRow,
    now: Moment,
    reason: &str,
) -> Result<bool, StoreError> {
    let parked = sqlx::query(PARK)
        .bind(job.merchant_id.to_string())
        .bind(job.id.to_string())
        .bind(job.fence)
        .bind(now.0)
        .bind(reason)
        .execute(sql)
        .await?;
    Ok(parked.rows_affected() == 1)
}

/// Makes a parked job due again. None: there is no such job, or it is not parked.
pub async fn replay(
    sql: &mut Sql,
    merchant: MerchantId,
    id: JobId,
    now: Moment,
) -> Result<Option<JobRow>, StoreError> {
    let replay = sqlx::query_as(REPLAY).bind(merchant.to_string()).bind(id.to_string()).bind(now.0);
    Ok(replay.fetch_optional(sql).await?)
}

/// Makes a subject's job of a kind due again, if it is parked. False: it is not.
pub async fn revive(
    sql: &mut Sql,
    merchant: MerchantId,
    kind: &str,
    subject: &str,
    now: Moment,
) -> Result<bool, StoreError> {
    let revive = sqlx::query(REVIVE).bind(merchant.to_string()).bind(kind).bind(subject);
    Ok(revive.bind(now.0).execute(sql).await?.rows_affected() == 1)
}

/// Moves a subject's job of a kind to the history: there is nothing left to do.
pub async fn cancel(
    sql: &mut Sql,
    merchant: MerchantId,
    kind: &str,
    subject: &str,
    now: Moment,
) -> Result<(), StoreError> {
    let cancel = sqlx::query_as(CANCEL).bind(merchant.to_string()).bind(kind).bind(subject);
    let job: Option<JobRow> = cancel.fetch_optional(&mut *sql).await?;
    match job {
        Some(job) => history::insert(sql, &job, history::SETTLED, now).await,
        None => Ok(()),
    }
}

/// A merchant's job that is not done.
pub async fn get(
    sql: &mut Sql,
    merchant: MerchantId,
    id: JobId,
) -> Result<Option<JobRow>, StoreError> {
    let get = sqlx::query_as(GET).bind(merchant.to_string()).bind(id.to_string());
    Ok(get.fetch_optional(sql).await?)
}

/// A merchant's jobs before an id that are parked, or that are not, newest first.
pub async fn list(
    sql: &mut Sql,
    merchant: MerchantId,
    parked: bool,
    before: &str,
    limit: i64,
) -> Result<Vec<JobRow>, StoreError> {
    let list = sqlx::query_as(if parked { LIST_PARKED } else { LIST });
    Ok(list.bind(merchant.to_string()).bind(before).bind(limit).fetch_all(sql).await?)
}

/// How many jobs of a kind a merchant has.
pub async fn count(sql: &mut Sql, merchant: MerchantId, kind: &str) -> Result<i64, StoreError> {
    let (count,): (i64,) =
        sqlx::query_as(COUNT).bind(merchant.to_string()).bind(kind).fetch_one(sql).await?;
    Ok(count)
}

#[cfg(test)]
mod tests;
