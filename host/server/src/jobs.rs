//! The worker: claims due jobs, runs a few at a time, and sleeps until the next one is due or somebody rings.

pub mod sweep;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tollgate_domain::time::Moment;

use crate::flows::Flow;
use crate::flows::due::{self, Wanted};
use crate::gateway::Gateway;
use crate::store;
use crate::store::jobs::{JobRow, Lane};

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
    /// Sends a merchant's endpoint what it is to hear of.
    Deliver,
    /// Goes on with what a provider needed time for.
    GoOn,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::QueryPayment,
        Kind::QueryRefund,
        Kind::EndOrder,
        Kind::ReadNotice,
        Kind::DailyBills,
        Kind::Reconcile,
        Kind::Deliver,
        Kind::GoOn,
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
            Kind::Deliver => "deliver",
            Kind::GoOn => "go_on",
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

/// How many short jobs run at once, and how long a claimed one is left alone before another worker may take it.
const AT_ONCE: usize = 8;
const LEASE_MS: i64 = 120_000;
/// The same of bills, which may have millions of rows.
const BILLS_AT_ONCE: usize = 2;
const BILLS_LEASE_MS: i64 = 3_600_000;
/// How many merchants' endpoints are called at once. They wait for sockets, and some of them for ones that are dead.
const ENDPOINTS_AT_ONCE: usize = 32;
/// The longest sleep: a job that another process wrote rings no bell here.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// The shortest one.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);

/// The places of a lane.
struct Places {
    lane: Lane,
    free: Arc<Semaphore>,
    lease_ms: i64,
}

impl Places {
    fn all() -> [Places; 3] {
        let places = |lane, count, lease_ms| {
            let free = Arc::new(Semaphore::new(count));
            Places { lane, free, lease_ms }
        };
        [
            places(Lane::Short, AT_ONCE, LEASE_MS),
            places(Lane::Bills, BILLS_AT_ONCE, BILLS_LEASE_MS),
            places(Lane::Webhooks, ENDPOINTS_AT_ONCE, LEASE_MS),
        ]
    }

    /// What is to be claimed for the places that are free; none: there are none.
    fn wanted(&self, now: Moment) -> Option<Wanted> {
        let free = self.free.available_permits();
        let most = i64::try_from(free).unwrap_or(1);
        let until = now.plus_millis(self.lease_ms);
        (free > 0).then_some(Wanted { lane: self.lane, most, until })
    }
}

/// Runs due jobs until `stop` says so, then lets those that are running end.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let places = Places::all();
    let mut running = JoinSet::new();
    while !*stop.borrow() {
        while running.try_join_next().is_some() {}
        let sleep = match round(&gateway, &places, &mut running).await {
            Ok(Duration::ZERO) => continue,
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::error!(%error, "jobs could not be claimed");
                // Neither the bell nor a job that ends mends the database.
                tokio::select! {
                    _ = stop.changed() => {}
                    _ = tokio::time::sleep(LONGEST_SLEEP) => {}
                }
                continue;
            }
        };
        tokio::select! {
            _ = stop.changed() => {}
            _ = gateway.bell.notified() => {}
            _ = running.join_next(), if !running.is_empty() => {}
            _ = tokio::time::sleep(sleep.max(SHORTEST_SLEEP)) => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Claims as many jobs as there are places. Gives how long to sleep: not at all where there may be more.
async fn round(
    gateway: &Arc<Gateway>,
    places: &[Places],
    running: &mut JoinSet<()>,
) -> Flow<Duration> {
    let now = gateway.store.now();
    let wanted: Vec<Wanted> = places.iter().filter_map(|places| places.wanted(now)).collect();
    if wanted.is_empty() {
        // A job that ends wakes the worker.
        return Ok(LONGEST_SLEEP);
    }
    let jobs = due::claim(gateway, &wanted).await?;
    if jobs.is_empty() {
        return until_next(gateway, &wanted).await;
    }
    for (lane, job) in jobs {
        let Some(places) = places.iter().find(|places| places.lane == lane) else { continue };
        let Ok(place) = places.free.clone().try_acquire_owned() else { continue };
        let gateway = gateway.clone();
        running.spawn(async move {
            let (to_run, runs) = (gateway.clone(), job.clone());
            settle(&gateway, &job, async move { due::run(&to_run, &runs).await }).await;
            drop(place);
        });
    }
    Ok(Duration::ZERO)
}

/// Lets a job run to its end. One that panics has failed like any other, and is due again.
async fn settle(
    gateway: &Gateway,
    job: &JobRow,
    run: impl Future<Output = Flow<()>> + Send + 'static,
) {
    let ended = match tokio::spawn(run).await {
        Ok(ended) => ended,
        Err(_) => due::put_off(gateway, job, "it panicked").await,
    };
    if let Err(error) = ended {
        let (id, kind) = (job.id, job.kind.as_str());
        tracing::error!(job = %id, kind, %error, "what became of the job was not written");
    }
}

/// How long until a job comes due for which there is a place.
async fn until_next(gateway: &Gateway, wanted: &[Wanted]) -> Flow<Duration> {
    let mut sql = gateway.store.read().await?;
    let mut sleep = LONGEST_SLEEP;
    for wanted in wanted {
        if let Some(due) = store::jobs::next_due(&mut sql, wanted.lane).await? {
            let millis = due.millis_since(gateway.store.now()).max(0);
            sleep = sleep.min(Duration::from_millis(u64::try_from(millis).unwrap_or(0)));
        }
    }
    Ok(sleep.max(SHORTEST_SLEEP))
}

#[cfg(test)]
mod tests;
