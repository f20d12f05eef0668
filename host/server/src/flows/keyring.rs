//! Keys that a provider hands over as it goes. A certificate that a call missed is fetched, believed by its slot's trust
//! and by nothing else, and the call is repeated. A token is taken out of an answer that no plugin sees, shared by all
//! calls, and replaced before it expires. Both are kept sealed in rows, so that every replica has them.

mod ring;
mod token;

use futures::future::BoxFuture;
use tokio::sync::OwnedMutexGuard;
use tollgate_domain::time::Moment;
use tollgate_plugin::MissingKey;
use tollgate_plugin::contract::{FetchedKey, KeyRequest, Operation, Outcome};

pub use ring::Ring;
pub use token::{renew, tokens};

use super::account::Account;
use super::operation::{self, Ending, Ran, Task};
use super::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::fetched::{self, FetchedRow, Place};

/// Why keys are asked for. Each has gaps of its own, so that strangers whose messages name keys that are none cannot
/// keep an answer's from being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A provider's answer named it.
    Answer,
    /// A message named it, which anybody may have sent.
    Message,
    /// The slot's own time for it has come.
    Refresh,
    /// A request wants a token.
    Token,
}

impl Cause {
    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Answer => "answer",
            Cause::Message => "message",
            Cause::Refresh => "refresh",
            Cause::Token => "token",
        }
    }

    /// How long nobody asks again after a try, of so many that failed in a row before it.
    fn gap_ms(self, failures: i64) -> i64 {
        let doublings = u32::try_from(failures.clamp(0, 12)).unwrap_or(0);
        match self {
            Cause::Answer | Cause::Token => (2_000 << doublings).min(600_000),
            Cause::Message => 10_000,
            Cause::Refresh => (60_000 << doublings).min(3_600_000),
        }
    }
}

/// What looking for a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there now: the call that missed it is worth repeating.
    There,
    /// The provider has no such key, or the slot's trust does not hold for it.
    Absent,
    /// The provider could not be asked now.
    NotNow,
}

/// Looks for a key that a call missed: among those that another replica fetched, then at the provider.
pub async fn find(
    gateway: &Gateway,
    account: &Account,
    missing: &MissingKey,
    cause: Cause,
) -> Flow<Found> {
    let (slot, id) = (missing.slot.as_str(), missing.id.as_str());
    let Some(_turn) = turn(gateway, account, slot).await else { return Ok(Found::NotNow) };
    if account.keys().holds(slot, id) {
        return Ok(Found::There);
    }
    load(gateway, account).await?;
    if account.keys().holds(slot, id) {
        return Ok(Found::There);
    }
    if account.ability("fetch-keys").is_none() {
        return Ok(Found::Absent);
    }
    if !begin(gateway, place(account, slot, cause), cause).await? {
        return Ok(Found::NotNow);
    }
    fetch(gateway, account, slot, id, cause).await
}

/// Waits for the turn to fill a slot, no longer than a call to the provider may take: whoever has it calls the provider.
async fn turn(gateway: &Gateway, account: &Account, slot: &str) -> Option<OwnedMutexGuard<()>> {
    let queue = account.ring.turn(slot);
    if let Ok(turn) = queue.clone().try_lock_owned() {
        return Some(turn);
    }
    tokio::select! {
        biased;
        turn = queue.lock_owned() => Some(turn),
        () = gateway.store.clock().pass(gateway.settings.call_limit) => None,
    }
}

/// Fetches the keys of each slot whose time for it has come. What it has stays, whatever becomes of that.
pub async fn refresh(gateway: &Gateway, account: &Account) -> Flow<()> {
    for slot in &account.plugin.manifest().slots {
        let Some(every_ms) = slot.trust.as_ref().and_then(|trust| trust.refresh_ms) else {
            continue;
        };
        let (name, now) = (slot.input.name.as_str(), gateway.store.now());
        let every_ms = i64::try_from(every_ms).unwrap_or(i64::MAX / 4);
        let is_due = || account.ring.is_stale(name, account.row.created_at, every_ms, now);
        if !account.keys().holds(name, "") || !is_due() {
            continue;
        }
        let Ok(_turn) = account.ring.turn(name).try_lock_owned() else { continue };
        load(gateway, account).await?;
        if is_due() && begin(gateway, place(account, name, Cause::Refresh), Cause::Refresh).await? {
            fetch(gateway, account, name, "", Cause::Refresh).await?;
        }
        account.ring.looked_at(name, now);
    }
    Ok(())
}

/// What a certificate signed is believed no longer than the certificate is good: one whose time is over is let go.
pub async fn let_lapse(gateway: &Gateway, account: &Account) -> Flow<()> {
    if account.ring.let_lapse(gateway.store.now()) {
        load(gateway, account).await?;
    }
    Ok(())
}

/// Takes up what the rows hold and this process does not: what it kept before a restart, what another replica fetched.
pub async fn load(gateway: &Gateway, account: &Account) -> Flow<()> {
    let now = gateway.store.now();
    let mut sql = gateway.store.read().await?;
    let rows = fetched::all(&mut sql, account.row.merchant_id, account.row.id, now).await?;
    drop(sql);
    for row in rows {
        if account.ring.has(&row) {
            continue;
        }
        let sealed_for = owner(account, &row.slot, &row.key_id);
        let Ok(plain) = gateway.sealer.open(&sealed_for, &row.value) else {
            // Under a sealing key that is gone: it can be fetched again.
            tracing::warn!(account = %account.row.id, slot = row.slot, "a kept key cannot be opened");
            continue;
        };
        if let Err(error) = account.ring.take(&row, &plain, now) {
            tracing::warn!(account = %account.row.id, %error, "a kept key is not believed any more");
        }
    }
    Ok(())
}

fn place<'a>(account: &Account, slot: &'a str, cause: Cause) -> Place<'a> {
    let (merchant, account) = (account.row.merchant_id, account.row.id);
    Place { merchant, account, slot, cause: cause.as_str() }
}

/// What a sealed key is bound to: it opens for that account, slot and name only.
fn owner(account: &Account, slot: &str, key_id: &str) -> String {
    format!("{}/{slot}/{key_id}", account.row.id)
}

/// The right to ask now.
async fn begin(gateway: &Gateway, place: Place<'_>, cause: Cause) -> Flow<bool> {
    let now = gateway.store.now();
    let write = gateway.store.write::<bool, FlowError, _>(move |tx| {
        Box::pin(async move {
            Ok(fetched::begin(tx.sql(), place, now, |failures| cause.gap_ms(failures)).await?)
        })
    });
    write.await
}

/// Runs `fetch-keys` and keeps what the slot's trust holds for. Boxed: the operation that missed the key runs this one.
fn fetch<'a>(
    gateway: &'a Gateway,
    account: &'a Account,
    slot: &'a str,
    id: &'a str,
    cause: Cause,
) -> BoxFuture<'a, Flow<Found>> {
    Box::pin(async move {
        let wanted = Some(id.to_owned()).filter(|id| !id.is_empty());
        let operation = Operation::FetchKeys(KeyRequest { slot: slot.to_owned(), id: wanted });
        let (subject, key) = (account.row.id.to_string(), gateway.chance.text(24));
        let limit = match cause {
            Cause::Message => gateway.settings.confirm_limit,
            Cause::Answer | Cause::Refresh | Cause::Token => gateway.settings.call_limit,
        };
        let (subject, operation) = (&subject, &operation);
        let (key, state, private) = (&key, Vec::new(), None);
        let task = Task { account, subject, key, operation, state, limit, private };
        let ran = operation::run(gateway, &task).await?;
        let now = gateway.store.now();
        let (rows, answered) = believed(gateway, account, slot, &ran, now)?;
        let there = account.keys().holds(slot, id) && (cause != Cause::Refresh || !rows.is_empty());
        let (rows, ran, place) = (&rows, &ran, place(account, slot, cause));
        let write = gateway.store.write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                ran.records.write(tx, gateway, account, subject).await?;
                for row in rows {
                    fetched::put(tx.sql(), place, row).await?;
                }
                if there {
                    fetched::succeed(tx.sql(), place).await?;
                }
                Ok(())
            })
        });
        write.await?;
        Ok(match (there, answered) {
            (true, _) => Found::There,
            (false, true) => Found::Absent,
            (false, false) => Found::NotNow,
        })
    })
}

/// The keys that came and are believed, as rows; and whether the provider answered at all.
fn believed(
    gateway: &Gateway,
    account: &Account,
    slot: &str,
    ran: &Ran,
    now: Moment,
) -> Flow<(Vec<FetchedRow>, bool)> {
    let keys: &[FetchedKey] = match &ran.ending {
        Ending::Done(Outcome::Keys(keys)) => keys,
        Ending::Done(_) | Ending::Wait { .. } => {
            tracing::warn!(account = %account.row.id, slot, "the plugin brought no keys");
            &[]
        }
        Ending::Failed { failure, .. } => {
            tracing::warn!(account = %account.row.id, slot, %failure.message, "keys could not be fetched");
            return Ok((Vec::new(), failure.code == "not-found"));
        }
    };
    let mut rows = Vec::new();
    for key in keys {
        match account.ring.believe(slot, key, &ran.audit, now) {
            Ok(expires_at) => {
                let owner = owner(account, slot, &key.id);
                let value = gateway.sealer.seal(&owner, &key.encoded, &gateway.chance)?;
                let (slot, key_id) = (slot.to_owned(), key.id.clone());
                rows.push(FetchedRow { slot, key_id, value, fetched_at: now, expires_at });
            }
            Err(error) => {
                tracing::warn!(account = %account.row.id, key = key.id, %error, "a fetched key is not believed");
            }
        }
    }
    account.ring.note(&rows);
    Ok((rows, true))
}
