//! One exchange with a provider: what a plugin wants to send is admitted, sent and recorded, with every secret taken
//! out of the record and of what the plugin reads. What a plugin logs goes to the operator from here too.

use std::time::Duration;

use tollgate_plugin::contract::{Context, HttpRequest, HttpResponse, Level};
use tollgate_plugin::egress::Running;
use tollgate_plugin::{
    Exchange, Keys, LogLine, Outgoing, PrivateFields, Redactor, admit, clean_lines,
};

use super::account::Account;
use super::pauses::Pause;
use super::tries::Spent;
use super::{Failure, Flow, keyring};
use crate::gateway::Gateway;
use crate::net::SendError;
use crate::store::Tx;
use crate::store::exchanges::{self, ExchangeRow};

/// The status of a provider that does not take a token any more.
pub const UNAUTHORIZED: u16 = 401;

/// What is to be sent, on whose behalf.
pub struct Sending<'a> {
    /// Through which account.
    pub account: &'a Account,
    /// By which operation.
    pub running: Running<'a>,
    /// What the plugin wants to send.
    pub request: &'a HttpRequest,
    /// What the call that built it was told.
    pub context: &'a Context,
    /// How long it may take.
    pub limit: Duration,
    /// What of the payer's is sealed in it: nobody may read that in an answer either.
    pub private: Option<&'a PrivateFields>,
}

/// Something that was sent, or whose sending failed.
pub struct Sent {
    /// The answer as a plugin may read it.
    pub answer: Result<HttpResponse, SendError>,
    /// The record of it.
    pub exchange: Exchange,
    /// Takes the secrets of this exchange out of whatever else is kept of it.
    pub redactor: Redactor,
}

impl Sent {
    /// As one that another sending went before: whoever answered that one may have acted on it.
    fn behind_another(mut self) -> Sent {
        if let Err(SendError::NotSent(reason)) = self.answer {
            self.answer = Err(SendError::NoAnswer(reason));
        }
        self
    }
}

/// What a run leaves behind, to be written with what was learnt from it: records of exchanges, where it waits, and whether its
/// key is spent.
#[derive(Default)]
pub struct Records {
    exchanges: Vec<(String, String)>,
    pause: Pause,
    spent: Option<Spent>,
}

impl Records {
    /// Takes a record that is complete.
    pub fn add(&mut self, exchange: &Exchange) -> Flow<()> {
        self.exchanges.push((exchange.operation.clone(), serde_json::to_string(exchange)?));
        Ok(())
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Notes that the operation waits, or does not any more.
    pub fn pause(&mut self, pause: Pause) {
        self.pause = pause;
    }

    /// Notes that the provider has answered the try for good, or not.
    pub fn spent(&mut self, spent: Option<Spent>) {
        self.spent = spent;
    }

    /// Writes it all for `subject`.
    pub async fn write(
        &self,
        tx: &mut Tx<'_>,
        gateway: &Gateway,
        account: &Account,
        subject: &str,
    ) -> Flow<()> {
        let now = gateway.store.now();
        for (operation, record) in &self.exchanges {
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
        if let Some(spent) = &self.spent {
            spent.write(tx, account.row.merchant_id, subject).await?;
        }
        self.pause.write(tx, gateway, account.row.merchant_id, subject).await
    }
}

/// Sends what a plugin wants to send, if it may, and begins the record of it. A token that the provider does not take
/// any more is replaced, once: what it answered then is on record by itself.
pub async fn send(
    gateway: &Gateway,
    sending: &Sending<'_>,
    records: &mut Records,
) -> Flow<Result<Sent, Failure>> {
    let Sending { account, request, .. } = *sending;
    let keys = match keyring::tokens(gateway, account, request).await? {
        Ok(keys) => keys,
        Err(failure) => return Ok(Err(failure)),
    };
    let sent = match once(gateway, sending, &keys).await {
        Ok(sent) => sent,
        Err(failure) => return Ok(Err(failure)),
    };
    let refused = matches!(&sent.answer, Ok(answer) if answer.status == UNAUTHORIZED);
    if refused && keyring::renew(gateway, account, request, &keys).await? {
        records.add(&sent.exchange)?;
        return Ok(once(gateway, sending, &account.keys()).await.map(Sent::behind_another));
    }
    Ok(Ok(sent))
}

async fn once(gateway: &Gateway, sending: &Sending<'_>, keys: &Keys) -> Result<Sent, Failure> {
    let Sending { account, running, request, context, limit, private } = *sending;
    let outgoing = admitted(account, running, request, keys)?;
    let sealing = private.map(|private| keys.with_private(private));
    if private.is_some_and(|private| outgoing.shows(private)) {
        let rule = "the plugin wants to send what may be a private field in the clear";
        return Err(failure("refused", rule.to_owned()));
    }
    let redactor = outgoing.redactor(sealing.as_ref().unwrap_or(keys));
    let mut exchange =
        Exchange::begin(&account.plugin, running.name, context, &outgoing, &redactor);
    if private.is_some() {
        exchange.withhold_request();
    }
    let carries_secret = outgoing.carries_secret() || private.is_some();
    let (answer, took) = gateway.net.send(outgoing, limit).await;
    let answer = match answer {
        Ok(response) => {
            match private {
                None => exchange.answered(&response, took, &redactor),
                Some(_) => exchange.answered_with_a_secret(&response, took),
            }
            // A provider may reflect what it was sent, and no plugin sees a secret.
            Ok(if carries_secret { redactor.answer(response) } else { response })
        }
        Err(error) => {
            exchange.unanswered(&error.to_string(), took, &redactor);
            Err(error)
        }
    };
    Ok(Sent { answer, exchange, redactor })
}

/// What a plugin wants to send, if it may.
pub fn admitted(
    account: &Account,
    running: Running<'_>,
    request: &HttpRequest,
    keys: &Keys,
) -> Result<Outgoing, Failure> {
    let manifest = account.plugin.manifest();
    admit(manifest, &account.grant, running, request, keys).map_err(|refusal| {
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

/// A failure that no provider has words for.
pub(super) fn failure(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, provider_code: None, provider_message: None }
}

/// Hands what a plugin logged in one call to the operator: redacted, the first lines of it, the rest counted.
pub fn tell(account: &Account, call: &str, lines: &[LogLine]) {
    if lines.is_empty() {
        return;
    }
    let (id, plugin) = (account.row.id, account.row.plugin.as_str());
    let redactor = Redactor::new(&account.keys(), &[]);
    let mut told = 0;
    for LogLine { level, message } in clean_lines(lines, &redactor) {
        told += 1;
        match level {
            Level::Debug => tracing::debug!(account = %id, plugin, call, message, "plugin"),
            Level::Info => tracing::info!(account = %id, plugin, call, message, "plugin"),
            Level::Warn => tracing::warn!(account = %id, plugin, call, message, "plugin"),
        }
    }
    if told < lines.len() {
        let more = lines.len() - told;
        tracing::info!(account = %id, plugin, call, more, "the plugin logged more lines");
    }
}
