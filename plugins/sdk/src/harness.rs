//! For native tests and benchmarks of a plugin: a fixed context, keys in memory, and bills in memory.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};

use crate::bills::{BillSink, BillSource};
use crate::contract::bill_io::BillRow;
use crate::contract::signing::{Part, Piece};
use crate::contract::types::{Context, Fault};
use crate::fault;
use crate::keys::{self, Keyring, Pick};

/// A context with this time, settings and origins; everything else is fixed.
pub fn context(now_ms: i64, settings: &[(&str, &str)], origins: &[(&str, &str)]) -> Context {
    let owned = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    Context {
        now_ms,
        nonce: "0123456789abcdefghijklmnopqrstuv".to_owned(),
        idempotency_key: "key-1".to_owned(),
        trace_id: "trace-1".to_owned(),
        live: false,
        settings: owned(settings),
        origins: owned(origins),
        extra: Vec::new(),
    }
}

#[derive(Default)]
struct Slot {
    private: Option<KeyPair>,
    public: Vec<(Option<String>, Vec<u8>)>,
    secrets: Vec<Vec<u8>>,
    attributes: BTreeMap<String, Vec<String>>,
}

/// Keys in memory, by slot: what the host does behind its handles, for native code.
#[derive(Default)]
pub struct MemoryKeys {
    slots: BTreeMap<String, Slot>,
    fields: BTreeMap<String, String>,
}

impl MemoryKeys {
    fn slot(&mut self, name: &str) -> &mut Slot {
        self.slots.entry(name.to_owned()).or_default()
    }

    /// A private field of the payer's that came with the call.
    #[must_use]
    pub fn field(mut self, name: &str, text: &str) -> Self {
        self.fields.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Puts a private key (DER, PKCS#8 or PKCS#1) into a slot.
    ///
    /// # Errors
    /// If the bytes are no RSA key.
    pub fn private(mut self, slot: &str, der: &[u8]) -> Result<Self, Fault> {
        let key = KeyPair::from_pkcs8(der)
            .or_else(|_| KeyPair::from_der(der))
            .map_err(|error| fault::config(format!("{slot}: {error}")))?;
        self.slot(slot).private = Some(key);
        Ok(self)
    }

    /// Adds a public key (SPKI DER) to a slot, with the id that `Pick::Id` finds it by.
    #[must_use]
    pub fn public(mut self, slot: &str, id: Option<&str>, spki: &[u8]) -> Self {
        self.slot(slot).public.push((id.map(str::to_owned), spki.to_vec()));
        self
    }

    /// Adds a secret to a slot, the current one first.
    #[must_use]
    pub fn secret(mut self, slot: &str, bytes: &[u8]) -> Self {
        self.slot(slot).secrets.push(bytes.to_vec());
        self
    }

    /// Says a public fact about the keys of a slot.
    #[must_use]
    pub fn fact(mut self, slot: &str, name: &str, values: &[&str]) -> Self {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.slot(slot).attributes.insert(name.to_owned(), values);
        self
    }

    fn get(&self, name: &str) -> Result<&Slot, Fault> {
        self.slots.get(name).ok_or_else(|| fault::config(format!("key `{name}`: empty")))
    }
}

/// The bytes that are signed; a secret among them is a use that no plugin here declares.
fn text(data: &[Piece], algorithm: &str) -> Result<Vec<u8>, Fault> {
    if ![keys::RSA_PKCS1_SHA256, keys::HMAC_SHA256].contains(&algorithm) {
        return Err(fault::config(format!("algorithm {algorithm} is not declared")));
    }
    let mut bytes = Vec::new();
    for piece in data {
        match piece {
            Piece::Text(text) => bytes.extend_from_slice(text),
            Piece::Secret => return Err(fault::config("a secret within the text")),
        }
    }
    Ok(bytes)
}

impl Keyring for MemoryKeys {
    fn attribute(&self, slot: &str, name: &str) -> Vec<String> {
        self.slots.get(slot).and_then(|slot| slot.attributes.get(name)).cloned().unwrap_or_default()
    }

    fn is_filled(&self, slot: &str) -> bool {
        self.slots.contains_key(slot)
    }

    fn sign(&self, key: Pick<'_>, algorithm: &str, data: &[Piece]) -> Result<Vec<u8>, Fault> {
        let (Pick::Slot(name) | Pick::Id(name, _)) = key;
        let data = text(data, algorithm)?;
        let private = self.get(name)?.private.as_ref();
        let private = private.ok_or_else(|| fault::config(format!("key `{name}` cannot sign")))?;
        let mut signature = vec![0; private.public_modulus_len()];
        private
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &data, &mut signature)
            .map_err(|_| fault::config("signing failed"))?;
        Ok(signature)
    }

    fn verify(
        &self,
        key: Pick<'_>,
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        let (Pick::Slot(name) | Pick::Id(name, _)) = key;
        let data = text(data, algorithm)?;
        if algorithm == keys::HMAC_SHA256 {
            let holds = |secret: &Vec<u8>| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::verify(&key, &data, signature).is_ok()
            };
            return Ok(self.get(name)?.secrets.iter().any(holds));
        }
        let wanted = |id: &Option<String>| match key {
            Pick::Slot(_) => true,
            Pick::Id(_, wanted) => id.as_deref() == Some(wanted),
        };
        let mut found = self.get(name)?.public.iter().filter(|(id, _)| wanted(id)).peekable();
        if found.peek().is_none() {
            return Err(fault::config(format!("key `{name}`: no such key")));
        }
        Ok(found.any(|(_, spki)| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki)
                .verify(&data, signature)
                .is_ok()
        }))
    }

    /// Which certificates are believed is the host's part: here, those whose public key the slot holds under their bytes.
    fn verify_by(
        &self,
        slot: &str,
        certificate: &[u8],
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        let id = String::from_utf8_lossy(certificate);
        let is_held = self.get(slot)?.public.iter().any(|(held, _)| held.as_deref() == Some(&*id));
        Ok(is_held && self.verify(Pick::Id(slot, &id), algorithm, data, signature)?)
    }

    fn open(
        &self,
        slot: &str,
        algorithm: &str,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        if algorithm != keys::AES_256_GCM {
            return Err(fault::config(format!("algorithm {algorithm} is not declared")));
        }
        let opened = self.get(slot)?.secrets.iter().find_map(|secret| {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, secret).ok()?);
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut bytes = sealed.to_vec();
            let plain = key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?;
            Some(plain.to_vec())
        });
        Ok(opened)
    }

    fn seal(&self, slot: &str, algorithm: &str, parts: &[Part]) -> Result<Vec<u8>, Fault> {
        let mut plain = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) => plain.extend_from_slice(text),
                Part::Private(name) => {
                    let field = self.fields.get(name);
                    let absent = || fault::config(format!("no private field {name}"));
                    plain.extend_from_slice(field.ok_or_else(absent)?.as_bytes());
                }
            }
        }
        let held = self.get(slot)?.public.first();
        let sealed = held.and_then(|(_, spki)| sealed(spki, algorithm, &plain));
        sealed.ok_or_else(|| fault::config(format!("key `{slot}` cannot seal by {algorithm}")))
    }
}

fn sealed(spki: &[u8], algorithm: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let key = PublicEncryptingKey::from_der(spki).ok()?;
    let mut bytes = vec![0; key.key_size_bytes()];
    let length = match algorithm {
        keys::RSA_PKCS1 => {
            Pkcs1PublicEncryptingKey::new(key).ok()?.encrypt(plain, &mut bytes).ok()?.len()
        }
        keys::RSA_OAEP_SHA1 => {
            let key = OaepPublicEncryptingKey::new(key).ok()?;
            key.encrypt(&OAEP_SHA1_MGF1SHA1, plain, &mut bytes, None).ok()?.len()
        }
        _ => return None,
    };
    bytes.truncate(length);
    Some(bytes)
}

/// A bill in memory that comes in pieces of a given size.
pub struct MemorySource {
    bytes: Vec<u8>,
    piece: usize,
    at: Cell<usize>,
}

impl MemorySource {
    /// Starts at the beginning; no piece is larger than `piece` bytes.
    pub fn new(bytes: Vec<u8>, piece: usize) -> Self {
        Self { bytes, piece, at: Cell::new(0) }
    }
}

impl BillSource for MemorySource {
    fn read(&self, max: u32) -> Result<Vec<u8>, String> {
        let start = self.at.get();
        let size = self.piece.min(usize::try_from(max).unwrap_or(usize::MAX));
        let end = self.bytes.len().min(start.saturating_add(size));
        self.at.set(end);
        Ok(self.bytes[start..end].to_vec())
    }
}

/// Keeps what a parser reports.
#[derive(Default)]
pub struct MemorySink {
    rows: RefCell<Vec<BillRow>>,
    bad: RefCell<Vec<(u64, String)>>,
}

impl MemorySink {
    /// The rows that came, and the bad lines with their reasons.
    pub fn into_parts(self) -> (Vec<BillRow>, Vec<(u64, String)>) {
        (self.rows.into_inner(), self.bad.into_inner())
    }
}

impl BillSink for MemorySink {
    fn rows(&self, batch: &[BillRow]) -> Result<(), String> {
        self.rows.borrow_mut().extend_from_slice(batch);
        Ok(())
    }

    fn bad_line(&self, line: u64, reason: &str) {
        self.bad.borrow_mut().push((line, reason.to_owned()));
    }
}
