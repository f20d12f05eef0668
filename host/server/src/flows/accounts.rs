//! Making an account: settings and keys are checked against the plugin's manifest before anything is kept.

use std::collections::BTreeMap;
use std::fmt;

use tollgate_domain::ids::{AccountId, MerchantId};
use tollgate_domain::matching::FeeTerms;
use tollgate_plugin::contract::{Input, Manifest};
use tollgate_plugin::keys::needs::unfilled;
use tollgate_plugin::permissions;
use zeroize::Zeroizing;

use super::idempotency::Turn;
use super::texts::one_line;
use super::{FieldError, Flow, FlowError, account, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::accounts::{self, AccountRow};
use crate::store::reconciliations;

/// An account as the merchant asks for it.
pub struct NewAccount {
    /// The plugin's id.
    pub plugin: String,
    /// What the merchant calls it; unique for the merchant.
    pub name: String,
    /// Whether it moves real money.
    pub live: bool,
    /// Whether it is at a simulator on this machine.
    pub simulator: bool,
    /// Public settings as the manifest declares them.
    pub settings: BTreeMap<String, String>,
    /// Keys by slot.
    pub secrets: BTreeMap<String, Secret>,
    /// A simulator's base addresses.
    pub origins: BTreeMap<String, String>,
    /// What the provider takes of each payment by its contract with the merchant: then fees are compared.
    pub fee: Option<FeeTerms>,
}

/// A slot's keys: one text, or several of which the first is the current one.
pub enum Secret {
    /// One key.
    One(String),
    /// The current key and others that are still believed.
    Several(Vec<String>),
}

impl Secret {
    fn is_filled(&self) -> bool {
        !matches!(self, Secret::Several(texts) if texts.is_empty())
    }
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("plugin", &self.plugin)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Checks and keeps a new account, its secrets sealed. A request that was cut off after it made its account gets that
/// one.
pub async fn create(
    gateway: &Gateway,
    merchant: MerchantId,
    new: NewAccount,
    turn: Option<&Turn>,
) -> Flow<AccountRow> {
    if let Some(made) = turn.and_then(|turn| turn.made.as_deref()) {
        let id = made.parse().map_err(|_| FlowError::NotFound("account"))?;
        return get(gateway, merchant, id).await;
    }
    let plugin = gateway.plugins.get(&new.plugin);
    let plugin =
        plugin.ok_or_else(|| FlowError::invalid("plugin", "must be one that is loaded"))?;
    let errors = check(gateway, plugin.manifest(), &new);
    if !errors.is_empty() {
        return Err(FlowError::Invalid(errors));
    }
    let now = gateway.store.now();
    let id: AccountId = gateway.chance.id(now);
    let secrets: BTreeMap<String, Vec<String>> = new
        .secrets
        .into_iter()
        .map(|(slot, secret)| match secret {
            Secret::One(text) => (slot, vec![text]),
            Secret::Several(texts) => (slot, texts),
        })
        .collect();
    let plain = Zeroizing::new(serde_json::to_vec(&secrets)?);
    let slots: BTreeMap<&str, usize> =
        secrets.iter().map(|(slot, keys)| (slot.as_str(), keys.len())).collect();
    let row = AccountRow {
        merchant_id: merchant,
        id,
        plugin: new.plugin,
        name: new.name,
        live: i64::from(new.live),
        simulator: i64::from(new.simulator),
        settings: serde_json::to_string(&new.settings)?,
        origins: serde_json::to_string(&new.origins)?,
        slots: serde_json::to_string(&slots)?,
        granted: serde_json::to_string(&permissions(plugin.manifest()))?,
        secrets: gateway.sealer.seal(&id.to_string(), &plain, &gateway.chance)?,
        created_at: now,
    };
    let account = account::assemble(row.clone(), plugin, secrets)?;
    account.keys().check_own_halves().map_err(account::refused)?;
    let (account, row, fee) = (&account, &row, new.fee);
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let others = accounts::list(tx.sql(), merchant).await?;
                if others.iter().any(|other| other.name == row.name) {
                    let detail = format!("an account named {:?} exists", row.name);
                    return Err(FlowError::Conflict { code: "account-name-used", detail });
                }
                if let Some(turn) = turn {
                    turn.note(tx, row.id).await?;
                }
                accounts::insert(tx.sql(), row).await?;
                if let Some(fee) = fee {
                    reconciliations::set_fee_terms(tx.sql(), merchant, row.id, fee, now).await?;
                }
                if !account.plugin.manifest().bills.is_empty() {
                    let (kind, subject) = (Kind::DailyBills, row.id.to_string());
                    learn::put_job_about(tx, gateway, merchant, row.id, kind, &subject, now)
                        .await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(row.clone())
}

fn check(gateway: &Gateway, manifest: &Manifest, new: &NewAccount) -> Vec<FieldError> {
    let mut errors = Vec::from_iter(one_line("name", &new.name, 100));
    if new.simulator && !gateway.settings.simulators {
        errors
            .push(FieldError::new("simulator", "is switched off in this gateway's configuration"));
    }
    if new.simulator && new.live {
        errors.push(FieldError::new(
            "live",
            "must be false: an account at a simulator moves no real money",
        ));
    }
    if !new.simulator && !new.origins.is_empty() {
        errors.push(FieldError::new(
            "origins",
            "must be empty: only an account at a simulator has addresses of its own",
        ));
    }
    if new.fee.is_some_and(|fee| !(0..=1_000_000).contains(&fee.rate_ppm)) {
        errors.push(FieldError::new("fee.rate_ppm", "must be between 0 and 1000000"));
    }
    if new.fee.is_some_and(|fee| fee.fixed < 0) {
        errors.push(FieldError::new("fee.fixed", "must not be negative"));
    }
    let settings = new.settings.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    check_inputs("settings", manifest.settings.iter(), &settings, &mut errors);
    for name in new.secrets.keys() {
        if !manifest.slots.iter().any(|slot| slot.input.name == *name) {
            errors.push(FieldError::new(format!("secrets.{name}"), "is no slot of the plugin"));
        }
    }
    let filled = |slot: &str| new.secrets.get(slot).is_some_and(Secret::is_filled);
    for lack in unfilled(manifest, filled) {
        errors.push(FieldError::new(format!("secrets.{}", lack.slot), lack.rule));
    }
    errors
}

/// Checks texts against what a manifest declares: known names, required ones, patterns. No text is repeated.
pub(super) fn check_inputs<'m>(
    place: &str,
    declared: impl Iterator<Item = &'m Input> + Clone,
    given: &BTreeMap<&str, &str>,
    errors: &mut Vec<FieldError>,
) {
    for name in given.keys() {
        if !declared.clone().any(|input| input.name == *name) {
            errors
                .push(FieldError::new(format!("{place}.{name}"), "is not declared by the plugin"));
        }
    }
    for input in declared {
        let field = || format!("{place}.{}", input.name);
        match given.get(input.name.as_str()).copied() {
            None if input.required => errors.push(FieldError::new(field(), "is required")),
            None => {}
            Some(value) => {
                let fits = input.pattern.as_deref().is_none_or(|pattern| fits(pattern, value));
                if !fits || value.len() > 4096 || value.chars().any(char::is_control) {
                    let rule = input.pattern.as_deref().unwrap_or("must be one line of text");
                    errors.push(FieldError::new(field(), format!("does not fit: {rule}")));
                }
            }
        }
    }
}

/// Whether the whole value matches the pattern. One that does not compile matches nothing: the registry refuses
/// such manifests, so this is a plugin that was swapped meanwhile.
fn fits(pattern: &str, value: &str) -> bool {
    regex::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(value))
}

/// Grants an account's plugin what it asks for now: after its file was replaced by one that asks for more.
pub async fn grant(gateway: &Gateway, merchant: MerchantId, id: AccountId) -> Flow<AccountRow> {
    let row = get(gateway, merchant, id).await?;
    let plugin = gateway.plugins.get(&row.plugin).ok_or_else(|| {
        FlowError::Unavailable(format!("the plugin {} is not loaded", row.plugin))
    })?;
    let granted = serde_json::to_string(&permissions(plugin.manifest()))?;
    let wanted = granted.as_str();
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(
                async move { Ok(accounts::set_granted(tx.sql(), merchant, id, wanted).await?) },
            )
        })
        .await?;
    Ok(AccountRow { granted, ..row })
}

/// A merchant's account.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: AccountId) -> Flow<AccountRow> {
    let mut sql = gateway.store.read().await?;
    accounts::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("account"))
}

/// A merchant's accounts, oldest first.
pub async fn list(gateway: &Gateway, merchant: MerchantId) -> Flow<Vec<AccountRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(accounts::list(&mut sql, merchant).await?)
}

/// What the provider takes of each payment, if the merchant told us.
pub async fn fee_terms(gateway: &Gateway, account: &AccountRow) -> Flow<Option<FeeTerms>> {
    let mut sql = gateway.store.read().await?;
    Ok(reconciliations::fee_terms(&mut sql, account.merchant_id, account.id).await?)
}
