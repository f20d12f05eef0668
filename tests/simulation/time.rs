//! Virtual time: one clock for the world, and one for each replica, which may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use tollgate::store::Clock;
use tollgate_domain::time::Moment;

use crate::gate::Pass;

/// When every seed begins: a quarter to midnight in the bills' zone, so that days end while it runs.
pub const START: Moment = Moment(1_793_720_700_000_000);

/// The time that is right.
#[derive(Clone, Debug)]
pub struct Time(Arc<AtomicI64>);

impl Default for Time {
    fn default() -> Time {
        Time(Arc::new(AtomicI64::new(START.0)))
    }
}

impl Time {
    /// Now.
    pub fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }

    /// Lets so many milliseconds pass.
    pub fn advance_ms(&self, millis: i64) {
        self.0.fetch_add(millis.max(0) * 1_000, Ordering::Relaxed);
    }
}

/// A replica's clock.
#[derive(Debug)]
pub struct ReplicaClock {
    time: Time,
    wrong_by: AtomicI64,
}

impl ReplicaClock {
    /// One that is right.
    pub fn new(time: Time) -> ReplicaClock {
        ReplicaClock { time, wrong_by: AtomicI64::new(0) }
    }

    /// Sets it so many milliseconds wrong.
    pub fn jump_ms(&self, millis: i64) {
        self.wrong_by.store(millis * 1_000, Ordering::Relaxed);
    }
}

impl Clock for ReplicaClock {
    fn now(&self) -> Moment {
        Moment(self.time.now().0 + self.wrong_by.load(Ordering::Relaxed))
    }

    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Box::pin(Pass::new(self.time.now().plus_millis(millis)))
    }
}
