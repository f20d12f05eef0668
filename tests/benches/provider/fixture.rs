//! One provider's plugin on both sides with the same keys, account and payment: those of the simulated merchant.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::Value;
use tollgate_plugin::contract::{Manifest, NextAction, Outcome, Step};
use tollgate_plugin::{Keys, Plugin};
use tollgate_sdk::harness::MemoryKeys;
use tollgate_tests::World;
use tollgate_tests::arguments::{Given, host};
use tollgate_tests::place;
use tollgate_tests::timed_keys::TimedKeys;

use crate::providers::Provider;

/// Everything that both sides need.
pub struct Fixture {
    /// The component.
    pub plugin: Arc<Plugin>,
    /// Its file.
    pub file: PathBuf,
    /// Its keys, as the host holds them.
    pub keys: Arc<Keys>,
    /// The same keys for native code.
    pub native: TimedKeys,
    /// The account, and how its payers pay.
    pub given: Given,
}

impl Fixture {
    /// Loads the component and reads what the simulator tells of its merchant.
    pub fn new(provider: &Provider, world: &World) -> Fixture {
        let plugin = place::registry().get(provider.id).unwrap();
        let account = world.credentials("account");
        let secrets = pairs(&account["secrets"]);
        let given = Given {
            settings: pairs(&account["settings"]),
            origins: pairs(&account["origins"]),
            method: provider.method.to_owned(),
            currency: world.credentials("currency").as_str().unwrap().to_owned(),
        };
        let keys = Arc::new(host_keys(plugin.manifest(), &secrets));
        let mut native = native_keys(plugin.manifest(), &secrets);
        if let Some(serial) = certificate_serial(&plugin, &keys, &given) {
            native = native.fact("merchant-certificate", "serial-decimal", &[&serial]);
        }
        Fixture {
            file: place::plugins().join(plugin.file()),
            native: TimedKeys::new(native),
            plugin,
            keys,
            given,
        }
    }
}

fn pairs(object: &Value) -> Vec<(String, String)> {
    let members = object.as_object().unwrap().iter();
    members.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// What the operator entered, and a token where the host would have fetched one.
fn host_keys(manifest: &Manifest, secrets: &[(String, String)]) -> Keys {
    let texts: BTreeMap<String, Vec<SecretString>> = secrets
        .iter()
        .map(|(slot, text)| (slot.clone(), vec![SecretString::from(text.as_str())]))
        .collect();
    let tokens = manifest.slots.iter().filter(|slot| slot.input.kind == "token");
    tokens.fold(Keys::parse(manifest, &texts, false).unwrap(), |keys, slot| {
        keys.with_token(&slot.input.name, SecretString::from("A21AAF-token-of-the-bench")).unwrap()
    })
}

/// The same by kind of slot. Certificates are not read here: see [`certificate_serial`].
fn native_keys(manifest: &Manifest, secrets: &[(String, String)]) -> MemoryKeys {
    let mut keys = MemoryKeys::default();
    for (slot, text) in secrets {
        let declared = manifest.slots.iter().find(|declared| declared.input.name == *slot);
        keys = match declared.unwrap().input.kind.as_str() {
            "private-key" => keys.private(slot, &STANDARD.decode(text).unwrap()).unwrap(),
            "public-keys" => match text.split_once(':') {
                Some((id, spki)) => {
                    let keys = keys.fact(slot, "id", &[id]);
                    keys.public(slot, Some(id), &STANDARD.decode(spki).unwrap())
                }
                None => keys.public(slot, None, &STANDARD.decode(text).unwrap()),
            },
            "secret" => keys.secret(slot, text.as_bytes()),
            _ => keys,
        };
    }
    keys
}

/// The serial number of the merchant's certificate, as the component names it in a form, where it names one: the host read it
/// out of the certificate.
fn certificate_serial(plugin: &Plugin, keys: &Arc<Keys>, given: &Given) -> Option<String> {
    let called = plugin.build_here(&host::context(given), keys, &host::pay(given), &[]).unwrap();
    let Ok(Step::Done(Outcome::Report(report))) = called.answer else { return None };
    let NextAction::PostForm(form) = report.action else { return None };
    form.fields.into_iter().find(|(name, _)| name == "certId").map(|(_, serial)| serial)
}
