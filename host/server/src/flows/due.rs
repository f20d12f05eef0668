//! What a job does when it is due. Every one of them can be run twice without harm.

mod claim;
mod end;

use tollgate_domain::breaker::Room;
use tollgate_domain::ids::{NotificationId, OrderId, PaymentId, RefundId};
use tollgate_domain::payment::{PaymentState, Told};
use tollgate_domain::time::Moment;
use tollgate_plugin::PrivateFields;

pub use self::claim::{Claimed, Running, Wanted, claim, keep};
pub use self::end::{MOST_FAILURES, Next, put_off, sweep};
use self::end::{failed, retry_at, settle};
use super::orders::Expiry;
use super::query::{self, Asked};
use super::{
    Flow, FlowError, account, bills, deliveries, learn, notices, orders, pauses, payments, pursuit,
    reconcile, refunds,
};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::jobs::JobRow;
use crate::store::payments::PaymentRow;

/// Does a job and writes what becomes of it.
pub async fn run(gateway: &Gateway, job: &JobRow) -> Flow<()> {
    if job.failures > MOST_FAILURES && !end::asks_about_money(job) {
        // Nobody who ran it came back to set it aside: it takes its worker down, or outlives every lease.
        return put_off(gateway, job, "no worker came to its end").await;
    }
    match perform(gateway, job).await {
        Ok(next) => settle(gateway, job, &next).await,
        Err(FlowError::NotFound(what)) => {
            tracing::warn!(job = %job.id, kind = job.kind, what, "the job's subject is gone");
            settle(gateway, job, &Next::Done).await
        }
        Err(error) => {
            tracing::error!(job = %job.id, kind = job.kind, %error, "the job failed");
            failed(gateway, job, &error).await
        }
    }
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
    // What has ended has a question left only where somebody doubts its end: a bill, say, that shows it paid.
    let is_sure = |row: &PaymentRow| row.state == PaymentState::Succeeded;
    let (asked, told) =
        query::question_payment(gateway, job.merchant_id, id, limit, is_sure).await?;
    let reason = match asked {
        Asked::Answered(row) if settled(&row) => return Ok(Next::Done),
        Asked::Answered(row) => {
            payments::resume(gateway, &row, &PrivateFields::default()).await?;
            if row.state.is_alive() && is_past(&row) {
                // Its order may have ended by another payment, so that nothing else ends this one.
                query::close_payment(gateway, job.merchant_id, id).await?;
            }
            format!("still {}", row.state)
        }
        Asked::NoAnswer(failure) => failure.message,
    };
    let row = payments::get(gateway, job.merchant_id, id).await?;
    let account = account::open(gateway, job.merchant_id, row.account_id).await?;
    let next = learn::next_question(gateway, &account, "query-payment", row.asked + 1);
    match (learn::may_be_paid_yet(&row), is_past(&row)) {
        // Silence proves nothing, even at the end, and what can still be paid there has no end.
        (true, true) if told.is_some_and(is_final) => Ok(Next::Done),
        (true, false) => Ok(Next::Asked(next.min(row.expires_at.plus_millis(GRACE_MS)), reason)),
        _ => Ok(Next::Asked(next, reason)),
    }
}

/// Whether a provider that says this of a payment will take no more money for it once its time is over.
fn is_final(told: Told) -> bool {
    match told {
        Told::Succeeded(_) | Told::Failed | Told::Closed | Told::NotFound => true,
        Told::Pending | Told::Approved | Told::Authorized | Told::Unknown => false,
    }
}

async fn query_refund(gateway: &Gateway, job: &JobRow, id: RefundId) -> Flow<Next> {
    let reason = match pursuit::refund(gateway, job.merchant_id, id).await? {
        Asked::Answered(row) if !row.state.is_open() => return Ok(Next::Done),
        Asked::Answered(row) => format!("still {}", row.state),
        Asked::NoAnswer(failure) => failure.message,
    };
    let row = refunds::get(gateway, job.merchant_id, id).await?;
    let account = account::open(gateway, job.merchant_id, row.account_id).await?;
    let next = learn::next_question(gateway, &account, "query-refund", row.asked + 1);
    Ok(Next::Asked(next, reason))
}

async fn end_order(gateway: &Gateway, job: &JobRow, id: OrderId) -> Flow<Next> {
    if let Some(until) = shut_until(gateway, job, id).await? {
        let due = retry_at(gateway, job.attempts).max(until);
        return Ok(Next::Later(due, "the provider of one of its payments is silent".to_owned()));
    }
    match orders::expire(gateway, job.merchant_id, id).await? {
        Expiry::Over => Ok(Next::Done),
        Expiry::NotBefore(due) => Ok(Next::Later(due, "its time is not over".to_owned())),
        Expiry::StillOpen(reason) => Ok(later(gateway, job, reason)),
    }
}

/// Until when a provider is left alone that would have to end one of the order's payments; none: nobody is.
async fn shut_until(gateway: &Gateway, job: &JobRow, id: OrderId) -> Flow<Option<Moment>> {
    let view = orders::view(gateway, job.merchant_id, id).await?;
    let now = gateway.store.now();
    let alive = view.payments.iter().filter(|payment| payment.state.is_alive());
    let shut = alive.filter_map(|payment| {
        match gateway.breakers.room(&payment.account_id.to_string(), now) {
            Room::Shut(until) => Some(until),
            Room::Free | Room::Probe => None,
        }
    });
    Ok(shut.max())
}

async fn read_notice(gateway: &Gateway, job: &JobRow, id: NotificationId) -> Flow<Next> {
    if notices::read_again(gateway, job.merchant_id, id).await? {
        return Ok(Next::Done);
    }
    Ok(later(gateway, job, "still waiting for the provider".to_owned()))
}

fn later(gateway: &Gateway, job: &JobRow, reason: String) -> Next {
    Next::Later(retry_at(gateway, job.attempts), reason)
}

#[cfg(test)]
mod tests;
