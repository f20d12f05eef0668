//! Accounts at providers over HTTP. Secrets go in and never come out.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::kind;
use tollgate_domain::matching::FeeTerms;
use tollgate_plugin::contract::Manifest;
use utoipa::ToSchema;

use super::body::Body;
use super::caller::{Caller, Named, Once};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::{Flow, accounts};
use crate::gateway::Gateway;
use crate::store::accounts::AccountRow;

/// A merchant's standing with a provider. It has no form for logs: it holds secrets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The plugin's id.
    plugin: String,
    /// What you call it; unique among your accounts.
    name: String,
    /// Whether it moves real money.
    live: bool,
    /// Whether it is at a simulator on this machine.
    #[serde(default)]
    simulator: bool,
    /// Public settings, as the plugin's manifest declares them.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Keys by slot, as the plugin's manifest declares them.
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
    /// A simulator's base addresses, on this machine.
    #[serde(default)]
    origins: BTreeMap<String, String>,
    /// What the provider takes of each payment by your contract; with it, fees in bills are compared too.
    #[serde(default)]
    fee: Option<Fee>,
}

/// What a provider takes of a payment: a share of the amount, rounded half up, and so much on top.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Millionths of the amount: 6000 is 0.6 %.
    #[schema(minimum = 0, maximum = 1_000_000)]
    rate_ppm: i64,
    /// Minor units of the payment's currency.
    #[schema(minimum = 0)]
    fixed: i64,
}

/// A slot's keys.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected keys, expected a text or a list of texts")]
enum Secret {
    /// One key.
    One(String),
    /// The current key, and others that are still believed.
    Several(Vec<String>),
}

/// A merchant's standing with a provider.
#[derive(Serialize, ToSchema)]
pub struct Account {
    /// Starts with `acc_`.
    id: String,
    /// The plugin's id.
    plugin: String,
    /// What you call it.
    name: String,
    /// Whether it moves real money.
    live: bool,
    /// Whether it is at a simulator on this machine.
    simulator: bool,
    /// Public settings.
    settings: BTreeMap<String, String>,
    /// How many keys each slot holds.
    slots: Vec<Slot>,
    /// What payers can choose; empty while the plugin is not loaded.
    methods: Vec<AccountMethod>,
    /// What the plugin may do on the account's behalf. One whose file is replaced and asks for more does nothing until
    /// that is granted.
    granted: Vec<String>,
    /// Where the provider sends its notifications.
    notify_url: String,
    /// What the provider takes of each payment, if you told.
    fee: Option<Fee>,
    /// Until when questions wait because the provider has stopped answering; null while it answers. Payments go through
    /// all the same.
    #[schema(format = DateTime)]
    silent_until: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
}

/// How many keys a slot holds.
#[derive(Serialize, ToSchema)]
pub struct Slot {
    /// The slot.
    name: String,
    /// How many keys.
    keys: u64,
}

/// A way to pay.
#[derive(Serialize, ToSchema)]
pub struct AccountMethod {
    /// In the plugin's words.
    id: String,
    /// For people.
    name: String,
    /// Where it can be offered.
    surfaces: Vec<String>,
}

impl AccountMethod {
    /// The methods of a manifest.
    pub fn of(manifest: &Manifest) -> Vec<AccountMethod> {
        let method = |method: &tollgate_plugin::contract::Method| AccountMethod {
            id: method.id.clone(),
            name: method.name.clone(),
            surfaces: method.surfaces.clone(),
        };
        manifest.methods.iter().map(method).collect()
    }
}

impl Account {
    async fn render(gateway: &Gateway, row: AccountRow) -> Flow<Account> {
        let fee = accounts::fee_terms(gateway, &row).await?;
        let slots: BTreeMap<String, u64> = serde_json::from_str(&row.slots)?;
        let plugin = gateway.plugins.get(&row.plugin);
        Ok(Account {
            settings: serde_json::from_str(&row.settings)?,
            slots: slots.into_iter().map(|(name, keys)| Slot { name, keys }).collect(),
            methods: plugin.map(|plugin| AccountMethod::of(plugin.manifest())).unwrap_or_default(),
            granted: serde_json::from_str(&row.granted)?,
            notify_url: format!("{}/notify/{}", gateway.settings.public_url, row.id),
            fee: fee.map(|FeeTerms { rate_ppm, fixed }| Fee { rate_ppm, fixed }),
            silent_until: gateway.breakers.shut_until(row.id).map(|until| until.to_string()),
            id: row.id.to_string(),
            plugin: row.plugin,
            name: row.name,
            live: row.live == 1,
            simulator: row.simulator == 1,
            created_at: row.created_at.to_string(),
        })
    }
}

/// Make an account. Its settings and keys are checked against the plugin's manifest before anything is kept.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", operation_id = "createAccount",
    security(("key" = ["accounts:write"])),
    request_body = NewAccount,
    responses((status = 201, body = Account),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn create(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Once(turn): Once,
    Body(new): Body<NewAccount>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let secret = |(slot, secret)| match secret {
        Secret::One(text) => (slot, accounts::Secret::One(text)),
        Secret::Several(texts) => (slot, accounts::Secret::Several(texts)),
    };
    let new = accounts::NewAccount {
        plugin: new.plugin,
        name: new.name,
        live: new.live,
        simulator: new.simulator,
        settings: new.settings,
        secrets: new.secrets.into_iter().map(secret).collect(),
        origins: new.origins,
        fee: new.fee.map(|Fee { rate_ppm, fixed }| FeeTerms { rate_ppm, fixed }),
    };
    finish(async move {
        let row = accounts::create(&gateway, merchant, new, turn.as_ref()).await?;
        Ok((StatusCode::CREATED, Json(Account::render(&gateway, row).await?)))
    })
    .await
}

/// List accounts, oldest first.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", operation_id = "listAccounts",
    security(("key" = ["read"])),
    params(("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Account>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Account>>, Problem> {
    let after = query.id::<kind::Account>("cursor")?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        // A merchant has a handful of accounts: they are read at once and cut here.
        let mut rows = accounts::list(&gateway, merchant).await?;
        rows.retain(|row| row.id.to_string() > after);
        let (rows, next_cursor) = page::cut(rows, limit, |row| row.id.to_string());
        let mut data = Vec::with_capacity(rows.len());
        for row in rows {
            data.push(Account::render(&gateway, row).await?);
        }
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Read an account.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts", operation_id = "getAccount",
    security(("key" = ["read"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Account),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn get(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Account>,
) -> Result<Json<Account>, Problem> {
    finish(async move {
        let row = accounts::get(&gateway, merchant, id).await?;
        Account::render(&gateway, row).await.map(Json)
    })
    .await
}

/// Grant the account's plugin what it asks for now, after its file was replaced by one that asks for more.
#[utoipa::path(post, path = "/v1/accounts/{id}/grant", tag = "accounts", operation_id = "grantAccount",
    security(("key" = ["accounts:write"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Account),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn grant(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Account>,
) -> Result<Json<Account>, Problem> {
    finish(async move {
        let row = accounts::grant(&gateway, merchant, id).await?;
        Account::render(&gateway, row).await.map(Json)
    })
    .await
}
