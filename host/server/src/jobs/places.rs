//! The worker's places: so many for each lane, and so many of them for one line, whoever is in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tollgate_domain::time::Moment;

use crate::flows::due::{self, Wanted};
use crate::gateway::JobLimits;
use crate::store::jobs::Lane;

/// How many bills are fetched and compared at once: each may have millions of rows.
const BILLS_AT_ONCE: usize = 2;

/// How many merchants' endpoints are called at once. They wait for sockets, and some of them for ones that are dead.
const ENDPOINTS_AT_ONCE: usize = 32;

/// The places of a lane.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    lane: Lane,
    count: usize,
    /// For one line.
    each: usize,
}

impl Places {
    /// Those of every lane.
    pub fn all(limits: JobLimits) -> [Places; 3] {
        Lane::ALL.map(|lane| match lane {
            Lane::Short => Places { lane, count: limits.at_once, each: limits.per_account },
            Lane::Bills => Places { lane, count: BILLS_AT_ONCE, each: BILLS_AT_ONCE },
            // There is one job for each endpoint.
            Lane::Webhooks => Places { lane, count: ENDPOINTS_AT_ONCE, each: ENDPOINTS_AT_ONCE },
        })
    }

    /// What is to be claimed for the places that are free; none: there are none.
    pub fn wanted<'r>(&self, running: &'r due::Running, until: Moment) -> Option<Wanted<'r>> {
        let of_lane = running.iter().filter(|(queue, _)| Lane::of(queue).0 == self.lane);
        let taken: usize = of_lane.map(|(_, count)| count).sum();
        let most = self.count.saturating_sub(taken);
        let Places { lane, each, .. } = *self;
        (most > 0).then_some(Wanted { lane, most, each, running, until })
    }
}

/// How long a job may keep its lease before it is taken for one that hangs.
pub fn longest(lane: Lane) -> Duration {
    match lane {
        Lane::Short | Lane::Webhooks => Duration::from_secs(20 * 60),
        Lane::Bills => Duration::from_secs(6 * 3_600),
    }
}

/// How many jobs of each line this worker runs.
#[derive(Clone, Default)]
pub struct Running(Arc<Mutex<due::Running>>);

/// One running job's place, free again once this is dropped.
pub struct Place {
    running: Running,
    queue: String,
}

impl Running {
    /// As it stands now.
    pub fn counts(&self) -> due::Running {
        self.all().clone()
    }

    /// Takes a place in a line.
    pub fn enter(&self, queue: &str) -> Place {
        *self.all().entry(queue.to_owned()).or_insert(0) += 1;
        Place { running: self.clone(), queue: queue.to_owned() }
    }

    fn all(&self) -> MutexGuard<'_, due::Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.running.all();
        if let Some(count) = all.get_mut(&self.queue) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.queue);
            }
        }
    }
}
