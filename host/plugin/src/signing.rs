//! The `signing` interface: what a plugin may ask of key handles, each use counted and put into the audit.

use std::sync::Arc;
use std::time::Instant;

use secrecy::ExposeSecret;
use wasmtime::component::Resource;
use zeroize::Zeroizing;

use crate::contract::{Part, Piece, SigningError, signing_import};
use crate::keys::crypto::{self, permitted, refusal};
use crate::keys::slot::{Member, SlotKeys};
use crate::keys::trust::Vouched;
use crate::keys::uses::Verb;
use crate::keys::{KeyUse, Keys, MissingKey, sha256_hex};
use crate::state::CallState;

/// What stands behind a plugin's `keyring`: the account's keys.
pub struct KeyringHandle(pub(crate) Arc<Keys>);

/// What stands behind a plugin's `key`: some keys of one slot.
pub struct KeyHandle {
    keys: Arc<Keys>,
    slot: Arc<SlotKeys>,
    members: Vec<Arc<Member>>,
}

type Answer<T> = wasmtime::Result<Result<T, SigningError>>;

impl KeyHandle {
    /// The keys that do things, the current one first.
    fn acting(&self) -> impl Iterator<Item = &Arc<Member>> {
        self.members.iter().filter(|member| member.acts)
    }

    fn current(&self) -> Result<&Arc<Member>, SigningError> {
        self.acting()
            .next()
            .ok_or_else(|| refusal("empty-slot", format!("slot {} has no key", self.slot.name)))
    }
}

/// What is about to be written to the audit.
struct Entry<'a> {
    slot: &'a SlotKeys,
    verb: Verb,
    algorithm: &'a str,
    input: String,
}

impl Entry<'_> {
    fn done(&self, key_id: &str, ok: bool, output: Option<&[u8]>) -> KeyUse {
        KeyUse {
            slot: self.slot.name.clone(),
            operation: self.verb.name().to_owned(),
            algorithm: self.algorithm.to_owned(),
            key_id: key_id.to_owned(),
            input_sha256: self.input.clone(),
            output_sha256: output.map(sha256_hex),
            ok,
            forgeable: self.slot.forges(self.verb),
        }
    }
}

impl CallState {
    fn too_long(&self, length: usize) -> Result<(), SigningError> {
        if length > self.limits.signed_bytes {
            return Err(refusal("invalid", "too many bytes for one use of a key"));
        }
        // Each byte is copied and hashed while no tick comes.
        let all = self.signed_bytes.get().saturating_add(length);
        if all > self.limits.signed_bytes_in_all {
            return Err(refusal("invalid", "too many bytes for the keys of one call"));
        }
        self.signed_bytes.set(all);
        Ok(())
    }
}

impl signing_import::Host for CallState {}

impl signing_import::HostKey for CallState {
    fn attribute(
        &mut self,
        handle: Resource<KeyHandle>,
        name: String,
    ) -> wasmtime::Result<Vec<String>> {
        let members = &self.table.get(&handle)?.members;
        Ok(members.iter().filter_map(|member| member.facts.get(&name).map(str::to_owned)).collect())
    }

    fn sign(
        &mut self,
        handle: Resource<KeyHandle>,
        algorithm: String,
        data: Vec<Piece>,
    ) -> Answer<Vec<u8>> {
        self.count_signature()?;
        let key = self.table.get(&handle)?;
        if let Err(error) = self.too_long(crypto::text_length(&data)) {
            return Ok(Err(error));
        }
        let entry = Entry {
            slot: &key.slot,
            verb: Verb::Sign,
            algorithm: &algorithm,
            input: crypto::text_sha256(&data),
        };
        let started = Instant::now();
        let made = permitted(&key.slot, Verb::Sign, &algorithm, Some(&data)).and_then(|use_| {
            let member = key.current()?;
            Ok((crypto::sign(use_, member, &data)?, &member.facts.id))
        });
        self.in_keys += started.elapsed();
        let (answer, used) = match made {
            Ok((signature, id)) => (Ok(signature), entry.done(id, true, None)),
            Err(error) => (Err(error), entry.done("", false, None)),
        };
        self.audit.push(used);
        Ok(answer)
    }

    fn verify(
        &mut self,
        handle: Resource<KeyHandle>,
        algorithm: String,
        data: Vec<Piece>,
        signature: Vec<u8>,
    ) -> Answer<bool> {
        self.count_verification()?;
        let key = self.table.get(&handle)?;
        if let Err(error) = self.too_long(crypto::text_length(&data)) {
            return Ok(Err(error));
        }
        let entry = Entry {
            slot: &key.slot,
            verb: Verb::Verify,
            algorithm: &algorithm,
            input: crypto::text_sha256(&data),
        };
        let use_ = permitted(&key.slot, Verb::Verify, &algorithm, Some(&data));
        let (answer, used) = match use_.and_then(|use_| key.current().map(|_| use_)) {
            Ok(use_) => {
                let started = Instant::now();
                let held =
                    key.acting().find(|member| crypto::verify(use_, member, &data, &signature));
                self.in_keys += started.elapsed();
                let id = held.map_or("", |member| &member.facts.id);
                (Ok(held.is_some()), entry.done(id, held.is_some(), None))
            }
            Err(error) => (Err(error), entry.done("", false, None)),
        };
        self.audit.push(used);
        Ok(answer)
    }

    fn open(
        &mut self,
        handle: Resource<KeyHandle>,
        algorithm: String,
        nonce: Vec<u8>,
        aad: Vec<u8>,
        sealed: Vec<u8>,
    ) -> Answer<Vec<u8>> {
        self.count_verification()?;
        let key = self.table.get(&handle)?;
        if let Err(error) = self.too_long(sealed.len() + aad.len()) {
            return Ok(Err(error));
        }
        let entry = Entry {
            slot: &key.slot,
            verb: Verb::Open,
            algorithm: &algorithm,
            input: sha256_hex(&sealed),
        };
        let opened = permitted(&key.slot, Verb::Open, &algorithm, None).and_then(|_| {
            key.current()?;
            key.acting()
                .find_map(|member| crypto::open(member, &nonce, &aad, &sealed))
                .ok_or_else(|| refusal("failed", "it could not be opened"))
        });
        let used = entry.done("", opened.is_ok(), opened.as_deref().ok());
        self.audit.push(used);
        Ok(opened)
    }

    fn seal(
        &mut self,
        handle: Resource<KeyHandle>,
        algorithm: String,
        nonce: Vec<u8>,
        aad: Vec<u8>,
        parts: Vec<Part>,
    ) -> Answer<Vec<u8>> {
        self.count_signature()?;
        let key = self.table.get(&handle)?;
        let (plain, text) = match fill_in(key, &parts) {
            Ok(filled) => filled,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.too_long(plain.len() + aad.len()) {
            return Ok(Err(error));
        }
        let entry = Entry {
            slot: &key.slot,
            verb: Verb::Seal,
            algorithm: &algorithm,
            input: sha256_hex(&text),
        };
        let made = permitted(&key.slot, Verb::Seal, &algorithm, None).and_then(|use_| {
            let member = key.current()?;
            let sealed = crypto::seal(use_, member, &nonce, &aad, &plain)?;
            Ok((sealed, &member.facts.id))
        });
        let (answer, used) = match made {
            Ok((sealed, id)) => (Ok(sealed), entry.done(id, true, None)),
            Err(error) => (Err(error), entry.done("", false, None)),
        };
        self.audit.push(used);
        Ok(answer)
    }

    fn derive(
        &mut self,
        handle: Resource<KeyHandle>,
        algorithm: String,
        data: Vec<u8>,
    ) -> Answer<Resource<KeyHandle>> {
        self.count_signature()?;
        let key = self.table.get(&handle)?;
        let entry = Entry {
            slot: &key.slot,
            verb: Verb::Derive,
            algorithm: &algorithm,
            input: sha256_hex(&data),
        };
        let made = permitted(&key.slot, Verb::Derive, &algorithm, None)
            .and_then(|use_| crypto::derive(use_, key.current()?, &data));
        let used = entry.done("", made.is_ok(), None);
        let derived = made.map(|member| KeyHandle {
            keys: Arc::clone(&key.keys),
            slot: Arc::clone(&key.slot),
            members: vec![Arc::new(member)],
        });
        self.audit.push(used);
        self.hand_over(derived)
    }

    fn drop(&mut self, handle: Resource<KeyHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

/// The text to seal, and the same without private fields for the audit. A private field goes under a provider's
/// public key and nowhere else: one that the operator entered, that a secret vouched for, or that was fetched below the operator's
/// roots in a name that the manifest gives. Of the other certificates that a root vouches for, some are anybody's.
fn fill_in(key: &KeyHandle, parts: &[Part]) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), SigningError> {
    let mut plain = Zeroizing::new(Vec::new());
    let mut text = Vec::new();
    for part in parts {
        match part {
            Part::Text(bytes) => {
                plain.extend_from_slice(bytes);
                text.extend_from_slice(bytes);
            }
            Part::Private(name) => {
                let theirs = key.current()?.takes_private();
                let field = key.keys.private_field(name).filter(|_| theirs);
                let field = field.ok_or_else(|| {
                    refusal("not-permitted", "no such private field, or not for this key")
                })?;
                plain.extend_from_slice(field.expose_secret().as_bytes());
            }
        }
    }
    Ok((plain, text))
}

impl CallState {
    fn hand_over(&mut self, key: Result<KeyHandle, SigningError>) -> Answer<Resource<KeyHandle>> {
        match key {
            Ok(key) => Ok(Ok(self.table.push(key)?)),
            Err(error) => Ok(Err(error)),
        }
    }
}

fn slot_of(keys: &Arc<Keys>, name: &str) -> Result<Arc<SlotKeys>, SigningError> {
    keys.slot(name)
        .cloned()
        .ok_or_else(|| refusal("unknown-slot", format!("the manifest has no slot {name:?}")))
}

impl signing_import::HostKeyring for CallState {
    fn slot(
        &mut self,
        handle: Resource<KeyringHandle>,
        name: String,
    ) -> Answer<Resource<KeyHandle>> {
        let keys = Arc::clone(&self.table.get(&handle)?.0);
        let key = slot_of(&keys, &name).and_then(|slot| {
            if slot.members.is_empty() {
                let what = format!("slot {name} has no key");
                return Err(refusal("empty-slot", what));
            }
            let members = slot.members.clone();
            Ok(KeyHandle { keys, slot, members })
        });
        self.hand_over(key)
    }

    fn find(
        &mut self,
        handle: Resource<KeyringHandle>,
        slot: String,
        id: String,
    ) -> Answer<Resource<KeyHandle>> {
        let keys = Arc::clone(&self.table.get(&handle)?.0);
        let slot = match slot_of(&keys, &slot) {
            Ok(slot) => slot,
            Err(error) => return Ok(Err(error)),
        };
        let key = match slot.named(&id).cloned() {
            // Found by name it acts, wherever it stands in its file.
            Some(member) if member.acts => Ok(KeyHandle { keys, members: vec![member], slot }),
            Some(_) => Err(refusal("not-permitted", "that certificate only vouches")),
            None => {
                if slot.trust.is_some() {
                    self.missing = Some(MissingKey { slot: slot.name.clone(), id });
                }
                let what = format!("slot {} has no such key", slot.name);
                Err(refusal("missing-key", what))
            }
        };
        self.hand_over(key)
    }

    fn certificate(
        &mut self,
        handle: Resource<KeyringHandle>,
        slot: String,
        encoded: Vec<u8>,
    ) -> Answer<Resource<KeyHandle>> {
        self.count_verification()?;
        if let Err(error) = self.too_long(encoded.len()) {
            return Ok(Err(error));
        }
        let keys = Arc::clone(&self.table.get(&handle)?.0);
        let slot = match slot_of(&keys, &slot) {
            Ok(slot) => slot,
            Err(error) => return Ok(Err(error)),
        };
        let trusted = keys.trusted(&slot, &encoded, Vouched::In(&self.audit), self.now_ms);
        self.audit.push(KeyUse {
            slot: slot.name.clone(),
            operation: "certificate".into(),
            algorithm: "x509".into(),
            key_id: trusted
                .as_ref()
                .map_or_else(|_| String::new(), |member| member.facts.id.clone()),
            input_sha256: sha256_hex(&encoded),
            output_sha256: None,
            ok: trusted.is_ok(),
            forgeable: false,
        });
        let key = trusted
            .map_err(|rule| refusal("untrusted", format!("slot {} {rule}", slot.name)))
            .map(|member| KeyHandle { keys, slot, members: vec![Arc::new(member)] });
        self.hand_over(key)
    }

    fn drop(&mut self, handle: Resource<KeyringHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::limits::Limits;

    #[test]
    fn the_keys_of_one_call_cover_so_many_bytes() {
        let limits = Limits { signed_bytes: 10, signed_bytes_in_all: 25, ..Limits::default() };
        let state = CallState::new(&Arc::new(limits), 0, "");
        assert!(state.too_long(11).is_err(), "at once");
        assert!(state.too_long(10).is_ok() && state.too_long(10).is_ok());
        assert!(state.too_long(10).is_err(), "in all");
        assert!(state.too_long(5).is_ok(), "what was refused covered nothing");
    }
}
