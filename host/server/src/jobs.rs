//! The worker: claims due jobs, runs a few at a time, and sleeps until the next one is due or somebody rings.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::flows::due;
use crate::gateway::Gateway;
use crate::store;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks what became of a payment.
    QueryPayment,
    /// Asks what became of a refund.
    QueryRefund,
    /// Ends an order whose time is over.
    EndOrder,
    /// Reads a kept message again.
    ReadNotice,
    /// Fetches an account's bill of the day and has it reconciled.
    DailyBills,
    /// Compares a bill with our records.
    Reconcile,
}

impl Kind {
    const ALL: [Kind; 6] = [
        Kind::QueryPayment,
        Kind::QueryRefund,
        Kind::EndOrder,
        Kind::ReadNotice,
        Kind::DailyBills,
        Kind::Reconcile,
    ];

    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::QueryPayment => "query_payment",
            Kind::QueryRefund => "query_refund",
            Kind::EndOrder => "end_order",
            Kind::ReadNotice => "read_notice",
            Kind::DailyBills => "daily_bills",
            Kind::Reconcile => "reconcile",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Kind, ()> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(())
    }
}

/// How many jobs run at once.
const AT_ONCE: usize = 8;
/// How long a claimed job is left alone before another worker may take it.
const LEASE_MS: i64 = 120_000;
/// The longest sleep: a job that another process wrote rings no bell here.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Runs due jobs until `stop` says so, then lets those that are running end.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    while !*stop.borrow() {
        let claimed = round(&gateway, &places, &mut running).await;
        while running.try_join_next().is_some() {}
        let sleep = if claimed { Duration::ZERO } else { until_next(&gateway).await };
        if sleep.is_zero() && places.available_permits() > 0 {
            continue;
        }
        tokio::select! {
            _ = stop.changed() => {}
            _ = gateway.bell.notified() => {}
            _ = running.join_next(), if !running.is_empty() => {}
            _ = tokio::time::sleep(sleep.max(Duration::from_millis(5))) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Claims as many jobs as there are places. True: there may be more.
async fn round(gateway: &Arc<Gateway>, places: &Arc<Semaphore>, running: &mut JoinSet<()>) -> bool {
    let free = places.available_permits();
    if free == 0 {
        return false;
    }
    let until = gateway.store.now().plus_millis(LEASE_MS);
    let most = i64::try_from(free).unwrap_or(1);
    let jobs = match due::claim(gateway, until, most).await {
        Ok(jobs) => jobs,
        Err(error) => {
            tracing::error!(%error, "jobs could not be claimed");
            return false;
        }
    };
    let claimed = !jobs.is_empty();
    for job in jobs {
        let Ok(place) = places.clone().try_acquire_owned() else { break };
        let gateway = gateway.clone();
        running.spawn(async move {
            if let Err(error) = due::run(&gateway, &job).await {
                tracing::error!(job = %job.id, kind = job.kind, %error, "what became of the job was not written");
            }
            drop(place);
        });
    }
    claimed
}

async fn until_next(gateway: &Gateway) -> Duration {
    let next = async {
        let mut sql = gateway.store.read().await?;
        store::jobs::next_due(&mut sql).await
    };
    let Ok(Some(due)) = next.await else { return LONGEST_SLEEP };
    let millis = due.millis_since(gateway.store.now()).max(0);
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(LONGEST_SLEEP)
}
