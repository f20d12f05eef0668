//! An account opened for use: its plugin, its parsed keys, and what it may reach.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use secrecy::SecretString;
use tollgate_domain::ids::{AccountId, MerchantId};
use tollgate_plugin::contract::{Ability, Context};
use tollgate_plugin::{Grant, KeyError, Keys, Plugin, origins_of, permissions};

use super::keyring::{self, Ring};
use super::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::accounts::{self, AccountRow};

/// An account with all that a call on its behalf needs.
pub struct Account {
    /// Its row.
    pub row: AccountRow,
    /// Its provider's plugin, as it is now.
    pub plugin: Arc<Plugin>,
    /// Its keys, parsed: the operator's, and those that were fetched since.
    pub ring: Ring,
    /// What it may reach.
    pub grant: Grant,
    /// Base addresses by name.
    pub origins: Vec<(String, String)>,
}

impl Account {
    /// What the plugin promises of an operation, if it has it.
    pub fn ability(&self, operation: &str) -> Option<&Ability> {
        self.plugin.manifest().operations.iter().find(|ability| ability.operation == operation)
    }

    /// All keys, as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        self.ring.keys()
    }

    /// Whether a call may miss a key that the provider hands over.
    pub fn fetches_keys(&self) -> bool {
        self.plugin.manifest().slots.iter().any(|slot| slot.trust.is_some())
    }

    /// The account's public settings.
    pub fn settings(&self) -> &[(String, String)] {
        &self.grant.settings
    }

    /// Everything that a plugin call is told beside its arguments. `key` stays the same for each try of one thing.
    pub fn context(&self, gateway: &Gateway, key: &str) -> Context {
        Context {
            now_ms: gateway.store.now().millis(),
            nonce: gateway.chance.text(32),
            idempotency_key: key.to_owned(),
            trace_id: gateway.chance.text(16),
            live: self.row.live == 1,
            settings: self.grant.settings.clone(),
            origins: self.origins.clone(),
            extra: Vec::new(),
        }
    }
}

/// A merchant's account, open.
pub async fn open(gateway: &Gateway, merchant: MerchantId, id: AccountId) -> Flow<Arc<Account>> {
    if let Some(account) = kept_open(gateway, id).await?
        && account.row.merchant_id == merchant
    {
        return Ok(account);
    }
    let mut sql = gateway.store.read().await?;
    let row = accounts::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("account"))?;
    drop(sql);
    open_row(gateway, row).await
}

/// The account that a request of the merchant's names in its field `account_id`, open.
pub(super) async fn named(
    gateway: &Gateway,
    merchant: MerchantId,
    id: AccountId,
) -> Flow<Arc<Account>> {
    open(gateway, merchant, id).await.map_err(|error| match error {
        FlowError::NotFound(_) => FlowError::invalid("account_id", "is no account of yours"),
        other => other,
    })
}

/// The account that a message is addressed to, open, whoever owns it.
pub async fn open_by_address(gateway: &Gateway, id: AccountId) -> Flow<Arc<Account>> {
    if let Some(account) = kept_open(gateway, id).await? {
        return Ok(account);
    }
    let mut sql = gateway.store.read().await?;
    let row = accounts::by_address(&mut sql, id).await?.ok_or(FlowError::NotFound("account"))?;
    drop(sql);
    open_row(gateway, row).await
}

/// An account that is open already, if its plugin is still the same. What opens of a row never changes, and no row of an
/// account goes away.
async fn kept_open(gateway: &Gateway, id: AccountId) -> Flow<Option<Arc<Account>>> {
    let account = gateway.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    let Some(account) = account else { return Ok(None) };
    if plugin_of(gateway, &account.row)?.digest() != account.plugin.digest() {
        return Ok(None);
    }
    keyring::let_lapse(gateway, &account).await?;
    Ok(Some(account))
}

fn plugin_of(gateway: &Gateway, row: &AccountRow) -> Flow<Arc<Plugin>> {
    gateway.plugins.get(&row.plugin).ok_or_else(|| {
        FlowError::Unavailable(format!(
            "the plugin {} of account {} is not loaded",
            row.plugin, row.id
        ))
    })
}

async fn open_row(gateway: &Gateway, row: AccountRow) -> Flow<Arc<Account>> {
    let plugin = plugin_of(gateway, &row)?;
    check_granted(&row, &plugin)?;
    let sealed = gateway.sealer.open(&row.id.to_string(), &row.secrets)?;
    let secrets: BTreeMap<String, Vec<String>> = serde_json::from_slice(&sealed)?;
    let account = Arc::new(assemble(row, plugin, secrets)?);
    if account.plugin.manifest().slots.iter().any(|s| s.trust.is_some() || s.token.is_some()) {
        keyring::load(gateway, &account).await?;
    }
    let mut open = gateway.accounts.lock().unwrap_or_else(PoisonError::into_inner);
    // Of those who opened it at once the first counts: two rings would each fetch for themselves.
    match open.get(&account.row.id) {
        Some(first) if first.plugin.digest() == account.plugin.digest() => Ok(first.clone()),
        _ => {
            open.insert(account.row.id, account.clone());
            Ok(account)
        }
    }
}

/// Refuses a plugin that asks for more than the account's owner granted: its file was replaced since.
fn check_granted(row: &AccountRow, plugin: &Plugin) -> Flow<()> {
    let granted: BTreeSet<String> = serde_json::from_str(&row.granted)?;
    let asked = permissions(plugin.manifest());
    match asked.difference(&granted).next() {
        None => Ok(()),
        Some(more) => Err(FlowError::Unavailable(format!(
            "the plugin {} now asks for more than account {} was granted: {more}",
            row.plugin, row.id
        ))),
    }
}

/// Puts a row, its plugin and its secrets together; refuses keys and addresses that break the manifest's rules.
pub(super) fn assemble(
    row: AccountRow,
    plugin: Arc<Plugin>,
    secrets: BTreeMap<String, Vec<String>>,
) -> Flow<Account> {
    let settings: BTreeMap<String, String> = serde_json::from_str(&row.settings)?;
    let grant = Grant {
        live: row.live == 1,
        simulator: row.simulator == 1,
        origins: serde_json::from_str(&row.origins)?,
        settings: settings.into_iter().collect(),
    };
    let origins = origins_of(plugin.manifest(), &grant)
        .map_err(|refusal| FlowError::invalid("origins", refusal.to_string()))?;
    let secrets = secrets
        .into_iter()
        .map(|(slot, texts)| (slot, texts.into_iter().map(SecretString::from).collect()))
        .collect();
    let keys = Keys::parse(plugin.manifest(), &secrets, row.live == 1).map_err(refused)?;
    Ok(Account { row, plugin, ring: Ring::new(keys), grant, origins })
}

/// Keys that break a rule, by their slot.
pub(super) fn refused(error: KeyError) -> FlowError {
    FlowError::invalid(format!("secrets.{}", error.slot), error.rule)
}
