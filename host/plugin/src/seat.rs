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
use crate::pace::{Pace, Standing, Stride};
use crate::state::CallState;

/// Where a call runs.
pub(crate) struct Seat {
    core: Arc<Core>,
    standing: Standing,
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
    /// Whether it took no more of a processor than a brisk call does.
    pub was_brisk: bool,
    _store: Store<CallState>,
}

impl Seat {
    /// As the call stands among all.
    pub fn of(core: &Arc<Core>, standing: &Standing) -> Self {
        Self { core: Arc::clone(core), standing: standing.clone() }
    }

    /// Beside all turns: for benches and offline checks.
    pub fn beside(core: &Arc<Core>) -> Self {
        Self { core: Arc::clone(core), standing: Standing::default() }
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
            Budget::Once(deadline) => {
                let slow = &self.desk.clockwork.slow;
                let pace = Pace::start(started + deadline, slow, &self.standing);
                store.data_mut().ledger.pace = Some(pace);
                store.set_epoch_deadline(1);
                store.epoch_deadline_callback(|mut context| {
                    let Some(pace) = &mut context.data_mut().ledger.pace else {
                        return Ok(UpdateDeadline::Interrupt);
                    };
                    if pace.time_left().is_zero() {
                        return Ok(UpdateDeadline::Interrupt);
                    }
                    Ok(match pace.tick() {
                        Stride::On => UpdateDeadline::Continue(1),
                        Stride::Aside => UpdateDeadline::Yield(1),
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
        let was_brisk = state.ledger.pace.as_mut().is_none_or(Pace::was_brisk);
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
        Ended { answer, was_brisk, _store: self.store }
    }
}

impl Deref for Seat {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}
