//! One operation at a provider: the plugin builds a request, the host checks and sends it, the plugin reads the
//! answer, and so on until it is done. No transaction is open meanwhile.

use std::time::Duration;

use tollgate_plugin::contract::{
    Fault, HttpRequest, HttpResponse, Operation, Outcome, Progress, Step,
};
use tollgate_plugin::egress::Running;
use tollgate_plugin::{CallError, Exchange, Outgoing, Redactor, admit};

use super::account::Account;
use super::{Failure, Flow};
use crate::gateway::Gateway;
use crate::net::SendError;
use crate::store::exchanges::{self, ExchangeRow};
use crate::store::{StoreError, Tx};

/// More steps than any known protocol takes; a plugin that wants more is running in circles.
const MOST_STEPS: usize = 16;

/// What is to be done, through whom and for what.
pub struct Task<'a> {
    /// The account.
    pub account: &'a Account,
    /// The id of the payment, refund, bill or message that it serves.
    pub subject: &'a str,
    /// The same for each try of the same thing, up to 36 of `[A-Za-z0-9-]`.
    pub key: &'a str,
    /// What to do.
    pub operation: &'a Operation,
    /// Where an earlier run stopped; empty at first.
    pub state: Vec<u8>,
    /// How long each sending may take.
    pub limit: Duration,
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
    /// What was sent and answered.
    pub records: Records,
}

/// Records of exchanges, to be written with what was learnt from them.
#[derive(Default)]
pub struct Records(Vec<(String, String)>);

impl Records {
    /// Writes them for `subject`.
    pub async fn write(
        &self,
        tx: &mut Tx<'_>,
        gateway: &Gateway,
        account: &Account,
        subject: &str,
    ) -> Result<(), StoreError> {
        let now = gateway.store.now();
        for (operation, record) in &self.0 {
            let row = ExchangeRow {
                merchant_id: account.row.merchant_id,
                id: gateway.chance.id(now),
                account_id: account.row.id,
                subject_id: subject,
                operation,
                record,
                created_at: now,
            };
            exchanges::insert(tx.sql(), &row).await?;
        }
        Ok(())
    }
}

/// Runs an operation to its end, or to where it has to wait.
pub async fn run(gateway: &Gateway, task: &Task<'_>) -> Flow<Ran> {
    let mut records = Records::default();
    let mut state = task.state.clone();
    let mut sent = !state.is_empty();
    for _ in 0..MOST_STEPS {
        let ending = step(gateway, task, state, &mut sent, &mut records).await?;
        match ending {
            Next::Again(next) => state = next,
            Next::End(ending) => return Ok(Ran { ending, records }),
        }
    }
    let failure = failure("protocol", format!("the plugin took more than {MOST_STEPS} steps"));
    Ok(Ran { ending: Ending::Failed { failure, outcome_known: !sent }, records })
}

#[expect(clippy::large_enum_variant, reason = "one at a time is passed on, never kept in numbers")]
enum Next {
    Again(Vec<u8>),
    End(Ending),
}

async fn step(
    gateway: &Gateway,
    task: &Task<'_>,
    state: Vec<u8>,
    sent: &mut bool,
    records: &mut Records,
) -> Flow<Next> {
    let account = task.account;
    let context = account.context(gateway, task.key);
    let built = account.plugin.build(context.clone(), &account.keys, task.operation, state).await;
    let built = match built {
        Ok(called) => called,
        Err(error) => return Ok(Next::End(trapped(&error, *sent))),
    };
    let (request, state) = match &built.answer {
        Ok(Step::Done(outcome)) => {
            if !built.audit.is_empty() {
                // Nothing is sent from here: what was signed goes with the payer, and the signing is on record.
                let name = Running::from(task.operation).name;
                let mut exchange = Exchange::unsent(&account.plugin, name, &context);
                exchange.audit.extend(built.audit.iter().cloned());
                records.0.push((name.to_owned(), serde_json::to_string(&exchange)?));
            }
            return Ok(Next::End(Ending::Done(outcome.clone())));
        }
        Ok(Step::Send(send)) => send.clone(),
        Err(fault) => return Ok(Next::End(faulted(fault, *sent))),
    };
    let running = Running::from(task.operation);
    let outgoing = match admitted(account, running, &request) {
        Ok(outgoing) => outgoing,
        Err(failure) => return Ok(Next::End(Ending::Failed { failure, outcome_known: !*sent })),
    };
    let redactor = outgoing.redactor(&account.keys);
    let mut exchange =
        Exchange::begin(&account.plugin, running.name, &context, &outgoing, &redactor);
    exchange.audit.extend(built.audit);
    exchange.build_us = micros(built.took);
    let carries_secret = outgoing.carries_secret();
    let (answer, took) = gateway.net.send(outgoing, task.limit).await;
    let next = match answer {
        Ok(response) => {
            *sent = true;
            exchange.answered(&response, took, &redactor);
            // A provider may reflect what it was sent, and no plugin sees a secret.
            let response = if carries_secret { redactor.answer(response) } else { response };
            interpret(gateway, task, state, response, &mut exchange, &redactor).await
        }
        Err(error) => {
            exchange.unanswered(&error.to_string(), took, &redactor);
            let not_sent = matches!(error, SendError::NotSent(_));
            Next::End(Ending::Failed {
                failure: of_silence(&error),
                outcome_known: not_sent && !*sent,
            })
        }
    };
    records.0.push((running.name.to_owned(), serde_json::to_string(&exchange)?));
    Ok(next)
}

async fn interpret(
    gateway: &Gateway,
    task: &Task<'_>,
    state: Vec<u8>,
    response: HttpResponse,
    exchange: &mut Exchange,
    redactor: &Redactor,
) -> Next {
    let account = task.account;
    let context = account.context(gateway, task.key);
    let read =
        account.plugin.interpret(context, &account.keys, task.operation, state, response).await;
    match read {
        Ok(called) => {
            exchange.audit.extend(called.audit);
            exchange.interpret_us = micros(called.took);
            match called.answer {
                Ok(Progress::Done(outcome)) => Next::End(Ending::Done(outcome)),
                Ok(Progress::Again(state)) => Next::Again(state),
                Ok(Progress::Wait((after_ms, state))) => {
                    Next::End(Ending::Wait { after_ms, state })
                }
                Err(fault) => {
                    exchange.faulted(&fault, redactor);
                    Next::End(faulted(&fault, true))
                }
            }
        }
        Err(error) => {
            exchange.trap = Some(redactor.text(&error.to_string()));
            Next::End(trapped(&error, true))
        }
    }
}

/// What a plugin wants to send, if it may.
pub fn admitted(
    account: &Account,
    running: Running<'_>,
    request: &HttpRequest,
) -> Result<Outgoing, Failure> {
    let manifest = account.plugin.manifest();
    admit(manifest, &account.grant, running, request, &account.keys).map_err(|refusal| {
        tracing::warn!(account = %account.row.id, operation = running.name, %refusal, "the plugin may not send this");
        failure("refused", refusal.to_string())
    })
}

/// A sending that came to nothing, in the merchant's words.
pub fn of_silence(error: &SendError) -> Failure {
    let code = match error {
        SendError::NotSent(_) => "unavailable",
        SendError::NoAnswer(_) => "no-answer",
    };
    failure(code, error.to_string())
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn trapped(error: &CallError, sent: bool) -> Ending {
    tracing::warn!(%error, "a plugin call failed");
    Ending::Failed { failure: failure("plugin", error.to_string()), outcome_known: !sent }
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

fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, provider_code: None, provider_message: None }
}
