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
/// its neighbours until its deadline. Where one failed, the next has a stretch of it.
const BRISK: Duration = Duration::from_millis(4);
/// What it has after that while it may still be an honest one: in a process that has just started, or on a machine that has
/// little memory left, code must be read from the disk first.
const DOUBTFUL: Duration = Duration::from_millis(20);
/// Where one hung, the next has this of it: several times what an honest one takes, should it be one.
const AFTER_HANGING: Duration = Duration::from_millis(8);
/// It has it in stretches of at least this length.
const STRETCH: Duration = Duration::from_millis(1);
/// It then gets this part of one processor, so that an honest call ends well before its deadline.
const DOUBTFUL_SHARE: u32 = 20;
/// One that has used all of it hangs. All of those together get this part of one.
const HANGING_SHARE: u32 = 20;
/// So long a doubtful call waits for a processor that nobody wants: as long as it rests after a stretch. On a machine that
/// has none it must run among its neighbours, or an honest one would never end.
const PATIENCE: Duration = Duration::from_millis(20);
/// So long after one waited in vain nobody waits. What waits keeps a thread until there is a processor for it, if only to
/// learn that it is not needed any more.
const IN_VAIN: Duration = Duration::from_millis(200);

/// What an engine knows of the calls that run.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    slow: AtomicU32,
    hanging: AtomicU32,
    /// Until when no doubtful call waits for a processor.
    none_to_spare: Mutex<Option<Instant>>,
}

impl Calls {
    /// Whether some are not brisk any more.
    pub fn some_are_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed) > 0
    }

    fn none_to_spare(&self) -> MutexGuard<'_, Option<Instant>> {
        self.none_to_spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_some_to_spare(&self, now: Instant) -> bool {
        self.none_to_spare().is_none_or(|until| until <= now)
    }
}

/// Where a call has its next stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// Within the task that asked for it.
    Here,
    /// On another thread.
    Aside,
    /// On a thread that has a processor only when no other wants it; aside if it has not begun by then.
    Behind(Instant),
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
            Repute::Failed => BRISK - STRETCH,
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
        let now = Instant::now();
        let slow = account.slow.get_or_insert_with(|| Slow::since(now, used, &self.calls));
        let rest = slow.owes(now, used).min(self.ends.saturating_duration_since(now));
        let doubtful = now + rest + PATIENCE;
        if slow.hangs {
            // It is waited for by nobody, until it must end.
            (rest, Where::Behind(self.ends.max(doubtful)))
        } else if self.calls.has_some_to_spare(now + rest) {
            (rest, Where::Behind(doubtful))
        } else {
            (rest, Where::Aside)
        }
    }

    /// Takes note that no processor was left over for the call.
    pub fn waited_in_vain(&self) {
        *self.calls.none_to_spare() = Some(Instant::now() + IN_VAIN);
    }

    /// Runs a stretch of the call on this thread.
    pub fn stretch<R>(&self, work: impl FnOnce() -> R) -> R {
        let began = processor_time();
        self.account().began = began;
        let done = work();
        self.account().used += processor_time().saturating_sub(began);
        done
    }

    /// Whether the stretch that runs on this thread is long enough. One that others kept from the processor is not.
    pub fn is_to_pause(&self) -> bool {
        let account = self.account();
        let had = processor_time().saturating_sub(account.began);
        had >= BRISK.saturating_sub(account.used).max(STRETCH)
    }

    /// Whether the call has been brisk up to now.
    pub fn was_brisk(&self) -> bool {
        self.account().used - self.head_start <= BRISK
    }
}

/// A call that is not brisk any more: counted as long as it lives.
#[derive(Debug)]
struct Slow {
    calls: Arc<Calls>,
    since: Instant,
    /// What the call had used when this was last looked at.
    seen: Duration,
    /// How long what it has used since then should have taken.
    worth: Duration,
    hangs: bool,
}

impl Slow {
    fn since(since: Instant, seen: Duration, calls: &Arc<Calls>) -> Self {
        calls.slow.fetch_add(1, Ordering::Relaxed);
        Self { calls: Arc::clone(calls), since, seen, worth: Duration::ZERO, hangs: false }
    }

    /// How long a call must rest now that has used so much.
    fn owes(&mut self, now: Instant, used: Duration) -> Duration {
        let share = match self.hangs {
            false => DOUBTFUL_SHARE,
            true => HANGING_SHARE * self.calls.hanging.load(Ordering::Relaxed).max(1),
        };
        self.worth += used.saturating_sub(self.seen) * share;
        self.seen = used;
        if used > BRISK + DOUBTFUL && !self.hangs {
            self.hangs = true;
            self.calls.hanging.fetch_add(1, Ordering::Relaxed);
        }
        self.worth.saturating_sub(now.saturating_duration_since(self.since))
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.calls.slow.fetch_sub(1, Ordering::Relaxed);
        self.calls.hanging.fetch_sub(u32::from(self.hangs), Ordering::Relaxed);
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
    use crate::call::CallError;
    use crate::health::{Lane, Ward};
    use crate::limits::Limits;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_slow_call_rests_as_its_share_wants() {
        let (calls, start) = (Arc::<Calls>::default(), Instant::now());
        let mut slow = Slow::since(start, BRISK, &calls);
        assert_eq!(slow.owes(start, BRISK), Duration::ZERO);
        assert_eq!(slow.owes(start + MS, BRISK + MS), 19 * MS);
        // Who was kept from the processor has rested meanwhile.
        assert_eq!(slow.owes(start + 50 * MS, BRISK + 2 * MS), Duration::ZERO);
        assert_eq!(slow.owes(start + 50 * MS, BRISK + 3 * MS), 10 * MS);
    }

    #[test]
    fn those_that_hang_share_one_share() {
        let (calls, start) = (Arc::<Calls>::default(), Instant::now());
        let most = BRISK + DOUBTFUL;
        let mut those = [Slow::since(start, most, &calls), Slow::since(start, most, &calls)];
        for slow in &mut those {
            slow.owes(start, most + MS);
        }
        assert_eq!(those[0].owes(start, most + 2 * MS), 60 * MS);
        let [mut one, other] = those;
        drop(other);
        assert_eq!(one.owes(start, most + 3 * MS), 80 * MS);
        assert!(calls.some_are_slow());
        drop(one);
        assert!(!calls.some_are_slow());
        assert_eq!(calls.hanging.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn where_a_call_goes_on() {
        let (calls, ward) = (Arc::<Calls>::default(), Ward::default());
        let hour = Duration::from_secs(3600);
        let places = Arc::new(tokio::sync::Semaphore::new(1));
        let begin = async || {
            let place = Arc::clone(&places).acquire_owned().await.unwrap();
            let admission = ward.admit(Lane::Requests, Instant::now()).unwrap();
            Pace::new(Instant::now() + hour, &calls, place, &admission)
        };
        let has_used = |pace: &Pace, used| pace.account().used = used;
        let pace = begin().await;
        assert_eq!(pace.next(), (Duration::ZERO, Where::Here));
        assert_eq!(places.available_permits(), 0);

        // Doubtful: its place is another's, and it waits for a processor, but not when one waited in vain just now.
        has_used(&pace, BRISK + MS);
        let (rest, Where::Behind(until)) = pace.next() else { panic!("it waits for nobody") };
        assert!(rest.is_zero() && until < Instant::now() + hour);
        assert_eq!(places.available_permits(), 1);
        pace.waited_in_vain();
        assert_eq!(pace.next().1, Where::Aside);

        // It hangs: it waits until its end. The next call of its plugin is taken for one of those.
        has_used(&pace, 2 * (BRISK + DOUBTFUL));
        assert!(matches!(pace.next().1, Where::Behind(until) if until == pace.ends));
        drop(pace);
        assert_eq!(begin().await.next().1, Where::Aside, "it still waits for nobody");
        *calls.none_to_spare() = None;
        assert!(matches!(begin().await.next().1, Where::Behind(_)));

        // Where one only failed, the next has one stretch among the others.
        ward.note(Lane::Requests, None, &Limits::default(), Instant::now());
        let trap = CallError::Trap { reason: String::new() };
        ward.note(Lane::Requests, Some(&trap), &Limits::default(), Instant::now());
        let pace = begin().await;
        assert_eq!(pace.next(), (Duration::ZERO, Where::Aside));
        has_used(&pace, BRISK);
        assert!(matches!(pace.next().1, Where::Behind(_)) && pace.was_brisk());
    }
}
