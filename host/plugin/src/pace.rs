//! How much of a processor a call gets: as much as it wants while it is brisk, a share while it may still be an honest one,
//! and next to nothing after that.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use tokio::sync::OwnedSemaphorePermit;

use crate::health::Admission;

/// What a call has of a processor at full speed: several times what an honest one takes. One that hangs would take it from
/// its neighbours until its deadline. Where one hung, the plugin has none of it until a call of it ends well.
const BRISK: Duration = Duration::from_millis(4);
/// What it has after that while it may still be an honest one: in a process that has just started, or on a machine that has
/// little memory left, code must be read from the disk first. A plugin that failed has none of this either.
const DOUBTFUL: Duration = Duration::from_millis(20);
/// It then gets this part of one processor, so that an honest call ends well before its deadline.
const DOUBTFUL_SHARE: u32 = 20;
/// One that has used all of it hangs. All of those together get this part of one.
const HANGING_SHARE: u32 = 20;
/// But where it takes memory it rests no longer than this: a call that takes all gets to its limit before its deadline.
const REST_OF_GROWTH: Duration = Duration::from_millis(10);

/// How a call stands among those of all plugins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// Its place. When it is not brisk any more it gives it to a neighbour: what it may still take of a processor is
    /// bounded in another way.
    place: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    /// What it is taken to have used when it begins.
    head_start: Duration,
    hung: Arc<AtomicBool>,
}

impl Standing {
    /// Of a call that has a place, as its plugin fares.
    pub fn new(place: OwnedSemaphorePermit, admission: &Admission) -> Self {
        Self {
            place: Arc::new(Mutex::new(Some(place))),
            head_start: match admission {
                Admission { alone: true, .. } => BRISK + DOUBTFUL,
                Admission { suspect: true, .. } => BRISK,
                _ => Duration::ZERO,
            },
            hung: Arc::clone(&admission.hung),
        }
    }

    fn give_place_away(&self) {
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The pace of one call.
#[derive(Debug)]
pub(crate) struct Pace {
    ends: Instant,
    /// What the thread had had of a processor when the call began, or when it was last looked at.
    had: Duration,
    /// What the call has had.
    used: Duration,
    calls: Arc<AtomicU32>,
    standing: Standing,
    slow: Option<Slow>,
}

impl Pace {
    /// Of a call that begins now, on this thread, and must end at `ends`; `calls` counts the slow ones.
    pub fn start(ends: Instant, calls: &Arc<AtomicU32>, standing: &Standing) -> Self {
        Self {
            ends,
            had: processor_time(),
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

    /// Rests after a tick, if the call has had its share; never beyond its end. One that others kept from the processor has
    /// not had it.
    pub fn rest(&mut self) {
        self.rest_at_most(Duration::MAX);
    }

    /// Rests before the call gets more memory. Fresh pages are dear: one that takes many would run for long between ticks.
    pub fn rest_of_growth(&mut self) {
        self.rest_at_most(REST_OF_GROWTH);
    }

    fn rest_at_most(&mut self, most: Duration) {
        let now = processor_time();
        let before = self.used;
        self.used += now.saturating_sub(self.had);
        self.had = now;
        if self.used <= BRISK {
            return;
        }
        // An honest one may be long, such as a bill's page: its neighbours are no suspects for it.
        if self.used > self.standing.head_start + BRISK + DOUBTFUL {
            self.standing.hung.store(true, Ordering::Relaxed);
        }
        let slow = self.slow.get_or_insert_with(|| {
            self.standing.give_place_away();
            Slow::count(&self.calls)
        });
        let owed = slow.owes(before, self.used);
        std::thread::sleep(owed.min(most).min(self.time_left()));
    }
}

/// A call that is not brisk any more: counted as long as it lives.
#[derive(Debug)]
struct Slow {
    calls: Arc<AtomicU32>,
    since: Instant,
    /// How long what it has used since then should have taken.
    worth: Duration,
}

impl Slow {
    fn count(calls: &Arc<AtomicU32>) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        Self { calls: Arc::clone(calls), since: Instant::now(), worth: Duration::ZERO }
    }

    /// How long a call must rest that has used so much of a processor before, and so much now.
    fn owes(&mut self, before: Duration, used: Duration) -> Duration {
        let hangs = BRISK + DOUBTFUL;
        let doubtful = used.min(hangs).saturating_sub(before.max(BRISK));
        let hanging = used.saturating_sub(before.max(hangs));
        let together = self.calls.load(Ordering::Relaxed);
        self.worth += doubtful * DOUBTFUL_SHARE + hanging * HANGING_SHARE * together;
        self.worth.saturating_sub(self.since.elapsed())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What this thread has had of a processor. Where the system does not tell, no call is ever slow.
fn processor_time() -> Duration {
    ThreadTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}
