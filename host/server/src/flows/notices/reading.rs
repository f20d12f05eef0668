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

/// What a plugin made of a message, before anything was sent or written because of it.
pub(super) struct Look {
    context: Context,
    called: Result<Called, CallError>,
}

impl Look {
    /// Has the plugin look at a message.
    pub async fn at(gateway: &Gateway, incoming: &Incoming) -> Look {
        Look::again(gateway, incoming, None).await
    }

    /// The same with the answer to what it asked.
    async fn again(
        gateway: &Gateway,
        incoming: &Incoming,
        answer: Option<(Vec<u8>, HttpResponse)>,
    ) -> Look {
        let key = incoming.id.to_string();
        let context = incoming.account.context(gateway, &key[..key.len().min(36)]);
        let called = call(incoming, &context, answer).await;
        Look { context, called }
    }

    /// Why it is nobody's message, where that is plain at once.
    pub fn refusal(&self) -> Option<String> {
        match &self.called {
            Ok(Called { answer: Err(fault), missing: None, .. }) if is_the_senders(fault) => {
                Some(reason(fault))
            }
            _ => None,
        }
    }

    /// Whether the host saw a signature hold.
    pub fn is_signed(&self) -> bool {
        self.called.as_ref().is_ok_and(Called::signature_held)
    }

    /// Hands what the plugin logged to the operator.
    pub fn tell(&self, incoming: &Incoming) {
        if let Ok(called) = &self.called {
            exchange::tell(&incoming.account, "read", &called.logs);
        }
    }
}

/// What a message turned out to be.
pub(super) enum Read {
    /// It says something; `asked`: of a signature that only the provider can check, and did.
    Events { channel: Channel, events: Vec<Event>, signed: bool, asked: bool },
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

    /// Whether it is known to be the provider's, by us or by the provider itself.
    pub fn is_vouched_for(&self) -> bool {
        self.is_signed() || matches!(self, Read::Events { asked: true, .. })
    }

    fn later(reason: impl Into<String>) -> Read {
        Read::Later { reason: reason.into(), signed: false }
    }
}

/// Has the plugin read a message at which it has had a look. What is sent on the way is recorded with the message.
pub(super) async fn read(gateway: &Gateway, incoming: &Incoming, look: Look) -> Flow<Read> {
    let mut records = Records::default();
    let read = read_asking(gateway, incoming, look, &mut records).await;
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
    mut look: Look,
    records: &mut Records,
) -> Flow<Read> {
    let account = &*incoming.account;
    let mut answer = None;
    for _ in 0..=MOST_QUESTIONS {
        let (mut found, asked) = (None, answer.is_some());
        if let Ok(Called { missing: Some(missing), .. }) = &look.called {
            found = Some(keyring::find(gateway, account, missing, Cause::Message).await?);
            if found == Some(Found::There) {
                look.called = call(incoming, &look.context, answer).await;
            }
        }
        look.tell(incoming);
        let Look { context, called } = look;
        let called = match called {
            Ok(called) => called,
            Err(error) => return Ok(Read::later(error.to_string())),
        };
        let signed = called.signature_held();
        let (request, state) = match called.answer {
            Ok(Reading::Events((channel, events))) => {
                return Ok(Read::Events { channel, events, signed, asked });
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
        answer = match told {
            Ok(response) => Some((state, response)),
            Err(error) => return Ok(Read::later(error.to_string())),
        };
        look = Look::again(gateway, incoming, answer.clone()).await;
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
    // By a key that the provider does not have, or that its roots do not vouch for: whoever signed it, it was not them.
    let by_a_stranger = found == Some(Found::Absent);
    if by_a_stranger || is_the_senders(fault) {
        Read::Refused(reason(fault))
    } else {
        Read::Later { reason: reason(fault), signed }
    }
}

fn is_the_senders(fault: &Fault) -> bool {
    matches!(fault.code.as_str(), "signature" | "protocol")
}

fn reason(fault: &Fault) -> String {
    format!("{}: {}", fault.code, fault.message)
}
