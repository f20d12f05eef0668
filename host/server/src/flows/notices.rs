//! Messages: a provider notifies, a payer's browser returns, an app hands over what its client library said.
//!
//! Raw bytes are kept first. The plugin reads them and checks the signature through the host; the host checks what
//! no plugin may decide; the provider confirms by query; one transaction writes what was learnt; and only then does
//! the provider hear its word for success.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{AccountId, MerchantId, NotificationId, PaymentId};
use tollgate_plugin::contract::{Channel, Event, Inbound, Reading, Reply, Verdict};
use tollgate_plugin::egress::Running;

use super::account::{self, Account};
use super::believe::{self, Believed};
use super::operation;
use super::{Flow, FlowError, payments};
use crate::gateway::Gateway;
use crate::store::accounts as account_rows;
use crate::store::notifications::{self, NotificationRow, Settled};
use crate::store::payments::{self as payment_rows, PaymentRow};
use crate::store::{orders, payments as rows};

/// A plugin may ask a provider this often while it reads one message.
const MOST_QUESTIONS: usize = 3;

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

/// A message that is kept, with all that reading it needs.
struct Kept {
    account: Arc<Account>,
    about: Option<PaymentRow>,
    row: NotificationRow,
    inbound: Inbound,
}

/// Receives a message at one of our addresses.
pub async fn receive(gateway: &Gateway, address: Address, message: Message) -> Flow<Answer> {
    let mut sql = gateway.store.read().await?;
    let (account, about, channel) = match address {
        Address::Account(id) => {
            let row = account_rows::by_address(&mut sql, id)
                .await?
                .ok_or(FlowError::NotFound("account"))?;
            (row, None, Channel::Notification)
        }
        Address::Payment(id) => {
            let about = payment_rows::by_address(&mut sql, id)
                .await?
                .ok_or(FlowError::NotFound("payment"))?;
            let account = account_rows::get(&mut sql, about.merchant_id, about.account_id).await?;
            (account.ok_or(FlowError::NotFound("account"))?, Some(about), Channel::BrowserReturn)
        }
    };
    drop(sql);
    let account = account::open_row(gateway, account)?;
    let kept = keep(gateway, account, about, channel, message).await?;
    let (verdict, was) = process(gateway, &kept).await?;
    let browser = match (&kept.about, was) {
        (Some(payment), Channel::BrowserReturn) => Some(page_of(gateway, payment).await?),
        _ => None,
    };
    Ok(Answer { reply: acknowledge(gateway, &kept, verdict).await, browser })
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
    let kept = keep(gateway, account, Some(payment), Channel::ClientResult, message).await?;
    let (verdict, _) = process(gateway, &kept).await?;
    match verdict {
        Verdict::Rejected => {
            let mut sql = gateway.store.read().await?;
            let row = notifications::get(&mut sql, merchant, kept.row.id).await?;
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
        body: row.body.clone(),
        received_ms: row.received_at.millis(),
    };
    let (verdict, _) = process(gateway, &Kept { account, about, row, inbound }).await?;
    Ok(!matches!(verdict, Verdict::Busy))
}

/// Writes the raw bytes before anybody looks at them.
async fn keep(
    gateway: &Gateway,
    account: Arc<Account>,
    about: Option<PaymentRow>,
    channel: Channel,
    message: Message,
) -> Flow<Kept> {
    let now = gateway.store.now();
    let envelope = Envelope {
        channel: channel_name(channel).to_owned(),
        method: message.method.clone(),
        url: message.url.clone(),
        query: message.query.clone(),
        headers: message
            .headers
            .iter()
            .filter(|(name, _)| !name.eq_ignore_ascii_case("cookie"))
            .cloned()
            .collect(),
    };
    let row = NotificationRow {
        merchant_id: account.row.merchant_id,
        id: gateway.chance.id(now),
        account_id: account.row.id,
        payment_id: about.as_ref().map(|payment| payment.id.to_string()),
        message: serde_json::to_string(&envelope)?,
        body: message.body.clone(),
        state: "received".to_owned(),
        reason: None,
        dedupe_key: None,
        received_at: now,
    };
    let kept = &row;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { Ok(notifications::insert(tx.sql(), kept).await?) })
        })
        .await?;
    let inbound = Inbound {
        channel,
        method: message.method,
        url: message.url,
        query: message.query,
        headers: message.headers,
        body: message.body,
        received_ms: now.millis(),
    };
    Ok(Kept { account, about, row, inbound })
}

/// Reads, checks, confirms and writes. Gives what the sender is to hear, and what kind of message it was.
async fn process(gateway: &Gateway, kept: &Kept) -> Flow<(Verdict, Channel)> {
    let arrived = kept.inbound.channel;
    let read = match read(gateway, kept).await? {
        Read::Events { channel, events, signed } => (channel, events, signed),
        Read::Refused(reason) => {
            settle(gateway, kept, "rejected", Some(&reason), None).await?;
            return Ok((Verdict::Rejected, arrived));
        }
        Read::Later(reason) => {
            settle(gateway, kept, "waiting", Some(&reason), None).await?;
            return Ok((Verdict::Busy, arrived));
        }
    };
    let (channel, events, signed) = read;
    let mut verdict = Verdict::Duplicate;
    for event in &events {
        let message = believe::Message {
            account: &kept.account,
            about: kept.about.as_ref(),
            notification: kept.row.id,
            received_at: kept.row.received_at,
            signed,
            channel,
        };
        let believed = believe::event(gateway, &message, event).await?;
        let (state, reason) = match &believed {
            Believed::Applied => ("applied", None),
            Believed::Duplicate => ("duplicate", None),
            Believed::Ignored => ("applied", Some("nothing that we keep")),
            Believed::Rejected(reason) => ("rejected", Some(reason.as_str())),
            Believed::Waits(reason) => ("waiting", Some(reason.as_str())),
        };
        if !matches!(believed, Believed::Applied) {
            // What was applied is settled in the transaction that applied it.
            settle(gateway, kept, state, reason, Some(event)).await?;
        }
        verdict = match (believed, verdict) {
            (Believed::Rejected(_), _) => return Ok((Verdict::Rejected, channel)),
            (Believed::Waits(_), _) => return Ok((Verdict::Busy, channel)),
            (Believed::Applied | Believed::Ignored, _) => Verdict::Accepted,
            (Believed::Duplicate, before) => before,
        };
    }
    if events.is_empty() {
        settle(gateway, kept, "applied", Some("nothing that we keep"), None).await?;
        verdict = Verdict::Accepted;
    }
    Ok((verdict, channel))
}

enum Read {
    Events { channel: Channel, events: Vec<Event>, signed: bool },
    Refused(String),
    Later(String),
}

/// Lets the plugin read the message, and asks the provider what it wants to know for that.
async fn read(gateway: &Gateway, kept: &Kept) -> Flow<Read> {
    let account = &kept.account;
    let about = kept.about.as_ref().map(payments::to_contract);
    let key = kept.row.id.to_string();
    let mut answer = None;
    for _ in 0..=MOST_QUESTIONS {
        let context = account.context(gateway, &key[..key.len().min(36)]);
        let called = account
            .plugin
            .read(context, &account.keys, kept.inbound.clone(), about.clone(), answer)
            .await;
        let called = match called {
            Ok(called) => called,
            Err(error) => return Ok(Read::Later(error.to_string())),
        };
        let signed = called.signature_held();
        match called.answer {
            Ok(Reading::Events((channel, events))) => {
                return Ok(Read::Events { channel, events, signed });
            }
            Ok(Reading::Ask((request, state))) => {
                let limit = gateway.settings.confirm_limit;
                let outgoing = match operation::admitted(account, Running::notice(), &request) {
                    Ok(outgoing) => outgoing,
                    Err(failure) => return Ok(Read::Later(failure.message)),
                };
                let redactor = outgoing.carries_secret().then(|| outgoing.redactor(&account.keys));
                match gateway.net.send(outgoing, limit).await.0 {
                    Ok(response) => {
                        // A provider may reflect what it was sent, and no plugin sees a secret.
                        let clean = match redactor {
                            Some(redactor) => redactor.answer(response),
                            None => response,
                        };
                        answer = Some((state, clean));
                    }
                    Err(error) => return Ok(Read::Later(error.to_string())),
                }
            }
            Err(fault) if matches!(fault.code.as_str(), "signature" | "protocol") => {
                return Ok(Read::Refused(format!("{}: {}", fault.code, fault.message)));
            }
            Err(fault) => return Ok(Read::Later(format!("{}: {}", fault.code, fault.message))),
        }
    }
    Ok(Read::Later("the plugin asks without end".to_owned()))
}

async fn settle(
    gateway: &Gateway,
    kept: &Kept,
    state: &str,
    reason: Option<&str>,
    event: Option<&Event>,
) -> Flow<()> {
    if state == "rejected" {
        tracing::warn!(
            account = %kept.account.row.id, notification = %kept.row.id, reason, "a message was refused"
        );
    }
    let now = gateway.store.now();
    let dedupe_key = event.map(|event| event.dedupe_key.as_str());
    let settled = &Settled { state, reason, payment_id: None, dedupe_key };
    let (merchant, id) = (kept.row.merchant_id, kept.row.id);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                notifications::settle(tx.sql(), merchant, id, settled, now).await?;
                if settled.state == "waiting" {
                    believe::read_later(tx, gateway, merchant, id).await?;
                }
                Ok(())
            })
        })
        .await
}

/// What the provider wants to hear. A plugin that cannot say it leaves a bare refusal: the provider sends again.
async fn acknowledge(gateway: &Gateway, kept: &Kept, verdict: Verdict) -> Reply {
    let account = &kept.account;
    let key = kept.row.id.to_string();
    let context = account.context(gateway, &key[..key.len().min(36)]);
    let called =
        account.plugin.acknowledge(context, &account.keys, kept.inbound.clone(), verdict).await;
    match called {
        Ok(called) => called.answer,
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
