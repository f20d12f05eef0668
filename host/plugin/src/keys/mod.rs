//! An account's keys: parsed once from what the operator entered, used by handle, and never given to a plugin.

pub(crate) mod certificate;
pub(crate) mod crypto;
pub mod needs;
pub(crate) mod slot;
pub mod token;
pub(crate) mod trust;
pub(crate) mod uses;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::contract::{FetchedKey, Manifest};
use crate::redact::Needles;
use slot::{Material, SlotKeys, SlotKind};
use trust::Vouched;
use uses::Verb;

/// The keys of one account, by slot. Cheap to share; a change makes another.
#[derive(Clone)]
pub struct Keys {
    slots: BTreeMap<String, Arc<SlotKeys>>,
    private: Arc<BTreeMap<String, SecretString>>,
    /// What their secrets are known by, once somebody asked.
    needles: OnceLock<Arc<Needles>>,
}

/// What a payer's card or person is known by, by the names that the method declares: held for one call, sealed to the
/// provider, and nowhere else.
#[derive(Clone, Debug, Default)]
pub struct PrivateFields(Arc<BTreeMap<String, SecretString>>);

impl PrivateFields {
    /// Their names: all of them that anybody else may know.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<String, SecretString>> for PrivateFields {
    fn from(fields: BTreeMap<String, SecretString>) -> Self {
        Self(Arc::new(fields))
    }
}

/// Why keys were refused: the slot and the rule, never a byte of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key slot {slot} {rule}")]
pub struct KeyError {
    /// The slot, as the manifest names it.
    pub slot: String,
    /// What it breaks, as the rest of a sentence.
    pub rule: String,
}

/// One use of a key in a call: what the host's audit keeps of it. Inputs are known by their hash only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The slot whose key was used.
    pub slot: String,
    /// sign, verify, open, seal, derive or certificate.
    pub operation: String,
    /// The algorithm, as the plugin named it.
    pub algorithm: String,
    /// The id of the key that did it, where it has one.
    pub key_id: String,
    /// SHA-256 of the input in hexadecimal, without the places of secrets and private fields.
    pub input_sha256: String,
    /// Of an opening that succeeded, the SHA-256 of what came out.
    pub output_sha256: Option<String>,
    /// Whether it succeeded: of a verification, whether the signature held.
    pub ok: bool,
    /// Whether the plugin could have made what was verified or opened: the same secret signs or seals for it.
    #[serde(default)]
    pub forgeable: bool,
}

/// A key that a plugin looked for and the slot does not hold: a reason to run `fetch-keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingKey {
    /// The slot with a `trust` that lacks it.
    pub slot: String,
    /// The id or serial that was asked for.
    pub id: String,
}

impl Keys {
    /// Reads the slots of an account, live or not. `secrets` holds each slot's texts, the current key first;
    /// `keys/slot.rs` tells the forms of each kind.
    ///
    /// # Errors
    /// The first slot that is unknown, required and absent, empty, malformed or too weak for its uses.
    pub fn parse(
        manifest: &Manifest,
        secrets: &BTreeMap<String, Vec<SecretString>>,
        live: bool,
    ) -> Result<Keys, KeyError> {
        let error =
            |slot: &str, rule: &str| KeyError { slot: slot.to_owned(), rule: rule.to_owned() };
        if let Some(name) =
            secrets.keys().find(|name| !manifest.slots.iter().any(|s| s.input.name == **name))
        {
            return Err(error(name, "is not one of this plugin's"));
        }
        let mut slots = BTreeMap::new();
        for declared in &manifest.slots {
            let name = &declared.input.name;
            let texts = secrets.get(name).map_or(&[][..], Vec::as_slice);
            let keys = SlotKeys::parse(declared, texts, live)?;
            if keys.members.is_empty() && declared.input.required && keys.kind != SlotKind::Token {
                return Err(error(name, "is required"));
            }
            slots.insert(name.clone(), Arc::new(keys));
        }
        Ok(Keys { slots, private: Arc::default(), needles: OnceLock::new() })
    }

    /// Checks that no slot that verifies what others sign holds the public half of the account's own key. Consoles show both, and
    /// under it no word of the provider's would ever hold, while the plugin's own would.
    ///
    /// # Errors
    /// The first slot that does.
    pub fn check_own_halves(&self) -> Result<(), KeyError> {
        let members = || self.slots.values().flat_map(|slot| &slot.members);
        let own: Vec<Vec<u8>> = members().filter_map(|member| member.public_half()).collect();
        let is_own = |member: &Arc<slot::Member>| {
            member.public_key().is_some_and(|key| own.contains(&key.spki))
        };
        for slot in self.slots.values() {
            let verifies = slot.uses.iter().any(|use_| use_.verb == Verb::Verify);
            if verifies && slot.members.iter().any(is_own) {
                let rule = "holds the public half of the account's own private key".to_owned();
                return Err(KeyError { slot: slot.name.clone(), rule });
            }
        }
        Ok(())
    }

    /// No keys at all.
    pub fn none() -> Keys {
        Keys { slots: BTreeMap::new(), private: Arc::default(), needles: OnceLock::new() }
    }

    /// Each slot's name and how many keys it holds.
    pub fn counts(&self) -> Vec<(String, usize)> {
        self.slots.iter().map(|(name, slot)| (name.clone(), slot.members.len())).collect()
    }

    /// These keys with a payer's private fields, for the one call that seals them.
    #[must_use]
    pub fn with_private(&self, fields: &PrivateFields) -> Keys {
        let private = Arc::clone(&fields.0);
        Keys { slots: self.slots.clone(), private, needles: OnceLock::new() }
    }

    /// These keys with a token that the host fetched.
    ///
    /// # Errors
    /// When the slot is not of kind `token`, or the token is empty.
    pub fn with_token(&self, slot: &str, token: SecretString) -> Result<Keys, KeyError> {
        let fail = |rule: &str| KeyError { slot: slot.to_owned(), rule: rule.to_owned() };
        let held = self.slots.get(slot).ok_or_else(|| fail("is unknown"))?;
        if held.kind != SlotKind::Token {
            return Err(fail("holds no tokens"));
        }
        if token.expose_secret().trim().is_empty() {
            return Err(fail("was given an empty token"));
        }
        let member = slot::Member {
            material: Material::Secret {
                bytes: Zeroizing::new(token.expose_secret().as_bytes().to_vec()),
                text: token,
            },
            facts: certificate::Facts::default(),
            acts: true,
            brought: false,
        };
        Ok(self.replaced(held, vec![Arc::new(member)]))
    }

    /// These keys with those that `fetch-keys` brought, if the slot's trust holds for each: its roots signed them, or
    /// `audit` (of the very call that returned them) shows that its secret unsealed them. The last one is the current one.
    ///
    /// # Errors
    /// The slot and why the first key that is not believed is not.
    pub fn with_fetched(
        &self,
        slot: &str,
        fetched: &[FetchedKey],
        audit: &[KeyUse],
        now_ms: i64,
    ) -> Result<Keys, KeyError> {
        self.with_late(slot, fetched, Vouched::In(audit), now_ms)
    }

    /// These keys with those that [`Keys::with_fetched`] once believed, and that were kept since where nobody could
    /// change them. Roots are asked again; a secret's unsealing is not, because it happened in that one call.
    ///
    /// # Errors
    /// The slot and why the first key that is not believed any more is not.
    pub fn with_kept(
        &self,
        slot: &str,
        kept: &[FetchedKey],
        now_ms: i64,
    ) -> Result<Keys, KeyError> {
        self.with_late(slot, kept, Vouched::Before, now_ms)
    }

    fn with_late(
        &self,
        slot: &str,
        late: &[FetchedKey],
        vouched: Vouched<'_>,
        now_ms: i64,
    ) -> Result<Keys, KeyError> {
        let fail = |rule: String| KeyError { slot: slot.to_owned(), rule };
        let held = self.slots.get(slot).ok_or_else(|| fail("is unknown".into()))?;
        let mut members = held.members.clone();
        for key in late {
            let mut member = self.trusted(held, &key.encoded, vouched, now_ms).map_err(&fail)?;
            if !key.id.is_empty() {
                member.facts.id.clone_from(&key.id);
            }
            // Fetched in a name that the manifest gives, it is whose the operator granted.
            member.brought &= !held.names_whose();
            members.retain(|m| m.facts.id != member.facts.id);
            members.insert(0, Arc::new(member));
        }
        Ok(self.replaced(held, members))
    }

    /// Whether a slot holds a key of that id or serial, or any key where the id is empty.
    pub fn holds(&self, slot: &str, id: &str) -> bool {
        let Some(slot) = self.slots.get(slot) else { return false };
        if id.is_empty() { !slot.members.is_empty() } else { slot.named(id).is_some() }
    }

    /// Whether a slot holds the very same keys in both.
    pub fn has_same(&self, slot: &str, other: &Keys) -> bool {
        match (self.slots.get(slot), other.slots.get(slot)) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }

    /// When the key of that id ceases to be valid, RFC 3339; none where it does not say.
    pub fn not_after(&self, slot: &str, id: &str) -> Option<&str> {
        let member = self.slots.get(slot)?.named(id)?;
        Some(member.facts.not_after.as_str()).filter(|text| !text.is_empty())
    }

    fn replaced(&self, held: &SlotKeys, members: Vec<Arc<slot::Member>>) -> Keys {
        let mut slots = self.slots.clone();
        let changed = SlotKeys {
            name: held.name.clone(),
            kind: held.kind,
            uses: held.uses.clone(),
            trust: held.trust.clone(),
            members,
        };
        slots.insert(held.name.clone(), Arc::new(changed));
        Keys { slots, private: Arc::clone(&self.private), needles: OnceLock::new() }
    }

    pub(crate) fn slot(&self, name: &str) -> Option<&Arc<SlotKeys>> {
        self.slots.get(name)
    }

    pub(crate) fn private_field(&self, name: &str) -> Option<&SecretString> {
        self.private.get(name)
    }

    /// The current key's text of a slot that may be sent; none of another kind.
    pub(crate) fn sendable(&self, name: &str) -> Option<&SecretString> {
        let slot = self.slots.get(name).filter(|s| s.kind.may_leave())?;
        match &slot.members.first()?.material {
            Material::Secret { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What the secrets are known by, for the redactor: found out once.
    pub(crate) fn needles(&self) -> Arc<Needles> {
        Arc::clone(self.needles.get_or_init(|| Arc::new(Needles::of(self))))
    }

    /// Every text and byte string that must appear nowhere.
    pub(crate) fn each_secret(&self, mut see: impl FnMut(&[u8])) {
        for member in self.slots.values().flat_map(|slot| &slot.members) {
            match &member.material {
                Material::Secret { bytes, text } => {
                    see(bytes);
                    see(text.expose_secret().as_bytes());
                }
                Material::Private { der, text, .. } => {
                    see(der);
                    text.expose_secret().lines().for_each(|l| see(l.as_bytes()));
                }
                Material::Public(_) | Material::Certificate { .. } => {}
            }
        }
        for (name, field) in self.private.iter() {
            let text = field.expose_secret();
            see(text.as_bytes());
            // Three digits alone are part of any message: behind their name they are the payer's.
            for between in ["=", ":", "%3D", ">", "\":\"", "\": \"", "\":", "\": "] {
                see(Zeroizing::new(format!("{name}{between}{text}")).as_bytes());
            }
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("slots", &self.counts()).finish_non_exhaustive()
    }
}

/// SHA-256 in lowercase hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}
