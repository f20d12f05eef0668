//! How much of a processor a call gets: as much as it wants while it is brisk, a share while it may still be an honest
//! one, and after that next to nothing, when nobody else wants it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use tokio::sync::OwnedSemaphorePermit;

use crate::health::{Admission, Repute};
use crate::thread::{is_a_calls_own, step_back};

/// What a call has of a processor at full speed: several times what an honest one takes. One that hangs would take it from
/// its neighbours until its deadline. Where one failed, the plugin has none of it until a call of it ends well.
const BRISK: Duration = Duration::from_millis(4);
/// What it has after that while it may still be an honest one: in a process that has just started, or on a machine that has
/// little memory left, code must be read from the disk first.
const DOUBTFUL: Duration = Duration::from_millis(20);
/// Where one hung, the next has this of it: several times what an honest one takes, should it be one.
const AFTER_HANGING: Duration = Duration::from_millis(8);
/// It then gets this part of one processor, so that an honest call ends well before its deadline.
const DOUBTFUL_SHARE: u32 = 20;
/// One that has used all of it hangs. All of those together get this part of one, and only behind everybody else.
const HANGING_SHARE: u32 = 20;

/// How many calls of an engine are not brisk any more.
#[derive(Debug, Default)]
pub(crate) struct SlowCalls {
    doubtful: AtomicU32,
    hanging: AtomicU32,
}

impl SlowCalls {
    /// Whether some may still be honest ones, and run among their neighbours.
    pub fn some_are_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed) > 0
    }
}

/// How a call stands among those of all plugins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Its place. When it is not brisk any more it gives it to a neighbour: what it may still take of a processor is
    /// bounded in another way.
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    /// What it is taken to have used when it begins.
    head_start: Duration,
    is_expected_brisk: bool,
    hung: Arc<AtomicBool>,
}

impl Standing {
    /// Of a call that has a place, as its plugin fares.
    pub fn new(place: OwnedSemaphorePermit, admission: &Admission) -> Self {
        Self {
            place: Arc::new(Mutex::new(Some(place))),
            head_start: match admission.repute {
                Repute::Brisk | Repute::Slow => Duration::ZERO,
                Repute::Failed => BRISK,
                Repute::Hung => BRISK + DOUBTFUL - AFTER_HANGING,
            },
            is_expected_brisk: admission.repute == Repute::Brisk,
            hung: Arc::clone(&admission.hung),
        }
    }

    /// Whether the call may begin within the task that asked for it.
    pub fn is_expected_brisk(&self) -> bool {
        self.is_expected_brisk
    }

    fn give_place_away(&self) {
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// How a call goes on after a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stride {
    /// Where it is.
    On,
    /// On a thread of its own: it has just ceased to be brisk.
    Aside,
}

/// The pace of one call.
#[derive(Debug)]
pub(crate) struct Pace {
    ends: Instant,
    /// What the thread had had of a processor when it was last looked at; none where the call has changed threads.
    had: Option<Duration>,
    /// What the call has had.
    used: Duration,
    calls: Arc<SlowCalls>,
    standing: Standing,
    slow: Option<Slow>,
}

impl Pace {
    /// Of a call that begins now, on this thread, and must end at `ends`; `calls` counts the slow ones.
    pub fn start(ends: Instant, calls: &Arc<SlowCalls>, standing: &Standing) -> Self {
        Self {
            ends,
            had: Some(processor_time()),
            used: standing.head_start,
            calls: Arc::clone(calls),
            standing: standing.clone(),
            slow: None,
        }
    }

    /// Time until the call must end.
    pub fn time_left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Takes a tick: tells where the call goes on, and lets it rest if it has had its share, never beyond its end. One that
    /// others kept from the processor has not had it.
    pub fn tick(&mut self) -> Stride {
        let before = self.used;
        self.look();
        if self.used <= BRISK {
            return Stride::On;
        }
        // An honest one may be long, such as a bill's page: its neighbours are no suspects for it.
        if self.used > self.standing.head_start + BRISK + DOUBTFUL {
            self.standing.hung.store(true, Ordering::Relaxed);
        }
        let Some(slow) = &mut self.slow else {
            self.standing.give_place_away();
            self.slow = Some(Slow::doubtful(&self.calls));
            if is_a_calls_own() {
                return Stride::On;
            }
            self.had = None;
            return Stride::Aside;
        };
        let owed = slow.owes(before, self.used);
        std::thread::sleep(owed.min(self.time_left()));
        Stride::On
    }

    /// Whether the call has been brisk up to now, whatever it did: in a host function no tick comes.
    pub fn was_brisk(&mut self) -> bool {
        self.look();
        self.used - self.standing.head_start <= BRISK
    }

    fn look(&mut self) {
        let now = processor_time();
        let had = self.had.replace(now).unwrap_or(now);
        self.used += now.saturating_sub(had);
    }
}

/// A call that is not brisk any more: counted as long as it lives.
#[derive(Debug)]
struct Slow {
    calls: Arc<SlowCalls>,
    hangs: bool,
    since: Instant,
    /// How long what it has used since then should have taken.
    worth: Duration,
}

impl Slow {
    fn doubtful(calls: &Arc<SlowCalls>) -> Self {
        calls.doubtful.fetch_add(1, Ordering::Relaxed);
        let (since, worth) = (Instant::now(), Duration::ZERO);
        Self { calls: Arc::clone(calls), hangs: false, since, worth }
    }

    /// How long a call must rest that has used so much of a processor before, and so much now.
    fn owes(&mut self, before: Duration, used: Duration) -> Duration {
        let most = BRISK + DOUBTFUL;
        // Where it cannot step back, it goes on among its neighbours, in small bites.
        if used > most && !self.hangs && step_back() {
            self.hangs = true;
            self.calls.hanging.fetch_add(1, Ordering::Relaxed);
            self.calls.doubtful.fetch_sub(1, Ordering::Relaxed);
        }
        let doubtful = used.min(most).saturating_sub(before.max(BRISK));
        let hanging = used.saturating_sub(before.max(most));
        let together = self.calls.hanging.load(Ordering::Relaxed).max(1);
        self.worth += doubtful * DOUBTFUL_SHARE + hanging * HANGING_SHARE * together;
        self.worth.saturating_sub(self.since.elapsed())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let those = if self.hangs { &self.calls.hanging } else { &self.calls.doubtful };
        those.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What this thread has had of a processor, or the time of day where the system does not tell.
fn processor_time() -> Duration {
    static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
    ThreadTime::try_now().map_or_else(|_| BEGINNING.elapsed(), |time| time.as_duration())
}
