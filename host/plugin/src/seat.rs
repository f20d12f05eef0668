//! What a call runs in: a store and an instance of its own, a deadline, and a place among the calls of all plugins.

use std::ops::Deref;
use std::time::Instant;

use wasmtime::{Store, UpdateDeadline};

use crate::call::{Budget, CallError, Called, Core, Failure, Moment};
use crate::engine::{TICK, ticks};
use crate::exports::Running;
use crate::pace::{Pace, Standing};
use crate::state::CallState;

/// Where a call runs.
pub(crate) struct Seat<'c> {
    core: &'c Core,
    standing: Standing,
}

impl<'c> Seat<'c> {
    /// As the call stands among all.
    pub fn of(core: &'c Core, standing: &Standing) -> Self {
        Self { core, standing: standing.clone() }
    }

    /// Beside all turns: for benches and offline checks.
    pub fn beside(core: &'c Core) -> Self {
        Self { core, standing: Standing::default() }
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
                    pace.rest();
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
