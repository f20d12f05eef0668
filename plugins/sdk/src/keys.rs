//! The keys of an account, as plugin logic sees them: names and operations, never bytes. A component has the host's
//! handles behind this trait, a native test or benchmark its own keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::contract::signing::{self, Part, Piece, SigningError};
use crate::contract::types::Fault;
use crate::fault;

/// RSA PKCS#1 v1.5 over SHA-256 (RFC 8017 8.2), the algorithm name of the contract.
pub const RSA_PKCS1_SHA256: &str = "rsa-pkcs1-sha256";
/// AES with a key of 32 bytes in Galois/Counter Mode (NIST SP 800-38D), the tag behind the ciphertext.
pub const AES_256_GCM: &str = "aes-256-gcm";
/// RSA encryption with the padding of PKCS#1 v1.5 (RFC 8017 7.2).
pub const RSA_PKCS1: &str = "rsa-pkcs1";
/// RSA encryption with OAEP, SHA-1 and MGF1 over SHA-1 (RFC 8017 7.1).
pub const RSA_OAEP_SHA1: &str = "rsa-oaep-sha1";
/// HMAC over SHA-256 (RFC 2104).
pub const HMAC_SHA256: &str = "hmac-sha256";

/// Which key of an account is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick<'a> {
    /// A slot: its current key signs, each live one is tried to verify.
    Slot(&'a str),
    /// One key of a slot, by id or serial. If it is missing, the host may fetch it and repeat the call.
    Id(&'a str, &'a str),
}

/// What plugin logic may do with the keys of the account that the call is for.
pub trait Keyring {
    /// A public fact about each key of a slot, the current first; none if the account left the slot empty.
    fn attribute(&self, slot: &str, name: &str) -> Vec<String>;

    /// Whether the account has a key in this slot.
    fn is_filled(&self, slot: &str) -> bool;

    /// Signs `data` with the current key of a slot.
    ///
    /// # Errors
    /// A `config` fault where the slot is empty or may not sign in this way.
    fn sign(&self, key: Pick<'_>, algorithm: &str, data: &[Piece]) -> Result<Vec<u8>, Fault>;

    /// Whether a signature holds under one of the keys.
    ///
    /// # Errors
    /// A `config` fault where there is no such key or it may not verify in this way.
    fn verify(
        &self,
        key: Pick<'_>,
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault>;

    /// Whether a signature holds under a certificate that came in a message, PEM or DER, leaf first. False, too, where the
    /// slot's trust does not hold for that certificate now.
    ///
    /// # Errors
    /// A `config` fault where the slot may not verify in this way.
    fn verify_by(
        &self,
        slot: &str,
        certificate: &[u8],
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault>;

    /// Opens what was sealed for one of a slot's keys; none if it was not, or was changed since.
    ///
    /// # Errors
    /// A `config` fault where the slot is empty or may not open in this way.
    fn open(
        &self,
        slot: &str,
        algorithm: &str,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault>;

    /// Seals `parts` in a row under the current key of a slot. A part may be a private field of the payer's, which the host
    /// puts in by its name: the plugin never has it.
    ///
    /// # Errors
    /// A `config` fault where the slot is empty, may not seal in this way, or the call came without that field.
    fn seal(&self, slot: &str, algorithm: &str, parts: &[Part]) -> Result<Vec<u8>, Fault>;
}

/// Signs text and gives the signature in base64, as most form protocols carry it.
///
/// # Errors
/// As [`Keyring::sign`].
pub fn sign_base64<K: Keyring>(
    keys: &K,
    key: Pick<'_>,
    algorithm: &str,
    text: String,
) -> Result<String, Fault> {
    let signature = keys.sign(key, algorithm, &[Piece::Text(text.into_bytes())])?;
    Ok(STANDARD.encode(signature))
}

/// Whether a base64 signature over text holds. Text that is not base64 is a signature that does not hold.
///
/// # Errors
/// As [`Keyring::verify`].
pub fn verify_base64<K: Keyring>(
    keys: &K,
    key: Pick<'_>,
    algorithm: &str,
    text: String,
    signature: &str,
) -> Result<bool, Fault> {
    match STANDARD.decode(signature) {
        Ok(bytes) => keys.verify(key, algorithm, &[Piece::Text(text.into_bytes())], &bytes),
        Err(_) => Ok(false),
    }
}

fn refused(slot: &str, error: SigningError) -> Fault {
    fault::config(format!("key `{slot}`: {}: {}", error.code, error.message))
}

fn pick(keys: &signing::Keyring, key: Pick<'_>) -> Result<signing::Key, Fault> {
    match key {
        Pick::Slot(slot) => keys.slot(slot).map_err(|error| refused(slot, error)),
        Pick::Id(slot, id) => keys.find(slot, id).map_err(|error| refused(slot, error)),
    }
}

impl Keyring for signing::Keyring {
    fn attribute(&self, slot: &str, name: &str) -> Vec<String> {
        self.slot(slot).map(|key| key.attribute(name)).unwrap_or_default()
    }

    fn is_filled(&self, slot: &str) -> bool {
        self.slot(slot).is_ok()
    }

    fn sign(&self, key: Pick<'_>, algorithm: &str, data: &[Piece]) -> Result<Vec<u8>, Fault> {
        let (Pick::Slot(slot) | Pick::Id(slot, _)) = key;
        pick(self, key)?.sign(algorithm, data).map_err(|error| refused(slot, error))
    }

    fn verify(
        &self,
        key: Pick<'_>,
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        let (Pick::Slot(slot) | Pick::Id(slot, _)) = key;
        pick(self, key)?.verify(algorithm, data, signature).map_err(|error| refused(slot, error))
    }

    fn verify_by(
        &self,
        slot: &str,
        certificate: &[u8],
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        match self.certificate(slot, certificate) {
            Ok(key) => key.verify(algorithm, data, signature).map_err(|error| refused(slot, error)),
            Err(error) if error.code == "untrusted" => Ok(false),
            Err(error) => Err(refused(slot, error)),
        }
    }

    fn open(
        &self,
        slot: &str,
        algorithm: &str,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        let key = pick(self, Pick::Slot(slot))?;
        match key.open(algorithm, nonce, aad, sealed) {
            Ok(plain) => Ok(Some(plain)),
            Err(error) if error.code == "failed" => Ok(None),
            Err(error) => Err(refused(slot, error)),
        }
    }

    fn seal(&self, slot: &str, algorithm: &str, parts: &[Part]) -> Result<Vec<u8>, Fault> {
        let key = pick(self, Pick::Slot(slot))?;
        key.seal(algorithm, &[], &[], parts).map_err(|error| refused(slot, error))
    }
}
