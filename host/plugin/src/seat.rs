//! What a call runs in: a store and an instance of its own, a deadline, and a place among the calls of all plugins.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::{Store, UpdateDeadline};

use crate::call::{Budget, CallError, Called, Core, Failure, Moment};
use crate::engine::{TICK, ticks};
use crate::exports::Running;
use crate::state::CallState;

/// How much of a processor a call has at full speed: many times what an honest one takes. One that hangs would take it from
/// its neighbours until its deadline, so from then on it rests after each tick, the longer the more calls are like it: all of
/// them together get a tenth of one.
const BRISK: Duration = Duration::from_millis(5);
const REST: Duration = Duration::from_millis(45);

/// The place of a call among those of all plugins. One that is not brisk any more gives it to a neighbour: what it may still
/// take of a processor is bounded in another way.
pub(crate) type Place = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// A call that is not brisk any more: counted as long as it lives.
struct Slow(Arc<AtomicU32>);

impl Slow {
    fn count(calls: &Arc<AtomicU32>, place: &Place) -> Self {
        calls.fetch_add(1, Ordering::Relaxed);
        drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
        Self(Arc::clone(calls))
    }

    /// How long it rests now.
    fn rest(&self) -> Duration {
        REST.saturating_mul(self.0.load(Ordering::Relaxed))
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

/// Where a call runs.
pub(crate) struct Seat<'c> {
    core: &'c Core,
    place: Place,
}

impl<'c> Seat<'c> {
    /// In a place that the call has among all.
    pub fn of(core: &'c Core, place: &Place) -> Self {
        Self { core, place: Arc::clone(place) }
    }

    /// Beside all turns: for benches and offline checks.
    pub fn beside(core: &'c Core) -> Self {
        Self { core, place: Place::default() }
    }
}

impl Seat<'_> {
    /// Runs a call on this thread.
    pub fn run<T>(
        &self,
        budget: Budget,
        context: &Moment,
        call: impl FnOnce(Running<'_>) -> wasmtime::Result<T>,
    ) -> Result<Called<T>, CallError> {
        let started = Instant::now();
        let mut store = self.store(budget, context, started);
        let made = self.pre.instance_pre().instantiate(&mut store).map_err(Failure::Start);
        let starting = started.elapsed();
        let answer = made.and_then(|instance| {
            call(Running { store: &mut store, instance: &instance }).map_err(Failure::Run)
        });
        match answer {
            Ok(answer) => {
                let state = store.into_data();
                Ok(Called {
                    answer,
                    memory: state.ledger.memory(),
                    audit: state.audit,
                    logs: state.logs,
                    missing: state.missing,
                    in_keys: state.in_keys,
                    starting,
                    took: started.elapsed(),
                })
            }
            Err(failure) => Err(failure.told(store.data())),
        }
    }

    fn store(&self, budget: Budget, context: &Moment, started: Instant) -> Store<CallState> {
        let limits = &self.desk.limits;
        let state = CallState::new(limits, context.now_ms, &context.nonce);
        let mut store = Store::new(&self.desk.clockwork.engine, state);
        store.limiter(|state| &mut state.ledger);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        match budget {
            Budget::Once(deadline) => {
                store.set_epoch_deadline(ticks(BRISK.min(deadline)));
                let (calls, place) = (Arc::clone(&self.desk.slow), Arc::clone(&self.place));
                let (before, mut slow) = (processor_time(), None);
                store.epoch_deadline_callback(move |_| {
                    let left = deadline.saturating_sub(started.elapsed());
                    if left.is_zero() {
                        return Ok(UpdateDeadline::Interrupt);
                    }
                    // One that others kept from the processor has not had its time yet.
                    if processor_time().saturating_sub(before) < BRISK {
                        return Ok(UpdateDeadline::Continue(1));
                    }
                    let slow = slow.get_or_insert_with(|| Slow::count(&calls, &place));
                    std::thread::sleep(slow.rest().min(left));
                    Ok(UpdateDeadline::Continue(1))
                });
            }
            Budget::Progress(gap, wall) => {
                store.set_epoch_deadline(ticks(gap));
                store.epoch_deadline_callback(move |context| {
                    let idle = context.data().progress.elapsed();
                    if idle >= gap || started.elapsed() >= wall {
                        return Ok(UpdateDeadline::Interrupt);
                    }
                    let left = (gap - idle).min(wall - started.elapsed().min(wall));
                    Ok(UpdateDeadline::Continue(ticks(left.max(TICK))))
                });
            }
        }
        store
    }
}

impl Deref for Seat<'_> {
    type Target = Core;

    fn deref(&self) -> &Core {
        self.core
    }
}
