//! What a job does when it is due. Every one of them can be run twice without harm.

use tollgate_domain::ids::{NotificationId, OrderId, PaymentId, RefundId};
use tollgate_domain::schedule::next_gap_ms;
use tollgate_domain::time::Moment;

use super::query::{self, Asked};
use super::{
    Flow, FlowError, account, bills, deliveries, learn, notices, orders, pauses, payments, pursuit,
    reconcile,
};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::jobs::{self, JobRow, Lane};
use crate::store::payments::PaymentRow;
use crate::store::{self, refunds};

/// What becomes of a job that was run.
#[derive(Debug)]
pub enum Next {
    /// There is nothing more to do.
    Done,
    /// It is due again then, for this reason.
    Later(Moment, String),
}

/// How many jobs of a lane to lease, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Of which lane.
    pub lane: Lane,
    /// At most.
    pub most: i64,
    /// The lease's end.
    pub until: Moment,
}

/// Leases due jobs of each lane.
pub async fn claim(gateway: &Gateway, wanted: &[Wanted]) -> Flow<Vec<(Lane, JobRow)>> {
    let now = gateway.store.now();
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut claimed = Vec::new();
                for &Wanted { lane, most, until } in wanted {
                    let jobs = jobs::claim(tx.sql(), lane, now, until, most).await?;
                    claimed.extend(jobs.into_iter().map(|job| (lane, job)));
                }
                Ok(claimed)
            })
        })
        .await
}

/// Makes a job that broke down due again, later each time.
pub async fn put_off(gateway: &Gateway, job: &JobRow, reason: &str) -> Flow<()> {
    let due = gateway.store.now().plus_millis(next_gap_ms(&[], job.attempts));
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move { Ok(jobs::postpone(tx.sql(), job, due, reason).await?) })
        })
        .await
}

/// Does a job and writes what becomes of it.
pub async fn run(gateway: &Gateway, job: &JobRow) -> Flow<()> {
    let next = match perform(gateway, job).await {
        Ok(next) => next,
        Err(FlowError::NotFound(what)) => {
            tracing::warn!(job = %job.id, kind = job.kind, what, "the job's subject is gone");
            Next::Done
        }
        Err(error) => {
            tracing::error!(job = %job.id, kind = job.kind, %error, "the job failed");
            let gap = next_gap_ms(&[], job.attempts);
            Next::Later(gateway.store.now().plus_millis(gap), error.to_string())
        }
    };
    let next = &next;
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                match next {
                    Next::Done => jobs::finish(tx.sql(), job, gateway.store.now()).await?,
                    Next::Later(due, reason) => jobs::postpone(tx.sql(), job, *due, reason).await?,
                };
                Ok(())
            })
        })
        .await
}

async fn perform(gateway: &Gateway, job: &JobRow) -> Flow<Next> {
    let Ok(kind) = job.kind.parse::<Kind>() else {
        return Err(FlowError::Internal(format!("job kind {:?} is unknown", job.kind)));
    };
    let broken =
        || FlowError::Internal(format!("job subject {:?} is no id of its kind", job.subject_id));
    match kind {
        Kind::QueryPayment => {
            query_payment(gateway, job, job.subject_id.parse().map_err(|_| broken())?).await
        }
        Kind::QueryRefund => {
            query_refund(gateway, job, job.subject_id.parse().map_err(|_| broken())?).await
        }
        Kind::EndOrder => {
            end_order(gateway, job, job.subject_id.parse().map_err(|_| broken())?).await
        }
        Kind::ReadNotice => {
            read_notice(gateway, job, job.subject_id.parse().map_err(|_| broken())?).await
        }
        Kind::DailyBills => {
            let account = job.subject_id.parse().map_err(|_| broken())?;
            let due = bills::daily(gateway, job.merchant_id, account).await?;
            Ok(Next::Later(due, "the next day's bill".to_owned()))
        }
        Kind::Reconcile => reconcile::due(gateway, job).await,
        Kind::Deliver => {
            let endpoint = job.subject_id.parse().map_err(|_| broken())?;
            let more = deliveries::send_due(gateway, job.merchant_id, endpoint).await?;
            Ok(more.map_or(Next::Done, |(due, reason)| Next::Later(due, reason)))
        }
        Kind::GoOn => Ok(match pauses::go_on(gateway, job.merchant_id, &job.subject_id).await? {
            Some(due) => Next::Later(due, "the provider needs time".to_owned()),
            None => Next::Done,
        }),
    }
}

/// For so long after its expiry a payment may turn out to be paid: clocks differ by minutes, and a provider's books lag.
const GRACE_MS: i64 = 1_800_000;

async fn query_payment(gateway: &Gateway, job: &JobRow, id: PaymentId) -> Flow<Next> {
    let limit = gateway.settings.call_limit;
    let settled = |row: &PaymentRow| !row.state.is_alive() && !learn::may_be_paid_yet(row);
    let is_past = |row: &PaymentRow| gateway.store.now() >= row.expires_at.plus_millis(GRACE_MS);
    let asked = query::ask_payment(gateway, job.merchant_id, id, limit, settled).await?;
    let (answered, reason) = match asked {
        Asked::Answered(row) if settled(&row) => return Ok(Next::Done),
        Asked::Answered(row) => {
            payments::resume(gateway, &row).await?;
            if row.state.is_alive() && is_past(&row) {
                // Its order may have ended by another payment, so that nothing else ends this one.
                query::close_payment(gateway, job.merchant_id, id).await?;
            }
            (true, format!("still {}", row.state))
        }
        Asked::NoAnswer(failure) => (false, failure.message),
    };
    let row = gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut row = store::payments::must(tx.sql(), job.merchant_id, id).await?;
                row.asked += 1;
                store::payments::update(tx.sql(), &row).await?;
                Ok::<_, FlowError>(row)
            })
        })
        .await?;
    let account = account::open(gateway, job.merchant_id, row.account_id).await?;
    let next = learn::next_question(gateway, &account, "query-payment", row.asked);
    match (learn::may_be_paid_yet(&row), is_past(&row)) {
        // Silence proves nothing, even at the end.
        (true, true) if answered => Ok(Next::Done),
        (true, false) => Ok(Next::Later(next.min(row.expires_at.plus_millis(GRACE_MS)), reason)),
        _ => Ok(Next::Later(next, reason)),
    }
}

async fn query_refund(gateway: &Gateway, job: &JobRow, id: RefundId) -> Flow<Next> {
    let reason = match pursuit::refund(gateway, job.merchant_id, id).await? {
        Asked::Answered(row) if !row.state.is_open() => return Ok(Next::Done),
        Asked::Answered(row) => format!("still {}", row.state),
        Asked::NoAnswer(failure) => failure.message,
    };
    let row = gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut row = refunds::must(tx.sql(), job.merchant_id, id).await?;
                row.asked += 1;
                refunds::update(tx.sql(), &row).await?;
                Ok::<_, FlowError>(row)
            })
        })
        .await?;
    let account = account::open(gateway, job.merchant_id, row.account_id).await?;
    Ok(Next::Later(learn::next_question(gateway, &account, "query-refund", row.asked), reason))
}

async fn end_order(gateway: &Gateway, job: &JobRow, id: OrderId) -> Flow<Next> {
    match orders::expire(gateway, job.merchant_id, id).await? {
        None => Ok(Next::Done),
        Some(reason) => Ok(later(gateway, job, reason)),
    }
}

async fn read_notice(gateway: &Gateway, job: &JobRow, id: NotificationId) -> Flow<Next> {
    if notices::read_again(gateway, job.merchant_id, id).await? {
        return Ok(Next::Done);
    }
    Ok(later(gateway, job, "still waiting for the provider".to_owned()))
}

fn later(gateway: &Gateway, job: &JobRow, reason: String) -> Next {
    Next::Later(gateway.store.now().plus_millis(next_gap_ms(&[], job.attempts)), reason)
}
