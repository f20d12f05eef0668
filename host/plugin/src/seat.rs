//! What a call runs in: a store and an instance of its own, a deadline, and a place among the calls of all plugins.

use std::mem;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

use crate::call::{Budget, CallError, Called, Core, Failure, Moment};
use crate::engine::{TICK, ticks};
use crate::exports::Running;
use crate::pace::Pace;
use crate::state::CallState;
use crate::thread::to_its_end;

/// Where a call runs.
pub(crate) struct Seat {
    core: Arc<Core>,
    pace: Arc<Pace>,
}

/// A call that has begun: an instance of its own, for one function.
pub(crate) struct Run {
    store: Store<CallState>,
    instance: Instance,
    started: Instant,
    starting: Duration,
}

/// A call that has ended. Dropping it clears the instance away.
pub(crate) struct Ended<T> {
    pub answer: Result<Called<T>, CallError>,
    _store: Store<CallState>,
}

impl Seat {
    /// Of a call at this pace.
    pub fn of(core: &Arc<Core>, pace: &Arc<Pace>) -> Self {
        Self { core: Arc::clone(core), pace: Arc::clone(pace) }
    }

    /// Runs a call on this thread, beside all turns, for so long at most: for benches and offline checks.
    pub fn beside<R, F>(core: &Arc<Core>, deadline: Duration, call: impl FnOnce(Seat) -> F) -> R
    where
        F: Future<Output = R>,
    {
        let pace = Pace::beside(Instant::now() + deadline, &core.desk.clockwork.calls);
        let pace = Arc::new(pace);
        to_its_end(&pace, call(Self::of(core, &pace)))
    }

    /// Makes an instance.
    pub async fn begin(&self, budget: Budget, context: &Moment) -> Result<Run, CallError> {
        let started = Instant::now();
        let mut store = self.store(budget, context, started);
        match self.pre.instance_pre().instantiate_async(&mut store).await {
            Ok(instance) => Ok(Run { instance, started, starting: started.elapsed(), store }),
            Err(error) => Err(Failure::Start(error).told(store.data())),
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
            Budget::Pace => {
                let pace = Arc::clone(&self.pace);
                store.set_epoch_deadline(1);
                store.epoch_deadline_callback(move |_| {
                    Ok(if pace.time_left().is_zero() {
                        UpdateDeadline::Interrupt
                    } else if pace.is_to_pause() {
                        UpdateDeadline::Yield(1)
                    } else {
                        UpdateDeadline::Continue(1)
                    })
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

impl Run {
    /// What a function is called on.
    pub fn on(&mut self) -> Running<'_> {
        Running { store: &mut self.store, instance: &self.instance }
    }

    /// Ends it with what the function gave. The instance is still there.
    pub fn end<T>(mut self, answer: wasmtime::Result<T>) -> Ended<T> {
        let took = self.started.elapsed();
        let answer = answer.map_err(|error| Failure::Run(error).told(self.store.data()));
        let state = self.store.data_mut();
        let answer = answer.map(|answer| Called {
            answer,
            memory: state.ledger.memory(),
            audit: mem::take(&mut state.audit),
            logs: mem::take(&mut state.logs),
            missing: state.missing.take(),
            in_keys: state.in_keys,
            starting: self.starting,
            took,
        });
        Ended { answer, _store: self.store }
    }
}

impl Deref for Seat {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
