//! One operation at a provider: the plugin builds a request, the host checks and sends it, the plugin reads the
//! answer, and so on until it is done. No transaction is open meanwhile.

use std::time::Duration;

use tollgate_plugin::contract::{
    Fault, HttpRequest, HttpResponse, Operation, Outcome, Progress, Step, operation_name,
};
use tollgate_plugin::egress::{Outgoing, admit};
use tollgate_plugin::exchange::Exchange;
use tollgate_plugin::{CallError, KeyUse};

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
    let (request, state) = match built.answer {
        Ok(Step::Done(outcome)) => return Ok(Next::End(Ending::Done(outcome))),
        Ok(Step::Send(send)) => send,
        Err(fault) => return Ok(Next::End(faulted(&fault, *sent))),
    };
    let name = operation_name(task.operation);
    let mut exchange = Exchange::begin(&account.plugin, name, &context, &request, built.audit);
    let answer = send(gateway, account, name, &request, task.limit).await;
    let response = match answer {
        Ok(response) => response,
        Err(refused) => {
            exchange.failed(&refused.failure.message);
            records.keep(name, &exchange, account);
            let outcome_known = refused.not_sent && !*sent;
            return Ok(Next::End(Ending::Failed { failure: refused.failure, outcome_known }));
        }
    };
    *sent = true;
    exchange.answered(&response);
    let context = account.context(gateway, task.key);
    let read = account.plugin.interpret(context, &account.keys, task.operation, state, response).await;
    let next = match read {
        Ok(called) => {
            exchange.read(called.audit, called.answer.as_ref().err());
            match called.answer {
                Ok(Progress::Done(outcome)) => Next::End(Ending::Done(outcome)),
                Ok(Progress::Again(state)) => Next::Again(state),
                Ok(Progress::Wait((after_ms, state))) => Next::End(Ending::Wait { after_ms, state }),
                Err(fault) => Next::End(faulted(&fault, true)),
            }
        }
        Err(error) => {
            exchange.failed(&error.to_string());
            Next::End(trapped(&error, true))
        }
    };
    records.keep(name, &exchange, account);
    Ok(next)
}

impl Records {
    /// Keeps a record, secrets redacted.
    pub fn keep(&mut self, operation: &str, exchange: &Exchange, account: &Account) {
        self.0.push((operation.to_owned(), exchange.to_json(account.keys.redactor())));
    }
}

/// Why a request has no answer.
pub struct Unsent {
    /// As the merchant is told.
    pub failure: Failure,
    /// Nothing left the machine.
    pub not_sent: bool,
}

/// Checks what a plugin wants to send against what it may, puts the secrets in, and sends it.
pub async fn send(
    gateway: &Gateway,
    account: &Account,
    operation: &str,
    request: &HttpRequest,
    limit: Duration,
) -> Result<HttpResponse, Unsent> {
    let outgoing = admitted(account, operation, request)?;
    gateway.net.send(outgoing, limit).await.map_err(|error| unsent(&error))
}

/// What a plugin wants to send, if it may.
pub fn admitted(account: &Account, operation: &str, request: &HttpRequest) -> Result<Outgoing, Unsent> {
    admit(account.plugin.manifest(), operation, &account.grant, request, &account.keys).map_err(|refusal| {
        tracing::warn!(account = %account.row.id, operation, %refusal, "the plugin may not send this");
        Unsent { failure: failure("refused", refusal.to_string()), not_sent: true }
    })
}

/// A sending that came to nothing, in the merchant's words.
pub fn unsent(error: &SendError) -> Unsent {
    match error {
        SendError::NotSent(_) => Unsent { failure: failure("unavailable", error.to_string()), not_sent: true },
        SendError::NoAnswer(_) => Unsent { failure: failure("no-answer", error.to_string()), not_sent: false },
    }
}

/// Whether the host saw a signature hold in a call: without it, whatever a plugin claims is a hint.
pub fn signature_held(audit: &[KeyUse]) -> bool {
    audit.iter().any(KeyUse::proves_origin)
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
