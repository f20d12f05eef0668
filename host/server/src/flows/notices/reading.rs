//! Reading one message: the plugin reads, the host checks signatures for it, sends what it asks on the way, and fetches
//! the key that it missed.

use tollgate_plugin::CallError;
use tollgate_plugin::contract::{Channel, Context, Event, Fault, HttpResponse, Reading};
use tollgate_plugin::egress::Running;

use super::Incoming;
use crate::flows::exchange::{self, Records, Sending, Sent};
use crate::flows::keyring::{self, Cause, Found};
use crate::flows::{Flow, FlowError, payments};
use crate::gateway::Gateway;

type Called = tollgate_plugin::Called<Result<Reading, Fault>>;

/// A plugin may ask a provider this often while it reads one message.
const MOST_QUESTIONS: usize = 3;

/// How much a message is worth before anything is known of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// A few questions to the provider.
    Usual,
    /// Nothing but a look at it: there are too many.
    Crowded,
}

/// What a message turned out to be.
pub(super) enum Read {
    /// It says something.
    Events { channel: Channel, events: Vec<Event>, signed: bool },
    /// It is no message of the provider's, and why.
    Refused(String),
    /// It cannot be read now, and why.
    Later { reason: String, signed: bool },
}

impl Read {
    /// Whether the host saw a signature hold.
    pub fn is_signed(&self) -> bool {
        match self {
            Read::Events { signed, .. } | Read::Later { signed, .. } => *signed,
            Read::Refused(_) => false,
        }
    }

    fn later(reason: impl Into<String>) -> Read {
        Read::Later { reason: reason.into(), signed: false }
    }
}

/// Has the plugin read a message. What is sent on the way is recorded with the message.
pub(super) async fn read(gateway: &Gateway, incoming: &Incoming, pace: Pace) -> Flow<Read> {
    let mut records = Records::default();
    let read = read_asking(gateway, incoming, pace, &mut records).await;
    if !records.is_empty() {
        let (account, subject, records) = (&*incoming.account, &incoming.id.to_string(), &records);
        let write = gateway.store.write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { records.write(tx, gateway, account, subject).await })
        });
        write.await?;
    }
    read
}

async fn read_asking(
    gateway: &Gateway,
    incoming: &Incoming,
    pace: Pace,
    records: &mut Records,
) -> Flow<Read> {
    let account = &*incoming.account;
    let key = incoming.id.to_string();
    let mut answer = None;
    for _ in 0..=MOST_QUESTIONS {
        let context = account.context(gateway, &key[..key.len().min(36)]);
        let (mut called, mut found) = (call(incoming, &context, answer.clone()).await, None);
        if let Ok(Called { missing: Some(missing), .. }) = &called
            && pace == Pace::Usual
        {
            found = Some(keyring::find(gateway, account, missing, Cause::Message).await?);
            if found == Some(Found::There) {
                called = call(incoming, &context, answer).await;
            }
        }
        let called = match called {
            Ok(called) => called,
            Err(error) => return Ok(Read::later(error.to_string())),
        };
        exchange::tell(account, "read", &called.logs);
        let signed = called.signature_held();
        let (request, state) = match called.answer {
            Ok(Reading::Events((channel, events))) => {
                return Ok(Read::Events { channel, events, signed });
            }
            Ok(Reading::Ask(_)) if pace == Pace::Crowded => {
                return Ok(Read::later("there are too many messages that nobody signed"));
            }
            Ok(Reading::Ask(ask)) => ask,
            Err(fault) => return Ok(refused(&fault, found, signed)),
        };
        let limit = gateway.settings.confirm_limit;
        let (running, context) = (Running::notice(), &context);
        let (request, private) = (&request, None);
        let sending = Sending { account, running, request, context, limit, private };
        let sent = match exchange::send(gateway, &sending, records).await? {
            Ok(sent) => sent,
            Err(failure) => return Ok(Read::later(failure.message)),
        };
        let Sent { answer: told, mut exchange, redactor } = sent;
        exchange.heard(&called.logs, &redactor);
        exchange.audit.extend(called.audit);
        records.add(&exchange)?;
        match told {
            Ok(response) => answer = Some((state, response)),
            Err(error) => return Ok(Read::later(error.to_string())),
        }
    }
    Ok(Read::later("the plugin asks without end"))
}

async fn call(
    incoming: &Incoming,
    context: &Context,
    answer: Option<(Vec<u8>, HttpResponse)>,
) -> Result<Called, CallError> {
    let account = &incoming.account;
    let about = incoming.about.as_ref().map(payments::to_contract);
    let (keys, message) = (account.keys(), incoming.inbound.clone());
    account.plugin.read(context.clone(), &keys, message, about, answer).await
}

/// What a fault makes of a message: the sender's doing, or ours.
fn refused(fault: &Fault, found: Option<Found>, signed: bool) -> Read {
    let reason = format!("{}: {}", fault.code, fault.message);
    // By a key that the provider does not have, or that its roots do not vouch for: whoever signed it, it was not them.
    let by_a_stranger = found == Some(Found::Absent);
    if by_a_stranger || matches!(fault.code.as_str(), "signature" | "protocol") {
        Read::Refused(reason)
    } else {
        Read::Later { reason, signed }
    }
}
