//! Which jobs are run next: the oldest of the line that has the fewest running, so that a provider with a long line
//! keeps nobody else waiting, and none of a provider that does not answer.

use std::collections::BTreeMap;

use tollgate_domain::breaker::Room;
use tollgate_domain::time::Moment;

use crate::flows::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::jobs::{self, JobRow, Lane, Line};

/// How many jobs of each line are running.
pub type Running = BTreeMap<String, usize>;

/// How many jobs of a lane to lease, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of which lane.
    pub lane: Lane,
    /// At most.
    pub most: usize,
    /// At most of one line, those that are running included.
    pub each: usize,
    /// What is running.
    pub running: &'a Running,
    /// The lease's end.
    pub until: Moment,
}

/// What a claim came to.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Leased, for the caller to run.
    pub jobs: Vec<JobRow>,
    /// When the next one is due for which there is room; none: that is not known before one that runs has ended.
    pub next: Option<Moment>,
}

/// Leases due jobs of each lane.
pub async fn claim(gateway: &Gateway, wanted: &[Wanted<'_>]) -> Flow<Claimed> {
    let now = gateway.store.now();
    let mut sql = gateway.store.read().await?;
    let lines = jobs::lines(&mut sql).await?;
    drop(sql);
    let mut claimed = Claimed::default();
    let mut shares: Vec<(String, i64, Moment)> = Vec::new();
    for wanted in wanted {
        let (share, next) = share_out(gateway, wanted, &lines, now);
        claimed.next = claimed.next.into_iter().chain(next).min();
        shares.extend(share.into_iter().map(|(queue, most)| (queue, most, wanted.until)));
    }
    if shares.is_empty() {
        return Ok(claimed);
    }
    let shares = &shares;
    claimed.jobs = gateway
        .store
        .write::<_, FlowError, _>(move |tx| {
            Box::pin(async move {
                let mut leased = Vec::new();
                for (queue, most, until) in shares {
                    leased.extend(jobs::claim(tx.sql(), queue, now, *until, *most).await?);
                }
                Ok(leased)
            })
        })
        .await?;
    Ok(claimed)
}

/// A line with a job that is due.
struct Waiting<'l> {
    line: &'l Line,
    /// How many of it run, with those that it was given.
    running: usize,
    given: usize,
    /// So many may run.
    room: usize,
}

/// Gives the places to the lines, one by one. Gives when the next job is due that there would be a place for, too.
fn share_out(
    gateway: &Gateway,
    wanted: &Wanted<'_>,
    lines: &[Line],
    now: Moment,
) -> (Vec<(String, i64)>, Option<Moment>) {
    let mut next: Option<Moment> = None;
    let mut waiting = Vec::new();
    for line in lines.iter().filter(|line| Lane::of(&line.queue).0 == wanted.lane) {
        let running = wanted.running.get(&line.queue).copied().unwrap_or(0);
        let (room, from) = match gateway.breakers.room(Lane::of(&line.queue).1, now) {
            Room::Free => (wanted.each, line.wake_at),
            Room::Probe => (1, line.wake_at),
            Room::Shut(until) => (0, line.wake_at.max(until)),
        };
        if from <= now && running < room {
            waiting.push(Waiting { line, running, given: 0, room });
        } else if from > now {
            next = Some(next.map_or(from, |next| next.min(from)));
        }
    }
    for _ in 0..wanted.most {
        let open = waiting.iter_mut().filter(|waiting| waiting.running < waiting.room);
        let Some(first) = open.min_by_key(|waiting| (waiting.running, waiting.line.wake_at)) else {
            break;
        };
        first.running += 1;
        first.given += 1;
    }
    let given = waiting.into_iter().filter(|waiting| waiting.given > 0);
    let share = given.map(|waiting| {
        (waiting.line.queue.clone(), i64::try_from(waiting.given).unwrap_or(i64::MAX))
    });
    (share.collect(), next)
}

/// Lengthens a job's lease while it runs. False: somebody else has it now, or it is gone.
pub async fn keep(gateway: &Gateway, job: &JobRow, until: Moment) -> Flow<bool> {
    gateway
        .store
        .write(move |tx| Box::pin(async move { Ok(jobs::keep(tx.sql(), job, until).await?) }))
        .await
}
