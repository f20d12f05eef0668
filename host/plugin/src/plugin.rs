//! A loaded plugin: its manifest, and its functions as calls.

use std::sync::Arc;
use std::time::Instant;

use crate::bill::{BillSink, BillSource};
use crate::call::{Budget, CallError, Called, Core, Moment};
use crate::contract::{
    BillRequest, Context, Fault, HttpResponse, Inbound, Manifest, Operation, Payment, Progress,
    ProviderPlugin, Reading, Reply, Step, Summary, Verdict,
};
use crate::exports::Running;
use crate::health::{Health, Lane};
use crate::keys::Keys;
use crate::seat::{Ended, Seat};

/// One version of one provider's plugin. Calls in flight keep it alive after another version took its place.
pub struct Plugin {
    pub(crate) core: Arc<Core>,
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    pub(crate) imports: Vec<String>,
    pub(crate) file: String,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("id", &self.manifest.id)
            .field("version", &self.manifest.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Who it is and what it asks for, checked.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of its file, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The interfaces that it imports.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// The file's name in the folder.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How its calls fare, by kind.
    pub fn health(&self) -> Vec<Health> {
        self.core.ward.health(Instant::now())
    }

    /// Whether instances come from the pool; without it a fresh one costs more.
    pub fn pooled(&self) -> bool {
        self.core.desk.clockwork.pooled()
    }

    /// The next request of an operation, or its outcome. The state is empty at first.
    ///
    /// # Errors
    /// When the call gave no answer. Nothing was sent, so it failed.
    pub async fn build(
        &self,
        context: Context,
        keys: &Arc<Keys>,
        operation: &Operation,
        state: Vec<u8>,
    ) -> Result<Called<Result<Step, Fault>>, CallError> {
        let (keys, operation) = (Arc::clone(keys), operation.clone());
        let call = async move |seat: Seat| build(seat, &context, &keys, &operation, &state).await;
        self.core.submit(Lane::Requests, call).await
    }

    /// The same on this thread, without waiting for a turn: for benches and offline checks.
    ///
    /// # Errors
    /// As [`Plugin::build`].
    pub fn build_here(
        &self,
        context: &Context,
        keys: &Arc<Keys>,
        operation: &Operation,
        state: &[u8],
    ) -> Result<Called<Result<Step, Fault>>, CallError> {
        self.here(|seat| build(seat, context, keys, operation, state))
    }

    /// What an answer means. The request was sent, so without an answer of the plugin the outcome is unknown.
    ///
    /// # Errors
    /// When the call gave no answer.
    pub async fn interpret(
        &self,
        context: Context,
        keys: &Arc<Keys>,
        operation: &Operation,
        state: Vec<u8>,
        response: HttpResponse,
    ) -> Result<Called<Result<Progress, Fault>>, CallError> {
        let (keys, operation) = (Arc::clone(keys), operation.clone());
        let call = async move |seat: Seat| {
            let mut run = seat.begin(Budget::Pace, &Moment::from(&context)).await?;
            let answered = (state.as_slice(), &response);
            let answer = seat.exports.interpret(run.on(), &context, &keys, &operation, answered);
            let answer = answer.await;
            Ok(run.end(answer))
        };
        self.core.submit(Lane::Requests, call).await
    }

    /// What a message says, with its signature checked through the host.
    ///
    /// # Errors
    /// When the call gave no answer: the message is kept, and the provider is not told success.
    pub async fn read(
        &self,
        context: Context,
        keys: &Arc<Keys>,
        message: Inbound,
        about: Option<Payment>,
        answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Result<Called<Result<Reading, Fault>>, CallError> {
        let keys = Arc::clone(keys);
        let call = async move |seat: Seat| {
            read(seat, &context, &keys, &message, about.as_ref(), answer.as_ref()).await
        };
        self.core.submit(Lane::Notices, call).await
    }

    /// The same on this thread, without waiting for a turn: for benches and offline checks.
    ///
    /// # Errors
    /// As [`Plugin::read`].
    pub fn read_here(
        &self,
        context: &Context,
        keys: &Arc<Keys>,
        message: &Inbound,
        about: Option<&Payment>,
    ) -> Result<Called<Result<Reading, Fault>>, CallError> {
        self.here(|seat| read(seat, context, keys, message, about, None))
    }

    /// What this provider wants to hear.
    ///
    /// # Errors
    /// When the call gave no answer: the host answers in its own words, and not success.
    pub async fn acknowledge(
        &self,
        context: Context,
        keys: &Arc<Keys>,
        message: Inbound,
        verdict: Verdict,
    ) -> Result<Called<Reply>, CallError> {
        let keys = Arc::clone(keys);
        let call = async move |seat: Seat| {
            let mut run = seat.begin(Budget::Pace, &Moment::from(&context)).await?;
            let answer = seat.exports.acknowledge(run.on(), &context, &keys, &message, verdict);
            let answer = answer.await;
            Ok(run.end(answer))
        };
        self.core.submit(Lane::Notices, call).await
    }

    /// Reads a bill through. Its deadline starts again with each piece that it reads.
    ///
    /// # Errors
    /// When the call gave no answer; the rows that came before are with the sink.
    pub async fn parse_bill(
        &self,
        context: Context,
        bill: BillRequest,
        file_name: String,
        source: Box<dyn BillSource>,
        sink: Box<dyn BillSink>,
    ) -> Result<Called<Result<Summary, Fault>>, CallError> {
        let call = async move |seat: Seat| {
            let limits = &seat.desk.limits;
            let budget = Budget::Progress(limits.call_deadline, limits.bill_wall);
            let mut run = seat.begin(budget, &Moment::from(&context)).await?;
            let ends = (source, sink);
            let answer = seat.exports.parse(run.on(), &context, &bill, &file_name, ends).await;
            Ok(run.end(answer))
        };
        self.core.submit(Lane::Bills, call).await
    }

    fn here<T, F>(&self, call: impl FnOnce(Seat) -> F) -> Result<Called<T>, CallError>
    where
        F: Future<Output = Result<Ended<T>, CallError>>,
    {
        Seat::beside(&self.core, self.core.desk.limits.call_deadline, call)?.answer
    }
}

impl Core {
    /// The manifest, unchecked, under its own deadline.
    pub fn describe(self: &Arc<Self>) -> Result<Manifest, CallError> {
        let moment = Moment { now_ms: 0, nonce: String::new() };
        Seat::beside(self, self.desk.limits.describe_deadline, async |seat| {
            let mut run = seat.begin(Budget::Pace, &moment).await?;
            let answer = described(run.on()).await;
            run.end(answer).answer.map(|called| called.answer)
        })
    }
}

async fn described(on: Running<'_>) -> wasmtime::Result<Manifest> {
    // All of its functions are checked here, once.
    let plugin = ProviderPlugin::new(&mut *on.store, on.instance)?;
    plugin.tollgate_provider_provider().call_describe(on.store).await
}

async fn build(
    seat: Seat,
    context: &Context,
    keys: &Arc<Keys>,
    operation: &Operation,
    state: &[u8],
) -> Result<Ended<Result<Step, Fault>>, CallError> {
    let mut run = seat.begin(Budget::Pace, &Moment::from(context)).await?;
    let answer = seat.exports.build(run.on(), context, keys, operation, state).await;
    Ok(run.end(answer))
}

async fn read(
    seat: Seat,
    context: &Context,
    keys: &Arc<Keys>,
    message: &Inbound,
    about: Option<&Payment>,
    answer: Option<&(Vec<u8>, HttpResponse)>,
) -> Result<Ended<Result<Reading, Fault>>, CallError> {
    let mut run = seat.begin(Budget::Pace, &Moment::from(context)).await?;
    let answer = answer.map(|(state, response)| (state.as_slice(), response));
    let answer = seat.exports.read(run.on(), context, keys, message, (about, answer)).await;
    Ok(run.end(answer))
}
