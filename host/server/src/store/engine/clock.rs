//! The database's clock: several gateways on one database agree on what is due, whatever their own clocks say.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tollgate_domain::time::Moment;

use crate::store::Clock;

/// How old a sample may grow.
const SAMPLE_AGE: Duration = Duration::from_secs(5);

/// Counts on from the last sample with the machine's steady clock. It never goes back: after a sample that lies
/// behind, it stands until the database has caught up.
pub(super) struct DatabaseClock {
    sample: Mutex<Sample>,
    latest: AtomicI64,
}

struct Sample {
    taken: Instant,
    micros: i64,
    /// When somebody takes the next one.
    next: Instant,
}

/// The machine's steady clock, which no one sets.
#[allow(
    clippy::disallowed_methods,
    reason = "beside the database's clock, the one that counts on from it"
)]
pub(super) fn instant() -> Instant {
    Instant::now()
}

impl DatabaseClock {
    /// A clock set by its first sample: the database's microseconds, and when here that was.
    pub(super) fn new((taken, micros): (Instant, i64)) -> DatabaseClock {
        let sample = Sample { taken, micros, next: taken + SAMPLE_AGE };
        DatabaseClock { sample: Mutex::new(sample), latest: AtomicI64::new(micros) }
    }

    /// Whether the caller is to take the next sample. Nobody else is told so for a while.
    pub(super) fn takes_a_sample(&self) -> bool {
        let (mut sample, now) = (self.sample(), instant());
        let due = now >= sample.next;
        if due {
            sample.next = now + SAMPLE_AGE;
        }
        due
    }

    /// Sets the clock by a sample.
    pub(super) fn set(&self, (taken, micros): (Instant, i64)) {
        let mut sample = self.sample();
        (sample.taken, sample.micros) = (taken, micros);
    }

    fn sample(&self) -> MutexGuard<'_, Sample> {
        self.sample.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Moment {
        let sample = self.sample();
        let since = i64::try_from(sample.taken.elapsed().as_micros()).unwrap_or(i64::MAX);
        let micros = sample.micros.saturating_add(since);
        Moment(self.latest.fetch_max(micros, Ordering::Relaxed).max(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_database_and_never_goes_back() {
        let start = instant();
        let clock = DatabaseClock::new((start, 1_000_000_000));
        let first = clock.now();
        assert!(first.0 >= 1_000_000_000);
        clock.set((instant(), 5_000_000_000));
        let ahead = clock.now();
        assert!(ahead.0 >= 5_000_000_000);
        clock.set((instant(), 1_000_000_000));
        assert!(clock.now() >= ahead, "a database that was set back");
    }

    #[test]
    fn one_at_a_time_takes_a_sample() {
        let now = instant();
        let clock = DatabaseClock::new((now, 0));
        assert!(!clock.takes_a_sample(), "the first one is new");
        clock.sample().next = now;
        assert!(clock.takes_a_sample());
        assert!(!clock.takes_a_sample());
    }
}
