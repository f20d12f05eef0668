//! How much of a processor a call gets: as much as it wants for as long as an honest one needs it, and little after that.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::OwnedSemaphorePermit;

/// What a call has of a processor at full speed: several times what an honest one takes. One that hangs would take it from
/// its neighbours until its deadline.
const BRISK: Duration = Duration::from_millis(4);
/// From then on it rests so many times as long as it ran, for each call that is like it: all of them together get a twentieth
/// of one processor.
const RESTS: u32 = 20;
/// But where it takes memory it rests no longer than this: a call that takes all gets to its limit before its deadline.
const REST_OF_GROWTH: Duration = Duration::from_millis(10);

/// The place of a call among those of all plugins. One that is not brisk any more gives it to a neighbour: what it may still
/// take of a processor is bounded in another way.
pub(crate) type Place = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// The pace of one call.
#[derive(Debug)]
pub(crate) struct Pace {
    ends: Instant,
    /// What the thread had had of a processor when the call began or last rested.
    had: Duration,
    left: Duration,
    calls: Arc<AtomicU32>,
    place: Place,
    slow: Option<Slow>,
}

impl Pace {
    /// Of a call that begins now, on this thread, and must end at `ends`; `calls` counts the slow ones.
    pub fn start(ends: Instant, calls: &Arc<AtomicU32>, place: &Place) -> Self {
        let (calls, place) = (Arc::clone(calls), Arc::clone(place));
        Self { ends, had: processor_time(), left: BRISK, calls, place, slow: None }
    }

    /// Time until the call must end.
    pub fn time_left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// Rests after a tick, if the call has had its time; never beyond its end. One that others kept from the processor has
    /// not had it.
    pub fn rest(&mut self) {
        self.rest_at_most(Duration::MAX);
    }

    /// Rests before the call gets more memory. Fresh pages are dear: one that takes many would run for long between ticks.
    pub fn rest_of_growth(&mut self) {
        self.rest_at_most(REST_OF_GROWTH);
    }

    fn rest_at_most(&mut self, most: Duration) {
        let ran = processor_time().saturating_sub(self.had);
        self.had += ran;
        let beyond = ran.saturating_sub(self.left);
        self.left = self.left.saturating_sub(ran);
        if beyond.is_zero() {
            return;
        }
        let slow = self.slow.get_or_insert_with(|| Slow::count(&self.calls, &self.place));
        let rest = beyond.saturating_mul(RESTS).saturating_mul(slow.together());
        std::thread::sleep(rest.min(most).min(self.time_left()));
    }
}

/// A call that is not brisk any more: counted as long as it lives.
#[derive(Debug)]
struct Slow(Arc<AtomicU32>);

impl Slow {
    fn count(calls: &Arc<AtomicU32>, place: &Place) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
        Self(Arc::clone(calls))
    }

    fn together(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
