//! What becomes of a job that was run: done, due again, or set aside. All of it needs the lease: what a job learnt
//! after losing it stays learnt, but the job is in other hands.

use serde_json::json;
use tollgate_domain::schedule::{next_gap_ms, retry_gap_ms, spread_ms};
use tollgate_domain::time::Moment;

use crate::flows::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::jobs::{self, JobRow, history};
use crate::store::{StoreError, Tx, payments, refunds};

/// So many failures in a row, and a job is set aside until somebody replays it.
pub const MOST_FAILURES: i64 = 8;

/// How long ended jobs are kept to be looked at.
const HISTORY_MS: i64 = 7 * 86_400_000;
/// How many of them are forgotten in one transaction.
const SWEPT_AT_ONCE: i64 = 1_000;

/// What becomes of a job that was run.
#[derive(Debug)]
pub enum Next {
    /// There is nothing more to do.
    Done,
    /// It is due again then, for this reason.
    Later(Moment, String),
    /// As `Later`, and it has asked once more what its subject became.
    Asked(Moment, String),
}

/// Writes what becomes of a job that came to its end.
pub(super) async fn settle(gateway: &Gateway, job: &JobRow, next: &Next) -> Flow<()> {
    let held = gateway
        .store
        .write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move {
                let now = gateway.store.now();
                match next {
                    Next::Done => Ok(jobs::finish(tx.sql(), job, now).await?),
                    Next::Later(due, reason) => {
                        Ok(jobs::postpone(tx.sql(), job, *due, reason, 0).await?)
                    }
                    Next::Asked(due, reason) => {
                        let held = jobs::postpone(tx.sql(), job, *due, reason, 0).await?;
                        if held {
                            count_question(tx, job).await?;
                        }
                        Ok(held)
                    }
                }
            })
        })
        .await?;
    note(job, held);
    Ok(())
}

/// Counts a question, so that the next one comes later.
async fn count_question(tx: &mut Tx<'_>, job: &JobRow) -> Result<(), StoreError> {
    let (merchant, subject) = (job.merchant_id, job.subject_id.as_str());
    match job.kind.parse() {
        Ok(Kind::QueryPayment) => payments::count_question(tx.sql(), merchant, subject).await,
        Ok(Kind::QueryRefund) => refunds::count_question(tx.sql(), merchant, subject).await,
        _ => Ok(()),
    }
}

fn note(job: &JobRow, held: bool) {
    if !held {
        tracing::info!(
            job = %job.id, kind = job.kind, fence = job.fence,
            "the job was settled meanwhile, or its lease ran out and another worker has it"
        );
    }
}

/// Whether a job is all that stands between money and nobody knowing what became of it.
pub(super) fn asks_about_money(job: &JobRow) -> bool {
    matches!(job.kind.parse(), Ok(Kind::QueryPayment | Kind::QueryRefund))
}

/// Whether trying again cannot mend it: a bug, or a row that does not read as what it was written as.
fn is_broken(error: &FlowError) -> bool {
    match error {
        FlowError::Internal(_)
        | FlowError::Seal(_)
        | FlowError::Invalid(_)
        | FlowError::Conflict { .. }
        | FlowError::NotFound(_) => true,
        FlowError::Unavailable(_) => false,
        FlowError::Store(StoreError::Sql(error)) => {
            matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
        }
        FlowError::Store(StoreError::Inconsistent { .. }) => true,
        FlowError::Store(
            StoreError::Commit(_)
            | StoreError::GivenUp
            | StoreError::Unfit(_)
            | StoreError::Newer(_)
            | StoreError::Stale { .. },
        ) => false,
    }
}

/// Makes a job due again that ended with an error, or sets it aside where that is no use.
pub(super) async fn failed(gateway: &Gateway, job: &JobRow, error: &FlowError) -> Flow<()> {
    let reason = error.to_string();
    if is_broken(error) {
        return put_off(gateway, job, &reason).await;
    }
    settle(gateway, job, &Next::Later(retry_at(gateway, job.attempts), reason)).await
}

/// Makes a job that broke down due again, later each time. After too often it is parked, and the merchant is told
/// once. What asks about money is never parked: it goes on daily, and the merchant is told as well.
pub async fn put_off(gateway: &Gateway, job: &JobRow, reason: &str) -> Flow<()> {
    let now = gateway.store.now();
    let asks = asks_about_money(job);
    let too_often = job.failures >= MOST_FAILURES;
    let due = if too_often { daily(gateway) } else { retry_at(gateway, job.failures) };
    let held = gateway
        .store
        .write::<bool, FlowError, _>(move |tx| {
            Box::pin(async move {
                let held = if too_often && !asks {
                    jobs::park(tx.sql(), job, now, reason).await?
                } else {
                    jobs::postpone(tx.sql(), job, due, reason, job.failures).await?
                };
                if held && too_often && (!asks || job.failures == MOST_FAILURES) {
                    let kind = if asks { "job.failing" } else { "job.parked" };
                    tell(tx, gateway, job, kind, reason).await?;
                }
                Ok(held)
            })
        })
        .await?;
    note(job, held);
    Ok(())
}

async fn tell(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    job: &JobRow,
    kind: &str,
    reason: &str,
) -> Flow<()> {
    tracing::error!(job = %job.id, kind = job.kind, subject = job.subject_id, reason, kind, "a job keeps failing");
    let data = json!({
        "job_id": job.id, "kind": job.kind, "subject_id": job.subject_id, "attempts": job.attempts,
        "reason": reason,
    });
    learn::announce(tx, gateway, job.merchant_id, None, kind, data).await
}

/// When to try again what was tried so often.
pub(super) fn retry_at(gateway: &Gateway, tries: i64) -> Moment {
    gateway.store.now().plus_millis(spread_ms(retry_gap_ms(tries), gateway.chance.draw()))
}

fn daily(gateway: &Gateway) -> Moment {
    let day = next_gap_ms(&[], i64::MAX);
    gateway.store.now().plus_millis(spread_ms(day, gateway.chance.draw()))
}

/// Forgets jobs that ended long ago.
pub async fn sweep(gateway: &Gateway) -> Flow<()> {
    let before = gateway.store.now().plus_millis(-HISTORY_MS);
    loop {
        let swept = gateway
            .store
            .write::<u64, FlowError, _>(move |tx| {
                Box::pin(async move { Ok(history::sweep(tx.sql(), before, SWEPT_AT_ONCE).await?) })
            })
            .await?;
        if i64::try_from(swept).is_ok_and(|swept| swept < SWEPT_AT_ONCE) {
            return Ok(());
        }
    }
}
