//! How much of a processor a call gets: as much as it wants while it is brisk, then a share, and only of what nobody else
//! wants, while it may still be an honest one, and after that next to nothing. It runs in stretches, each of which a tick of
//! the engine's clock ends.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use tokio::sync::OwnedSemaphorePermit;

use crate::health::{Admission, Repute};

/// What a call has of a processor at full speed: several times what an honest one takes. One that hangs would take it from
/// its neighbours until its deadline. Where one failed, the plugin has none of it until a call of it ends well.
const BRISK: Duration = Duration::from_millis(2);
/// What it has after that while it may still be an honest one: in a process that has just started, or on a machine that has
/// little memory left, code must be read from the disk first.
const DOUBTFUL: Duration = Duration::from_millis(20);
/// Where one hung, the next has this of it: several times what an honest one takes, should it be one.
const AFTER_HANGING: Duration = Duration::from_millis(8);
/// It has it in stretches of this length, since a neighbour may have to wait for the end of one.
const STRETCH: Duration = Duration::from_millis(1);
/// It then gets this part of one processor, so that an honest call ends well before its deadline.
const DOUBTFUL_SHARE: u32 = 20;
/// One that has used all of it hangs. All of those together get this part of one.
const HANGING_SHARE: u32 = 20;
/// So long a doubtful call waits for a processor that nobody wants: as long as it rests after a stretch. On a machine that
/// has none it must run among its neighbours, or an honest one would never end.
const PATIENCE: Duration = Duration::from_millis(20);

/// What an engine knows of the calls that run.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Whether one has run since the last tick.
    stirring: AtomicBool,
    hanging: AtomicU32,
}

impl Calls {
    /// Whether a call has run since this was last asked.
    pub fn have_stirred(&self) -> bool {
        self.stirring.swap(false, Ordering::Relaxed)
    }

    fn stir(&self) {
        self.stirring.store(true, Ordering::Relaxed);
    }
}

/// Where a call has its next stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// Within the task that asked for it.
    Here,
    /// On another thread.
    Aside,
    /// On a thread that has a processor only when no other wants it; aside if it has not begun after so long.
    Behind(Duration),
}

/// The pace of one call. Who drives it and its instance share this.
#[derive(Debug)]
pub(crate) struct Pace {
    ends: Instant,
    repute: Repute,
    /// What it is taken to have used when it begins.
    head_start: Duration,
    hung: Arc<AtomicBool>,
    calls: Arc<Calls>,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Its place among the calls of all plugins. When it is not brisk any more it gives it to a neighbour: what it may still
    /// take of a processor is bounded in another way.
    place: Option<OwnedSemaphorePermit>,
    /// What it has had of a processor.
    used: Duration,
    /// What its thread had had when the stretch that runs began.
    began: Duration,
    slow: Option<Slow>,
}

impl Pace {
    /// Of a call that must end at `ends` and has a place among those of all plugins, as its plugin fares.
    pub fn new(
        ends: Instant,
        calls: &Arc<Calls>,
        place: OwnedSemaphorePermit,
        admission: &Admission,
    ) -> Self {
        let head_start = match admission.repute {
            Repute::Brisk | Repute::Slow => Duration::ZERO,
            Repute::Failed => BRISK,
            Repute::Hung => BRISK + DOUBTFUL - AFTER_HANGING,
        };
        let (repute, hung) = (admission.repute, Arc::clone(&admission.hung));
        Self::with(ends, calls, Some(place), (repute, head_start, hung))
    }

    /// Of a call that waits for no turn.
    pub fn beside(ends: Instant, calls: &Arc<Calls>) -> Self {
        Self::with(ends, calls, None, (Repute::Brisk, Duration::ZERO, Arc::default()))
    }

    fn with(
        ends: Instant,
        calls: &Arc<Calls>,
        place: Option<OwnedSemaphorePermit>,
        (repute, head_start, hung): (Repute, Duration, Arc<AtomicBool>),
    ) -> Self {
        let account = Account { place, used: head_start, began: Duration::ZERO, slow: None };
        let (calls, account) = (Arc::clone(calls), Mutex::new(account));
        Self { ends, repute, head_start, hung, calls, account }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time until the call must end.
    pub fn time_left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// How long the call rests before its next stretch, never beyond its end, and where it has that.
    pub fn next(&self) -> (Duration, Where) {
        let mut account = self.account();
        let used = account.used;
        if used < BRISK {
            let brisk = self.repute == Repute::Brisk;
            return (Duration::ZERO, if brisk { Where::Here } else { Where::Aside });
        }
        // An honest one may be long, such as a bill's page: its neighbours are no suspects for it.
        if used > self.head_start + BRISK + DOUBTFUL {
            self.hung.store(true, Ordering::Relaxed);
        }
        drop(account.place.take());
        let slow = account.slow.get_or_insert_with(|| Slow::since(Instant::now(), used));
        let owed = slow.owes(Instant::now(), used, &self.calls);
        let left = self.time_left();
        // What hangs is waited for by nobody, until it must end.
        let patience = if slow.hanging.is_some() { left.max(PATIENCE) } else { PATIENCE };
        (owed.min(left), Where::Behind(patience))
    }

    /// Runs a stretch of the call on this thread.
    pub fn stretch<R>(&self, work: impl FnOnce() -> R) -> R {
        self.calls.stir();
        let began = processor_time();
        self.account().began = began;
        let done = work();
        self.account().used += processor_time().saturating_sub(began);
        done
    }

    /// Whether the stretch that runs on this thread is long enough. One that others kept from the processor is not.
    pub fn is_to_pause(&self) -> bool {
        self.calls.stir();
        let account = self.account();
        let had = processor_time().saturating_sub(account.began);
        had >= BRISK.saturating_sub(account.used).max(STRETCH)
    }

    /// Whether the call has been brisk up to now.
    pub fn was_brisk(&self) -> bool {
        self.account().used - self.head_start <= BRISK
    }
}

/// A call that is not brisk any more.
#[derive(Debug)]
struct Slow {
    since: Instant,
    /// What the call had used when this was last looked at.
    seen: Duration,
    /// How long what it has used since then should have taken.
    worth: Duration,
    hanging: Option<Hanging>,
}

impl Slow {
    fn since(since: Instant, seen: Duration) -> Self {
        Self { since, seen, worth: Duration::ZERO, hanging: None }
    }

    /// How long a call must rest now that has used so much.
    fn owes(&mut self, now: Instant, used: Duration, calls: &Arc<Calls>) -> Duration {
        let share = match self.hanging {
            None => DOUBTFUL_SHARE,
            Some(_) => HANGING_SHARE * calls.hanging.load(Ordering::Relaxed).max(1),
        };
        self.worth += used.saturating_sub(self.seen) * share;
        self.seen = used;
        if used > BRISK + DOUBTFUL && self.hanging.is_none() {
            self.hanging = Some(Hanging::among(calls));
        }
        self.worth.saturating_sub(now.saturating_duration_since(self.since))
    }
}

/// One of the calls that hang, as long as it lives.
#[derive(Debug)]
struct Hanging(Arc<Calls>);

impl Hanging {
    fn among(calls: &Arc<Calls>) -> Self {
        calls.hanging.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(calls))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.hanging.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What this thread has had of a processor, or the time of day where the system does not tell.
fn processor_time() -> Duration {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    ThreadTime::try_now().map_or_else(|_| BEGINNING.elapsed(), |time| time.as_duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_call_rests_as_its_share_wants() {
        let (calls, start) = (Arc::<Calls>::default(), Instant::now());
        let mut slow = Slow::since(start, BRISK);
        assert_eq!(slow.owes(start, BRISK, &calls), Duration::ZERO);
        assert_eq!(slow.owes(start + MS, BRISK + MS, &calls), 19 * MS);
        // Who was kept from the processor has rested meanwhile.
        assert_eq!(slow.owes(start + 50 * MS, BRISK + 2 * MS, &calls), Duration::ZERO);
        assert_eq!(slow.owes(start + 50 * MS, BRISK + 3 * MS, &calls), 10 * MS);
    }

    #[test]
    fn those_that_hang_share_one_share() {
        let (calls, start) = (Arc::<Calls>::default(), Instant::now());
        let most = BRISK + DOUBTFUL;
        let mut those = [Slow::since(start, most), Slow::since(start, most)];
        for slow in &mut those {
            slow.owes(start, most + MS, &calls);
        }
        let owed = |slow: &mut Slow| slow.owes(start, most + 2 * MS, &calls);
        assert_eq!(owed(&mut those[0]), 60 * MS);
        let [mut one, other] = those;
        drop(other);
        assert_eq!(one.owes(start, most + 3 * MS, &calls), 80 * MS);
        drop(one);
        assert_eq!(calls.hanging.load(Ordering::Relaxed), 0);
    }
}
