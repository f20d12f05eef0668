//! One call: its turn among the others, and what is told when it fails. What it runs in is [`crate::seat`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::Linker;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};

use crate::contract::{Context, ProviderPlugin, ProviderPluginPre};
use crate::engine::{Clockwork, INSTANCES};
use crate::exports::Exports;
use crate::health::{Lane, Ward};
use crate::keys::{KeyUse, MissingKey};
use crate::limits::Limits;
use crate::pace::Pace;
use crate::seat::{Ended, Seat};
use crate::state::{CallState, LogLine};
use crate::thread::{self, Moving, to_its_end};
use crate::witness::Witness;

/// What a call gave, and what the host saw of it.
#[derive(Debug, Clone)]
pub struct Called<T> {
    /// The plugin's answer.
    pub answer: T,
    /// Each use of a key.
    pub audit: Vec<KeyUse>,
    /// What the plugin logged.
    pub logs: Vec<LogLine>,
    /// A key that was looked for and is not there: run `fetch-keys`, then repeat the call.
    pub missing: Option<MissingKey>,
    /// Time in the plugin.
    pub took: Duration,
    /// The part of it that its signatures and verifications took.
    pub in_keys: Duration,
    /// The part of it before the instance stood.
    pub starting: Duration,
    /// Linear memory that the instance grew to, in bytes.
    pub memory: usize,
}

impl<T> Called<T> {
    /// Whether the host itself saw a signature hold in this call: a key verified something, or opened something that
    /// only the other holder of the key can have sealed. What the plugin could have signed or sealed itself, now or in
    /// an earlier call, proves nothing, nor does comparing a shared word.
    pub fn signature_held(&self) -> bool {
        self.audit.iter().any(|used| {
            used.ok
                && matches!(used.operation.as_str(), "verify" | "open")
                && used.algorithm != "equal"
                && !used.forgeable
        })
    }
}

/// Why a call gave no answer. Before anything was sent it is a failed call; after it, an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The plugin broke down, or asked for more than a call may have.
    #[error("the plugin trapped: {reason}")]
    Trap {
        /// What it died of, with the names of its functions and the end of its error output.
        reason: String,
    },
    /// It ran for too long.
    #[error("the plugin ran out of time")]
    Deadline,
    /// It wanted more memory than a call may have.
    #[error("the plugin ran out of memory")]
    Memory,
    /// No turn came up in time.
    #[error("too many plugin calls are waiting")]
    Busy,
    /// The plugin is in quarantine.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The host failed, not the plugin.
    #[error("the plugin could not be run: {0}")]
    Host(String),
}

impl CallError {
    /// Whether it is the plugin's doing.
    pub fn is_the_plugins(&self) -> bool {
        matches!(self, CallError::Trap { .. } | CallError::Deadline | CallError::Memory)
    }

    /// What happened, for a merchant: without the plugin's inside or the host's.
    pub fn in_short(&self) -> &'static str {
        match self {
            CallError::Trap { .. } => "the plugin trapped",
            CallError::Deadline => "the plugin ran out of time",
            CallError::Memory => "the plugin ran out of memory",
            CallError::Busy => "too many plugin calls are waiting",
            CallError::Refused { .. } => "the plugin is in quarantine",
            CallError::Host(_) => "the plugin could not be run",
        }
    }
}

/// Calls that read bills at once. They have turns of their own, so that a long bill never delays a payment.
const BILL_TURNS: usize = 2;

/// Calls of one plugin for each place at once, most of which have ceased to be brisk.
const TURNS_FOR_A_PLACE: usize = 4;
/// But never so many that one plugin takes all instances.
const MOST_TURNS: usize = INSTANCES as usize / 4;

/// How long a call may take to tell that it has ended, after its deadline.
const OVERTIME: Duration = Duration::from_millis(200);

/// What all plugins share.
pub(crate) struct Desk {
    pub limits: Arc<Limits>,
    pub clockwork: Clockwork,
    pub linker: Linker<CallState>,
    turns: Arc<Semaphore>,
    bill_turns: Arc<Semaphore>,
    concurrency: usize,
}

impl Desk {
    pub fn new(
        limits: Limits,
        concurrency: usize,
        witness: Option<&Witness>,
    ) -> wasmtime::Result<Self> {
        let clockwork = match witness {
            Some(witness) => Clockwork::watched(witness)?,
            None => Clockwork::start(&limits)?,
        };
        let mut linker = Linker::new(&clockwork.engine);
        ProviderPlugin::add_to_linker::<_, wasmtime::component::HasSelf<_>>(
            &mut linker,
            |state: &mut CallState| state,
        )?;
        crate::deny_wasi::add_to_linker(&mut linker)?;
        let concurrency = concurrency.max(2);
        Ok(Self {
            limits: Arc::new(limits),
            clockwork,
            linker,
            turns: Arc::new(Semaphore::new(concurrency)),
            bill_turns: Arc::new(Semaphore::new(BILL_TURNS)),
            concurrency,
        })
    }
}

/// A plugin's code, ready to be run.
pub(crate) struct Core {
    pub desk: Arc<Desk>,
    pub pre: ProviderPluginPre<CallState>,
    pub exports: Exports,
    pub ward: Ward,
    turns: Arc<Semaphore>,
    bill_turns: Arc<Semaphore>,
    alone: [Arc<Semaphore>; 3],
}

/// What ends a call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Budget {
    /// Its pace: how long it may take in all.
    Pace,
    /// Time between two reads, and in all.
    Progress(Duration, Duration),
}

/// A call's own permits, and its pace among all.
struct Turn {
    _own: Vec<OwnedSemaphorePermit>,
    pace: Arc<Pace>,
}

impl Core {
    pub fn new(desk: Arc<Desk>, pre: ProviderPluginPre<CallState>) -> wasmtime::Result<Self> {
        let one = || Arc::new(Semaphore::new(1));
        Ok(Self {
            // Calls that hang keep their turn, and have given their place away.
            turns: Arc::new(Semaphore::new((desk.concurrency * TURNS_FOR_A_PLACE).min(MOST_TURNS))),
            bill_turns: Arc::new(Semaphore::new(BILL_TURNS - 1)),
            alone: [one(), one(), one()],
            ward: Ward::default(),
            desk,
            exports: Exports::of(pre.instance_pre().component())?,
            pre,
        })
    }

    /// Runs a call when its turn comes. Dropping the future does not stop a call that has begun: a guest is never cut off
    /// half way, and its permits are given back when it has ended.
    pub async fn submit<T, F>(
        self: &Arc<Self>,
        lane: Lane,
        call: impl FnOnce(Seat) -> F,
    ) -> Result<Called<T>, CallError>
    where
        T: Send + 'static,
        F: Future<Output = Result<Ended<T>, CallError>> + Send + 'static,
    {
        let alone = self.ward.admit(lane, Instant::now())?.alone;
        let Limits { queue_wait, call_deadline, .. } = *self.desk.limits;
        let turn = tokio::time::timeout(queue_wait, self.turn(lane, alone))
            .await
            .map_err(|_| CallError::Busy)??;
        let (core, pace) = (Arc::clone(self), Arc::clone(&turn.pace));
        let running = call(Seat::of(self, &pace));
        let call: Moving<T> =
            Box::pin(async move { Finished { ended: Some(running.await), core, lane, turn } });
        match lane {
            // It waits for the disk and for the store.
            Lane::Bills => tokio::task::spawn_blocking(move || to_its_end(&pace, call).settle())
                .await
                .map_err(|error| CallError::Host(error.to_string()))?,
            _ => thread::run(call, pace, call_deadline + OVERTIME).await?.settle(),
        }
    }

    async fn turn(&self, lane: Lane, alone: bool) -> Result<Turn, CallError> {
        let closed = |_| CallError::Host("the gateway is closing".into());
        let mut held = Vec::with_capacity(2);
        if alone {
            let own = match lane {
                Lane::Requests => &self.alone[0],
                Lane::Notices => &self.alone[1],
                Lane::Bills => &self.alone[2],
            };
            held.push(Arc::clone(own).acquire_owned().await.map_err(closed)?);
        }
        let (own, shared) = match lane {
            Lane::Requests | Lane::Notices => (&self.turns, &self.desk.turns),
            Lane::Bills => (&self.bill_turns, &self.desk.bill_turns),
        };
        // Its own first: whoever waits for the shared ones holds none of them.
        held.push(Arc::clone(own).acquire_owned().await.map_err(closed)?);
        let place = Arc::clone(shared).acquire_owned().await.map_err(closed)?;
        // While it waited, the calls before may have sent the plugin into quarantine.
        let admission = self.ward.admit(lane, Instant::now())?;
        let ends = Instant::now() + self.desk.limits.call_deadline;
        let pace = Pace::new(ends, &self.desk.clockwork.calls, place, &admission);
        Ok(Turn { _own: held, pace: Arc::new(pace) })
    }
}

/// A call that has ended, with what is still to be done about it: clearing up, putting the end into the plugin's records,
/// giving the turn back. It is done when this is settled, or dropped because nobody waits any more.
pub(crate) struct Finished<T> {
    ended: Option<Result<Ended<T>, CallError>>,
    core: Arc<Core>,
    lane: Lane,
    turn: Turn,
}

impl<T> Finished<T> {
    /// Does it, and gives the answer.
    pub fn settle(mut self) -> Result<Called<T>, CallError> {
        self.close().unwrap_or_else(|| Err(CallError::Host("the call ended twice".into())))
    }

    /// Does it for a call whose caller has been told that it ran out of time, however it ended since.
    pub fn too_late(mut self) {
        if let Some(Ok(ended)) = &mut self.ended {
            ended.answer = Err(CallError::Deadline);
        }
    }

    fn close(&mut self) -> Option<Result<Called<T>, CallError>> {
        let now = Instant::now();
        let answer = self.ended.take()?.and_then(|ended| ended.answer);
        let ward = &self.core.ward;
        ward.note_pace(self.lane, self.turn.pace.was_brisk());
        ward.note(self.lane, answer.as_ref().err(), &self.core.desk.limits, now);
        Some(answer)
    }
}

impl<T> Drop for Finished<T> {
    fn drop(&mut self) {
        self.close();
    }
}

/// The clock and the chance of a call.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub now_ms: i64,
    pub nonce: String,
}

impl From<&Context> for Moment {
    fn from(context: &Context) -> Self {
        Self { now_ms: context.now_ms, nonce: context.nonce.clone() }
    }
}

pub(crate) enum Failure {
    Start(wasmtime::Error),
    Run(wasmtime::Error),
}

/// Longest reason that is told.
const LONGEST_REASON: usize = 2000;

impl Failure {
    pub fn told(&self, state: &CallState) -> CallError {
        let (Failure::Start(error) | Failure::Run(error)) = self;
        if error.is::<PoolConcurrencyLimitError>() {
            return CallError::Busy;
        }
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            return CallError::Deadline;
        }
        if state.ledger.refused {
            return CallError::Memory;
        }
        match (self, trap) {
            (Failure::Start(error), None) => CallError::Host(format!("{error:#}")),
            _ => CallError::Trap { reason: reason(error, state) },
        }
    }
}

fn reason(error: &wasmtime::Error, state: &CallState) -> String {
    let mut reason = error.root_cause().to_string();
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        let names: Vec<&str> =
            trace.frames().iter().take(8).filter_map(wasmtime::FrameInfo::func_name).collect();
        if !names.is_empty() {
            reason = format!("{reason}, in {}", names.join(" < "));
        }
    }
    let stderr = state.stderr();
    if !stderr.is_empty() {
        reason = format!("{reason}; it wrote: {stderr}");
    }
    reason.chars().take(LONGEST_REASON).collect()
}
