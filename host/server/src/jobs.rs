//! The worker: claims due jobs, runs a few at a time, and sleeps until the next one is due or somebody rings.

mod places;
pub mod strangers;
pub mod sweep;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use self::places::{Places, Running};
use crate::flows::Flow;
use crate::flows::due::{self, Wanted};
use crate::gateway::{Bell, Gateway};
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

    /// In which lane it is run.
    pub fn lane(self) -> Lane {
        match self {
            Kind::QueryPayment
            | Kind::QueryRefund
            | Kind::EndOrder
            | Kind::ReadNotice
            | Kind::GoOn => Lane::Short,
            Kind::DailyBills | Kind::Reconcile => Lane::Bills,
            Kind::Deliver => Lane::Webhooks,
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

/// How long a claimed job is left alone before another worker may take it. One that runs longer has its lease
/// lengthened, as long as its worker lives.
const LEASE_MS: i64 = 120_000;
/// How often that is done.
const HEARTBEAT: Duration = Duration::from_secs(40);
/// The longest sleep: a job that another process wrote rings no bell here.
const LONGEST_SLEEP: Duration = Bell::EVERY;
/// The longest one after the bell: whoever rang it may not have committed yet.
const SLEEP_AFTER_BELL: Duration = Duration::from_millis(50);
/// The shortest one.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);
/// The longest sleep while the database cannot be had.
const LONGEST_OUTAGE_SLEEP: Duration = Duration::from_secs(15);

/// Runs due jobs until `stop` says so, then lets those that are running end.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let places = Places::all(gateway.settings.jobs);
    let running = Running::default();
    let mut tasks = JoinSet::new();
    let mut outage = LONGEST_SLEEP;
    let mut longest = LONGEST_SLEEP;
    while !*stop.borrow() {
        while tasks.try_join_next().is_some() {}
        let sleep = match round(&gateway, &places, &running, &mut tasks).await {
            Ok(sleep) => sleep,
            Err(error) => {
                tracing::error!(%error, "jobs could not be claimed");
                // Neither the bell nor a job that ends mends the database.
                tokio::select! {
                    _ = stop.changed() => {}
                    _ = tokio::time::sleep(outage) => {}
                }
                outage = (outage * 2).min(LONGEST_OUTAGE_SLEEP);
                continue;
            }
        };
        outage = LONGEST_SLEEP;
        if sleep.is_zero() {
            continue;
        }
        let sleep = sleep.min(std::mem::replace(&mut longest, LONGEST_SLEEP));
        tokio::select! {
            _ = stop.changed() => {}
            () = gateway.bell.rung() => longest = SLEEP_AFTER_BELL,
            _ = tasks.join_next(), if !tasks.is_empty() => {}
            _ = tokio::time::sleep(sleep) => {}
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// Claims as many jobs as there are places. Gives how long to sleep: not at all where there may be more.
async fn round(
    gateway: &Arc<Gateway>,
    places: &[Places],
    running: &Running,
    tasks: &mut JoinSet<()>,
) -> Flow<Duration> {
    let now = gateway.store.now();
    let busy = running.counts();
    let until = now.plus_millis(LEASE_MS);
    let wanted: Vec<Wanted<'_>> =
        places.iter().filter_map(|places| places.wanted(&busy, until)).collect();
    if wanted.is_empty() {
        // A job that ends wakes the worker.
        return Ok(LONGEST_SLEEP);
    }
    let claimed = due::claim(gateway, &wanted).await?;
    if claimed.jobs.is_empty() {
        let due = claimed.next.map(|next| next.millis_since(gateway.store.now()).max(0));
        let sleep = due.and_then(|due| u64::try_from(due).ok()).map(Duration::from_millis);
        return Ok(sleep.unwrap_or(LONGEST_SLEEP).clamp(SHORTEST_SLEEP, LONGEST_SLEEP));
    }
    for job in claimed.jobs {
        let place = running.enter(&job.queue);
        let longest = places::longest(job.lane());
        let gateway = gateway.clone();
        tasks.spawn(async move {
            let (to_run, runs) = (gateway.clone(), job.clone());
            let run = async move { due::run(&to_run, &runs).await };
            settle(&gateway, &job, longest, run).await;
            drop(place);
        });
    }
    Ok(Duration::ZERO)
}

/// Lets a job run to its end, and lengthens its lease meanwhile. One that panics has failed like any other, and is
/// due again. One that runs longer than `longest` is not stopped, but another worker may take it.
async fn settle(
    gateway: &Gateway,
    job: &JobRow,
    longest: Duration,
    run: impl Future<Output = Flow<()>> + Send + 'static,
) {
    let mut run = tokio::spawn(run);
    let mut beats_left = longest.as_secs() / HEARTBEAT.as_secs();
    let ended = loop {
        let Ok(ended) = tokio::time::timeout(HEARTBEAT, &mut run).await else {
            if beats_left > 0 {
                beats_left -= 1;
                lengthen(gateway, job).await;
            }
            continue;
        };
        break match ended {
            Ok(ended) => ended,
            Err(_) => due::put_off(gateway, job, "it panicked").await,
        };
    };
    if let Err(error) = ended {
        let (id, kind) = (job.id, job.kind.as_str());
        tracing::error!(job = %id, kind, %error, "what became of the job was not written");
    }
}

async fn lengthen(gateway: &Gateway, job: &JobRow) {
    let until = gateway.store.now().plus_millis(LEASE_MS);
    match due::keep(gateway, job, until).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(job = %job.id, "the job runs on without its lease"),
        Err(error) => tracing::warn!(job = %job.id, %error, "the lease was not lengthened"),
    }
}

#[cfg(test)]
mod tests;
