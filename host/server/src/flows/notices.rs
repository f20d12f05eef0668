//! Messages: a provider notifies, a payer's browser returns, an app hands over what its client library said.
//!
//! The plugin reads a message and checks the signature through the host. What is plainly nobody's is refused then and
//! there, and written with others like it ([`strangers`]). Of all else the raw bytes are kept before anything is done
//! because of it; the host checks what no plugin may decide; the provider confirms by query; one transaction writes what
//! was learnt; and only then does the provider hear its word for success.

mod reading;
pub mod strangers;
pub mod unread;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{AccountId, MerchantId, NotificationId, PaymentId};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{Channel, Event, Inbound, Reply, Verdict};

use self::reading::{Look, Read};
use self::strangers::Crowd;
use super::account::{self, Account};
use super::believe::{self, Believed};
use super::{Flow, FlowError, exchange, payments};
use crate::gateway::Gateway;
use crate::store::notifications::{self, NotificationRow, Settled};
use crate::store::payments::{self as payment_rows, PaymentRow};
use crate::store::{orders, payments as rows};

/// So many of an account's messages that changed nothing are kept, of each kind; older ones make room.
const MOST_KEPT: i64 = 1_000;
/// The same of those that nobody signed and that are to be read again, for which they are kept whole.
const MOST_WAITING: i64 = 100;

/// Which of our addresses a message came to.
#[derive(Clone, Copy, Debug)]
pub enum Address {
    /// `/notify/{account}`.
    Account(AccountId),
    /// `/return/{payment}`.
    Payment(PaymentId),
}

/// A message as it came over HTTP.
#[derive(Clone, Debug)]
pub struct Message {
    /// The HTTP method.
    pub method: String,
    /// The public address without the query.
    pub url: String,
    /// The query as it came, without the question mark.
    pub query: String,
    /// Names and values in order.
    pub headers: Vec<(String, String)>,
    /// The raw bytes.
    pub body: Vec<u8>,
}

/// What is kept of a message beside its body.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Envelope {
    channel: String,
    method: String,
    url: String,
    query: String,
    headers: Vec<(String, String)>,
}

/// What the sender hears.
#[derive(Debug)]
pub struct Answer {
    /// In the provider's own words.
    pub reply: Reply,
    /// The cashier page to show instead, if it was a payer's browser.
    pub browser: Option<String>,
}

/// A message with all that reading it needs.
struct Incoming {
    id: NotificationId,
    account: Arc<Account>,
    about: Option<PaymentRow>,
    inbound: Inbound,
    received_at: Moment,
}

/// Receives a message at one of our addresses.
pub async fn receive(gateway: &Gateway, address: Address, message: Message) -> Flow<Answer> {
    let (account, about, channel) = match address {
        Address::Account(id) => {
            (account::open_by_address(gateway, id).await?, None, Channel::Notification)
        }
        Address::Payment(id) => {
            let mut sql = gateway.store.read().await?;
            let about = payment_rows::by_address(&mut sql, id).await?;
            drop(sql);
            let about = about.ok_or(FlowError::NotFound("payment"))?;
            let account = account::open(gateway, about.merchant_id, about.account_id).await?;
            (account, Some(about), Channel::BrowserReturn)
        }
    };
    let incoming = incoming(gateway, account, about, channel, message);
    let who = incoming.account.row.id;
    let crowd = Crowd { account: who, returns: channel == Channel::BrowserReturn };
    let has_room = gateway.strangers.take(crowd, gateway.store.now());
    let look = Look::at(gateway, &incoming).await;
    let refusal = look.refusal();
    // Of too many that nobody signed nothing is kept, and nobody is asked about one.
    if !has_room && (refusal.is_some() || !look.is_signed()) {
        let browser = page_for(gateway, &incoming, channel).await?;
        return Ok(Answer { reply: strangers::too_many(), browser });
    }
    if let Some(reason) = refusal {
        look.tell(&incoming);
        let (account, notification) = (who, incoming.id);
        tracing::warn!(%account, %notification, reason, "a message was refused");
        gateway.strangers.leave(row(&incoming)?, reason);
        return answered(gateway, &incoming, Verdict::Rejected, channel).await;
    }
    keep(gateway, &incoming).await?;
    let read = reading::read(gateway, &incoming, look).await?;
    if has_room && read.is_vouched_for() {
        gateway.strangers.give_back(crowd);
    }
    let (verdict, was) = process(gateway, &incoming, read).await?;
    answered(gateway, &incoming, verdict, was).await
}

async fn answered(
    gateway: &Gateway,
    incoming: &Incoming,
    verdict: Verdict,
    was: Channel,
) -> Flow<Answer> {
    let browser = page_for(gateway, incoming, was).await?;
    Ok(Answer { reply: acknowledge(gateway, incoming, verdict).await, browser })
}

/// A browser that came for a payment is sent to its page, whatever it brought.
async fn page_for(gateway: &Gateway, incoming: &Incoming, was: Channel) -> Flow<Option<String>> {
    match (&incoming.about, was) {
        (Some(payment), Channel::BrowserReturn) => Ok(Some(page_of(gateway, payment).await?)),
        _ => Ok(None),
    }
}

/// Receives what an app got from the provider's client library, handed over by the shop.
pub async fn client_result(
    gateway: &Gateway,
    merchant: MerchantId,
    id: PaymentId,
    result: String,
) -> Flow<PaymentRow> {
    let payment = payments::get(gateway, merchant, id).await?;
    let account = account::open(gateway, merchant, payment.account_id).await?;
    let message = Message {
        method: "POST".to_owned(),
        url: format!("{}/return/{id}", gateway.settings.public_url),
        query: String::new(),
        headers: Vec::new(),
        body: result.into_bytes(),
    };
    let incoming = incoming(gateway, account, Some(payment), Channel::ClientResult, message);
    keep(gateway, &incoming).await?;
    let (verdict, _) = read_and_process(gateway, &incoming).await?;
    match verdict {
        Verdict::Rejected => {
            let mut sql = gateway.store.read().await?;
            let row = notifications::get(&mut sql, merchant, incoming.id).await?;
            let reason = row.and_then(|row| row.reason).unwrap_or_else(|| "was refused".to_owned());
            Err(FlowError::invalid("result", reason))
        }
        Verdict::Accepted | Verdict::Duplicate | Verdict::Busy => {
            payments::get(gateway, merchant, id).await
        }
    }
}

/// Reads a kept message again. True: it has been dealt with.
pub async fn read_again(gateway: &Gateway, merchant: MerchantId, id: NotificationId) -> Flow<bool> {
    let mut sql = gateway.store.read().await?;
    let Some(row) = notifications::get(&mut sql, merchant, id).await? else { return Ok(true) };
    let about = match row.payment_id.as_deref().and_then(|id| id.parse().ok()) {
        Some(id) => rows::get(&mut sql, merchant, id).await?,
        None => None,
    };
    drop(sql);
    let account = account::open(gateway, merchant, row.account_id).await?;
    let envelope: Envelope = serde_json::from_str(&row.message)?;
    let inbound = Inbound {
        channel: channel_named(&envelope.channel),
        method: envelope.method,
        url: envelope.url,
        query: envelope.query,
        headers: envelope.headers,
        body: row.body,
        received_ms: row.received_at.millis(),
    };
    let (id, received_at) = (row.id, row.received_at);
    let incoming = Incoming { id, account, about, inbound, received_at };
    let (verdict, _) = read_and_process(gateway, &incoming).await?;
    Ok(!matches!(verdict, Verdict::Busy))
}

fn incoming(
    gateway: &Gateway,
    account: Arc<Account>,
    about: Option<PaymentRow>,
    channel: Channel,
    message: Message,
) -> Incoming {
    let received_at = gateway.store.now();
    let inbound = Inbound {
        channel,
        method: message.method,
        url: message.url,
        query: message.query,
        headers: message.headers,
        body: message.body,
        received_ms: received_at.millis(),
    };
    Incoming { id: gateway.chance.id(received_at), account, about, inbound, received_at }
}

/// Writes the raw bytes before anything is done because of them.
async fn keep(gateway: &Gateway, incoming: &Incoming) -> Flow<()> {
    let row = &row(incoming)?;
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(notifications::insert(tx.sql(), row).await?) })
    });
    write.await
}

fn row(incoming: &Incoming) -> Flow<NotificationRow> {
    let Inbound { channel, method, url, query, headers, body, .. } = &incoming.inbound;
    let kept = headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("cookie"));
    let envelope = Envelope {
        channel: channel_name(*channel).to_owned(),
        method: method.clone(),
        url: url.clone(),
        query: query.clone(),
        headers: kept.cloned().collect(),
    };
    Ok(NotificationRow {
        merchant_id: incoming.account.row.merchant_id,
        id: incoming.id,
        account_id: incoming.account.row.id,
        payment_id: incoming.about.as_ref().map(|payment| payment.id.to_string()),
        message: serde_json::to_string(&envelope)?,
        body: body.clone(),
        state: "received".to_owned(),
        reason: None,
        dedupe_key: None,
        received_at: incoming.received_at,
    })
}

async fn read_and_process(gateway: &Gateway, incoming: &Incoming) -> Flow<(Verdict, Channel)> {
    let look = Look::at(gateway, incoming).await;
    let read = reading::read(gateway, incoming, look).await?;
    process(gateway, incoming, read).await
}

/// Checks what was read, confirms and writes. Gives what the sender is to hear, and what kind of message it was.
async fn process(gateway: &Gateway, incoming: &Incoming, read: Read) -> Flow<(Verdict, Channel)> {
    let arrived = incoming.inbound.channel;
    let signed = read.is_signed();
    let (channel, events) = match read {
        Read::Events { channel, events, .. } => (channel, events),
        Read::Refused(reason) => {
            settle(gateway, incoming, "rejected", Some(&reason), None, signed).await?;
            return Ok((Verdict::Rejected, arrived));
        }
        Read::Later { reason, .. } => {
            settle(gateway, incoming, "waiting", Some(&reason), None, signed).await?;
            return Ok((Verdict::Busy, arrived));
        }
    };
    let mut verdict = Verdict::Duplicate;
    for event in &events {
        let message = believe::Message {
            account: &incoming.account,
            about: incoming.about.as_ref(),
            notification: incoming.id,
            received_at: incoming.received_at,
            signed,
            channel,
        };
        let believed = believe::event(gateway, &message, event).await?;
        let (state, reason) = match &believed {
            Believed::Applied => ("applied", None),
            Believed::Duplicate => ("duplicate", None),
            // Taken, and yet no more to us than one that somebody made up.
            Believed::Ignored if !signed => ("rejected", Some("nothing that we keep, unsigned")),
            Believed::Ignored => ("applied", Some("nothing that we keep")),
            Believed::Rejected(reason) => ("rejected", Some(reason.as_str())),
            Believed::Waits(reason) => ("waiting", Some(reason.as_str())),
        };
        if !matches!(believed, Believed::Applied) {
            // What was applied is settled in the transaction that applied it.
            settle(gateway, incoming, state, reason, Some(event), signed).await?;
        }
        verdict = match (believed, verdict) {
            (Believed::Rejected(_), _) => return Ok((Verdict::Rejected, channel)),
            (Believed::Waits(_), _) => return Ok((Verdict::Busy, channel)),
            (Believed::Applied | Believed::Ignored, _) => Verdict::Accepted,
            (Believed::Duplicate, before) => before,
        };
    }
    if events.is_empty() {
        let state = if signed { "applied" } else { "rejected" };
        settle(gateway, incoming, state, Some("nothing that we keep"), None, signed).await?;
        verdict = Verdict::Accepted;
    }
    Ok((verdict, channel))
}

/// Notes what became of a message that changed nothing, and lets older ones of its kind make room.
async fn settle(
    gateway: &Gateway,
    incoming: &Incoming,
    state: &str,
    reason: Option<&str>,
    event: Option<&Event>,
    signed: bool,
) -> Flow<()> {
    let (merchant, account) = (incoming.account.row.merchant_id, incoming.account.row.id);
    let id = incoming.id;
    if state == "rejected" {
        tracing::warn!(%account, notification = %id, reason, "a message was refused");
    }
    let now = gateway.store.now();
    let dedupe_key = event.map(|event| event.dedupe_key.as_str());
    let settled = &Settled { state, reason, payment_id: None, dedupe_key, signed };
    let makes_room = matches!(state, "rejected" | "waiting" if !signed) || state == "duplicate";
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                notifications::settle(tx.sql(), merchant, id, settled, now).await?;
                let waits = state == "waiting";
                if !signed && !waits {
                    notifications::cut(tx.sql(), merchant, id).await?;
                }
                if makes_room {
                    let (kind, most) =
                        ((state, signed), if waits { MOST_WAITING } else { MOST_KEPT });
                    notifications::sweep(tx.sql(), merchant, account, kind, most).await?;
                }
                if waits {
                    believe::read_later(tx, gateway, &incoming.account, id).await?;
                }
                Ok(())
            })
        })
        .await
}

/// What the provider wants to hear. A plugin that cannot say it leaves a bare refusal: the provider sends again.
async fn acknowledge(gateway: &Gateway, incoming: &Incoming, verdict: Verdict) -> Reply {
    let account = &incoming.account;
    let key = incoming.id.to_string();
    let context = account.context(gateway, &key[..key.len().min(36)]);
    let (keys, message) = (account.keys(), incoming.inbound.clone());
    let called = account.plugin.acknowledge(context, &keys, message, verdict).await;
    match called {
        Ok(called) => {
            exchange::tell(account, "acknowledge", &called.logs);
            called.answer
        }
        Err(error) => {
            tracing::warn!(account = %account.row.id, %error, "the plugin could not acknowledge");
            Reply { status: 503, headers: Vec::new(), body: Vec::new() }
        }
    }
}

async fn page_of(gateway: &Gateway, payment: &PaymentRow) -> Flow<String> {
    let mut sql = gateway.store.read().await?;
    Ok(orders::must(&mut sql, payment.merchant_id, payment.order_id).await?.token)
}

fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::BrowserReturn => "browser_return",
        Channel::ClientResult => "client_result",
        Channel::Notification => "notification",
    }
}

fn channel_named(name: &str) -> Channel {
    match name {
        "browser_return" => Channel::BrowserReturn,
        "client_result" => Channel::ClientResult,
        _ => Channel::Notification,
    }
}
