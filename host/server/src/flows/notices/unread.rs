//! Messages that were kept by a process that died before it read them. The provider may repeat them or not, and a browser
//! does not: they are read by a job.

use crate::flows::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::notifications;

/// Whoever lives has read what it kept by then, asking the provider on the way and waiting for its answers.
const LONGEST_READING_MS: i64 = 600_000;
/// How many are put to the worker in one transaction.
const AT_ONCE: i64 = 100;

/// Has messages read that nobody read; tells how many.
pub async fn take_up(gateway: &Gateway) -> Flow<usize> {
    let mut taken = 0;
    loop {
        let some = gateway
            .store
            .write::<usize, FlowError, _>(move |tx| {
                Box::pin(async move {
                    let now = gateway.store.now();
                    let (until, kind) = (now.plus_millis(-LONGEST_READING_MS), Kind::ReadNotice);
                    let unread =
                        notifications::unread(tx.sql(), until, kind.as_str(), AT_ONCE).await?;
                    for row in &unread {
                        let (merchant, account, id) =
                            (row.merchant_id, row.account_id, row.id.to_string());
                        learn::put_job_about(tx, gateway, merchant, account, kind, &id, now)
                            .await?;
                    }
                    Ok(unread.len())
                })
            })
            .await?;
        taken += some;
        if i64::try_from(some).is_ok_and(|some| some < AT_ONCE) {
            return Ok(taken);
        }
    }
}
