//! The loaded plugins over HTTP: what each is, and what it asks for.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_plugin::contract::{Ability, BillKind, Input, Manifest, Slot};
use tollgate_plugin::{Health, Lane, Plugin};
use utoipa::ToSchema;

use super::Shared;
use super::accounts::AccountMethod;
use super::caller::Caller;
use super::problem::ProblemBody;

/// What is loaded, and what is not.
#[derive(Serialize, ToSchema)]
pub struct Plugins {
    /// The loaded ones.
    data: Vec<LoadedPlugin>,
    /// Always null: they are few.
    next_cursor: Option<String>,
    /// The files that were refused.
    refused: Vec<Refused>,
}

/// A file that is not loaded.
#[derive(Serialize, ToSchema)]
pub struct Refused {
    /// Its name in the folder.
    file: String,
    /// Why.
    reason: String,
}

/// A provider, as its manifest describes it.
#[derive(Serialize, ToSchema)]
pub struct LoadedPlugin {
    /// What accounts name it by.
    id: String,
    /// Of the plugin, not of the provider.
    version: String,
    /// For people.
    name: String,
    /// For people.
    description: String,
    /// SHA-256 of its file.
    digest: String,
    /// The interfaces that it imports: what it can reach at all.
    imports: Vec<String>,
    /// What an account must tell.
    settings: Vec<Setting>,
    /// Which keys an account holds, and what they may do.
    slots: Vec<SlotUse>,
    /// What payers can choose.
    methods: Vec<AccountMethod>,
    /// What it can do, and where it may go for that.
    operations: Vec<Operation>,
    /// The bills that it reads.
    bills: Vec<BillForm>,
    /// How its calls fare, by kind.
    health: Vec<Fare>,
}

/// How one kind of a plugin's calls fares.
#[derive(Serialize, ToSchema)]
pub struct Fare {
    /// requests, notices or bills.
    calls: &'static str,
    /// How many have ended, well or not.
    ended: u64,
    /// How many of them trapped, ran out of time or out of memory.
    failed: u64,
    /// Why they are refused for now; null while they are not.
    quarantine: Option<String>,
    /// How long that lasts.
    quarantine_ms: Option<u64>,
}

/// A setting.
#[derive(Serialize, ToSchema)]
pub struct Setting {
    /// In requests.
    name: String,
    /// For people.
    label: String,
    /// text, flag or private.
    kind: String,
    /// Whether an account must have it.
    required: bool,
    /// What it must match, as a regular expression.
    pattern: Option<String>,
    /// For people.
    help: String,
}

/// A slot for keys.
#[derive(Serialize, ToSchema)]
pub struct SlotUse {
    /// In requests.
    name: String,
    /// For people.
    label: String,
    /// What it holds.
    kind: String,
    /// Whether an account must fill it.
    required: bool,
    /// What may be done with it. There is nothing else that it does.
    uses: Vec<String>,
}

/// What a plugin can do.
#[derive(Serialize, ToSchema)]
pub struct Operation {
    /// Its name.
    operation: String,
    /// The base addresses that it may reach, by name.
    origins: Vec<String>,
    /// Each call that it may make.
    calls: Vec<AllowedCall>,
}

/// A call that an operation may make.
#[derive(Serialize, ToSchema)]
pub struct AllowedCall {
    /// The base address, by name.
    origin: String,
    /// The HTTP method.
    method: String,
    /// The path; `*` is one segment, alone it is any.
    path: String,
    /// The field that must have one value, where one address serves all.
    field: Option<PinnedField>,
}

/// A field that must have one value.
#[derive(Serialize, ToSchema)]
pub struct PinnedField {
    /// Its name.
    name: String,
    /// Its one value.
    value: String,
}

/// A kind of bill.
#[derive(Serialize, ToSchema)]
pub struct BillForm {
    /// In requests.
    id: String,
    /// For people.
    name: String,
    /// day, month or batch.
    period: String,
    /// In which time zone a day begins.
    zone: String,
    /// So many hours after its period has ended it is ready.
    ready_after_hours: u32,
}

impl LoadedPlugin {
    fn of(plugin: &Plugin) -> LoadedPlugin {
        let manifest: &Manifest = plugin.manifest();
        LoadedPlugin {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            name: manifest.name.clone(),
            description: manifest.description.clone(),
            digest: plugin.digest().to_owned(),
            imports: plugin.imports().to_vec(),
            settings: manifest.settings.iter().map(Setting::of).collect(),
            slots: manifest.slots.iter().map(SlotUse::of).collect(),
            methods: AccountMethod::of(manifest),
            operations: manifest.operations.iter().map(Operation::of).collect(),
            bills: manifest.bills.iter().map(BillForm::of).collect(),
            health: plugin.health().into_iter().map(Fare::of).collect(),
        }
    }
}

impl Fare {
    fn of(health: Health) -> Fare {
        let remaining =
            health.quarantine.as_ref().map(|quarantine| quarantine.remaining.as_millis());
        Fare {
            calls: match health.lane {
                Lane::Requests => "requests",
                Lane::Notices => "notices",
                Lane::Bills => "bills",
            },
            ended: health.calls,
            failed: health.failures,
            quarantine: health.quarantine.map(|quarantine| quarantine.reason),
            quarantine_ms: remaining.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX)),
        }
    }
}

impl Setting {
    fn of(input: &Input) -> Setting {
        Setting {
            name: input.name.clone(),
            label: input.label.clone(),
            kind: input.kind.clone(),
            required: input.required,
            pattern: input.pattern.clone(),
            help: input.help.clone(),
        }
    }
}

impl SlotUse {
    fn of(slot: &Slot) -> SlotUse {
        SlotUse {
            name: slot.input.name.clone(),
            label: slot.input.label.clone(),
            kind: slot.input.kind.clone(),
            required: slot.input.required,
            uses: slot.uses.clone(),
        }
    }
}

impl Operation {
    fn of(ability: &Ability) -> Operation {
        let mut origins: Vec<String> =
            ability.calls.iter().map(|call| call.origin.clone()).collect();
        origins.sort();
        origins.dedup();
        let call = |call: &tollgate_plugin::contract::Call| AllowedCall {
            origin: call.origin.clone(),
            method: call.method.clone(),
            path: call.path.clone(),
            field: call.field.clone().map(|(name, value)| PinnedField { name, value }),
        };
        Operation {
            operation: ability.operation.clone(),
            origins,
            calls: ability.calls.iter().map(call).collect(),
        }
    }
}

impl BillForm {
    fn of(kind: &BillKind) -> BillForm {
        BillForm {
            id: kind.id.clone(),
            name: kind.name.clone(),
            period: kind.period.clone(),
            zone: kind.zone.clone(),
            ready_after_hours: kind.ready_after_hours,
        }
    }
}

/// List the plugins: version, digest, and everything that each may ever ask for.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", operation_id = "listPlugins", security(("key" = ["read"])),
    responses((status = 200, body = Plugins),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(State(gateway): State<Shared>, _caller: Caller) -> Json<Plugins> {
    let refused = gateway.plugins.refused().into_iter();
    Json(Plugins {
        data: gateway.plugins.plugins().iter().map(|plugin| LoadedPlugin::of(plugin)).collect(),
        next_cursor: None,
        refused: refused.map(|file| Refused { file: file.file, reason: file.reason }).collect(),
    })
}
