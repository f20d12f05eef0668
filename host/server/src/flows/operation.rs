//! One operation at a provider: the plugin builds a request, the host checks and sends it, the plugin reads the
//! answer, and so on until it is done. No transaction is open meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tollgate_plugin::contract::{Context, Fault, HttpResponse, Operation, Outcome, Progress, Step};
use tollgate_plugin::egress::Running;
use tollgate_plugin::{CallError, Called, Exchange, KeyUse, Keys, PrivateFields, Redactor};

use super::account::Account;
use super::exchange::{self, Records, Sending, Sent, failure, of_silence};
use super::keyring::{self, Cause, Found};
use super::pauses::{self, Pause};
use super::tries::{Spent, Try};
use super::{Failure, Flow};
use crate::gateway::Gateway;
use crate::net::SendError;

/// More steps than any known protocol takes; a plugin that wants more is running in circles.
const MOST_STEPS: usize = 16;

/// What is to be done, through whom and for what.
pub struct Task<'a> {
    /// The account.
    pub account: &'a Account,
    /// The id of the payment, refund, bill or message that it serves.
    pub subject: &'a str,
    /// The same for each try of the same thing, 24 of `[A-Za-z0-9]`.
    pub key: &'a str,
    /// What to do.
    pub operation: &'a Operation,
    /// Where an earlier run stopped; empty at first.
    pub state: Vec<u8>,
    /// How long each sending may take.
    pub limit: Duration,
    /// What the payer brought that is private: with the start of a payment, and with nothing else.
    pub private: Option<&'a PrivateFields>,
}

/// How an operation ended.
#[expect(clippy::large_enum_variant, reason = "one at a time is passed on, never kept in numbers")]
pub enum Ending {
    /// The plugin has its outcome.
    Done(Outcome),
    /// Go on with `state` after so many milliseconds.
    Wait {
        /// How long.
        after_ms: u32,
        /// With what.
        state: Vec<u8>,
    },
    /// It came to nothing.
    Failed {
        /// Why.
        failure: Failure,
        /// False: the provider may have acted on what was sent.
        outcome_known: bool,
    },
}

/// An operation that ended, and the record of what was sent for it.
pub struct Ran {
    /// How.
    pub ending: Ending,
    /// Whether the provider may have seen something of it.
    pub sent: bool,
    /// What was sent and answered.
    pub records: Records,
    /// Each use of a key in the call that ended it.
    pub audit: Vec<KeyUse>,
}

/// Runs an operation to its end, or to where it has to wait.
pub async fn run(gateway: &Gateway, task: &Task<'_>) -> Flow<Ran> {
    let fetches = matches!(task.operation, Operation::FetchKeys(_));
    if !fetches && task.account.fetches_keys() {
        keyring::refresh(gateway, task.account).await?;
    }
    let pause = pauses::of(gateway, task).await?;
    let mut state = task.state.clone();
    let waited = pause.is_some();
    if let Some(pause) = pause {
        let after_ms = pause.due_at.millis_since(gateway.store.now());
        state = pause.state;
        if let Ok(after_ms @ 1..) = u32::try_from(after_ms) {
            let (records, audit) = (Records::default(), Vec::new());
            let ending = Ending::Wait { after_ms, state };
            return Ok(Ran { ending, sent: true, records, audit });
        }
    }
    let sent = waited || !state.is_empty();
    let (records, audit) = (Records::default(), Vec::new());
    let next = Try::next(gateway, task).await?;
    let key = next.key(task.key);
    let mut run = Run { gateway, task, next, key, fetches, sent, records, audit };
    for _ in 0..MOST_STEPS {
        match run.step(state).await? {
            Next::Again(next) => state = next,
            Next::End(ending) => {
                note(gateway, task.account, &ending, run.sent);
                return Ok(run.ended(ending, waited));
            }
        }
    }
    let failure = failure("protocol", format!("the plugin took more than {MOST_STEPS} steps"));
    let ending = Ending::Failed { failure, outcome_known: !run.sent };
    Ok(run.ended(ending, waited))
}

/// Notes whether the provider answers at all, for those who would ask it next.
fn note(gateway: &Gateway, account: &Account, ending: &Ending, sent: bool) {
    let silent = matches!(ending, Ending::Failed { failure, .. }
        if matches!(failure.code.as_str(), "unavailable" | "no-answer" | "rate-limited"));
    if silent {
        let now = gateway.store.now();
        gateway.breakers.was_silent(account.row.id, now, gateway.chance.draw());
    } else if sent {
        gateway.breakers.answered(account.row.id);
    }
}

#[expect(clippy::large_enum_variant, reason = "one at a time is passed on, never kept in numbers")]
enum Next {
    Again(Vec<u8>),
    End(Ending),
}

/// An operation under way.
struct Run<'r> {
    gateway: &'r Gateway,
    task: &'r Task<'r>,
    /// Which try it is.
    next: Try,
    /// The idempotency key of that.
    key: String,
    /// It fetches keys itself, so a key that it misses stays missing.
    fetches: bool,
    /// Whether the provider may have seen something of it.
    sent: bool,
    records: Records,
    /// Uses of keys in its last call.
    audit: Vec<KeyUse>,
}

impl Run<'_> {
    fn ended(mut self, ending: Ending, waited: bool) -> Ran {
        self.records.pause(Pause::after(self.gateway, self.task, waited, &ending));
        Ran { ending, sent: self.sent, records: self.records, audit: self.audit }
    }

    async fn step(&mut self, state: Vec<u8>) -> Flow<Next> {
        let (account, running) = (self.task.account, Running::from(self.task.operation));
        let context = account.context(self.gateway, &self.key);
        let built = match self.build(&context, &state).await? {
            Ok(called) => called,
            Err(error) => {
                let mut exchange = Exchange::unsent(&account.plugin, running.name, &context);
                let ending = trapped(&error, &mut exchange, &self.redactor(), self.sent);
                // A call that was not made leaves nothing to look into.
                if error.is_the_plugins() {
                    self.records.add(&exchange)?;
                }
                return Ok(Next::End(ending));
            }
        };
        let (request, state) = match &built.answer {
            Ok(Step::Done(outcome)) => {
                let outcome = outcome.clone();
                if !built.audit.is_empty() {
                    // Nothing is sent from here: what was signed goes with the payer, and the signing is on record.
                    let mut exchange = Exchange::unsent(&account.plugin, running.name, &context);
                    note_build(&mut exchange, built, &self.redactor());
                    self.records.add(&exchange)?;
                }
                return Ok(Next::End(Ending::Done(outcome)));
            }
            Ok(Step::Send(send)) => send.clone(),
            Err(fault) => return Ok(Next::End(faulted(fault, self.sent))),
        };
        let limit = self.task.limit;
        let (request, context, private) = (&request, &context, self.task.private);
        let sending = Sending { account, running, request, context, limit, private };
        let sent = exchange::send(self.gateway, &sending, &mut self.records).await?;
        let Sent { answer, mut exchange, redactor } = match sent {
            Ok(sent) => sent,
            Err(failure) => {
                let outcome_known = !self.sent;
                return Ok(Next::End(Ending::Failed { failure, outcome_known }));
            }
        };
        note_build(&mut exchange, built, &redactor);
        let next = match answer {
            Ok(response) => {
                self.sent = true;
                self.interpret(state, response, &mut exchange, &redactor).await?
            }
            Err(error) => {
                let not_sent = matches!(error, SendError::NotSent(_));
                self.sent |= !not_sent;
                let (failure, outcome_known) = (of_silence(&error), !self.sent);
                Next::End(Ending::Failed { failure, outcome_known })
            }
        };
        self.records.add(&exchange)?;
        Ok(next)
    }

    /// The account's keys as they are now, which seal what the payer brought.
    fn keys(&self) -> Arc<Keys> {
        let Task { account, private, .. } = self.task;
        let keys = account.keys();
        private.map_or(keys.clone(), |private| keys.with_private(private).into())
    }

    /// Takes the secrets out of what is kept of a call from which nothing was sent.
    fn redactor(&self) -> Redactor {
        Redactor::new(&self.keys(), &[])
    }

    async fn build(
        &self,
        context: &Context,
        state: &[u8],
    ) -> Flow<Result<Called<Result<Step, Fault>>, CallError>> {
        let Task { account, operation, .. } = self.task;
        let call = || {
            let (context, keys) = (context.clone(), self.keys());
            async move { account.plugin.build(context, &keys, operation, state.to_vec()).await }
        };
        let mut built = call().await;
        if self.has_found(&built).await? {
            built = call().await;
        }
        if let Ok(called) = &built {
            exchange::tell(account, "build", &called.logs);
        }
        Ok(built)
    }

    async fn interpret(
        &mut self,
        state: Vec<u8>,
        response: HttpResponse,
        exchange: &mut Exchange,
        redactor: &Redactor,
    ) -> Flow<Next> {
        let Task { account, operation, .. } = *self.task;
        let again = (!self.fetches && account.fetches_keys()).then(|| response.clone());
        let call = |state, response| {
            let (context, keys) = (account.context(self.gateway, &self.key), self.keys());
            async move { account.plugin.interpret(context, &keys, operation, state, response).await }
        };
        let mut read = call(state.clone(), response).await;
        if let Some(response) = again
            && self.has_found(&read).await?
        {
            read = call(state, response).await;
        }
        let called = match read {
            Ok(called) => called,
            Err(error) => return Ok(Next::End(trapped(&error, exchange, redactor, true))),
        };
        exchange::tell(account, "interpret", &called.logs);
        exchange.heard(&called.logs, redactor);
        exchange.audit.extend(called.audit.iter().cloned());
        exchange.interpret_us = micros(called.took);
        self.audit = called.audit;
        self.records.spent(match &called.answer {
            Ok(Progress::Done(Outcome::Report(report))) => {
                Spent::said(self.gateway, self.next, &report.fact.extra)
            }
            Ok(_) => None,
            Err(fault) => Spent::said(self.gateway, self.next, &fault.extra),
        });
        Ok(match called.answer {
            Ok(Progress::Done(outcome)) => Next::End(Ending::Done(outcome)),
            Ok(Progress::Again(state)) => Next::Again(state),
            Ok(Progress::Wait((after_ms, state))) => Next::End(Ending::Wait { after_ms, state }),
            Err(fault) => {
                exchange.faulted(&fault, redactor);
                Next::End(faulted(&fault, true))
            }
        })
    }

    /// Whether a key that a call missed is there now: then the call is worth repeating.
    async fn has_found<T>(&self, called: &Result<Called<T>, CallError>) -> Flow<bool> {
        let missing = called.as_ref().ok().and_then(|called| called.missing.as_ref());
        let Some(missing) = missing.filter(|_| !self.fetches) else { return Ok(false) };
        let (account, cause) = (self.task.account, Cause::Answer);
        Ok(keyring::find(self.gateway, account, missing, cause).await? == Found::There)
    }
}

fn note_build<T>(exchange: &mut Exchange, built: Called<T>, redactor: &Redactor) {
    exchange.build_us = micros(built.took);
    exchange.heard(&built.logs, redactor);
    exchange.audit.extend(built.audit);
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn trapped(error: &CallError, exchange: &mut Exchange, redactor: &Redactor, sent: bool) -> Ending {
    tracing::warn!(%error, "a plugin call failed");
    // Why is for the operator, in the log and in the record of the exchange.
    exchange.trap = Some(redactor.text(&error.to_string()));
    let failure = failure("plugin", error.in_short().to_owned());
    Ending::Failed { failure, outcome_known: !sent }
}

fn faulted(fault: &Fault, sent: bool) -> Ending {
    // Before anything was sent a fault settles it; afterwards only the plugin can say what the answer proves.
    Ending::Failed { failure: of_fault(fault), outcome_known: fault.outcome_known || !sent }
}

/// A plugin's fault in the merchant's words.
pub fn of_fault(fault: &Fault) -> Failure {
    Failure {
        code: fault.code.clone(),
        message: fault.message.clone(),
        provider_code: fault.provider_code.clone(),
        provider_message: fault.provider_message.clone(),
    }
}
