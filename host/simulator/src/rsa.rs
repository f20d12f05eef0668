//! RSA keys of both sides: generated at the first start, kept in memory or in a folder.
use std::path::Path;

use anyhow::{Context, anyhow};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self, KeyPair as _, RsaKeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An RSA key that signs, with both halves in DER.
pub struct SigningKey {
    pair: RsaKeyPair,
    pkcs8: Vec<u8>,
    spki: Vec<u8>,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey")
    }
}

impl SigningKey {
    /// A fresh key of 2048 bits.
    pub fn generate() -> anyhow::Result<SigningKey> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("no RSA key"))?;
        SigningKey::around(pair)
    }

    /// A key from its PKCS#8 or PKCS#1 DER.
    pub fn from_der(der: &[u8]) -> anyhow::Result<SigningKey> {
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        SigningKey::around(pair.map_err(|reason| anyhow!("not an RSA key: {reason}"))?)
    }

    fn around(pair: RsaKeyPair) -> anyhow::Result<SigningKey> {
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| anyhow!("no PKCS#8 of the key"))?;
        let spki: PublicKeyX509Der<'_> =
            pair.public_key().as_der().map_err(|_| anyhow!("no SPKI of the key"))?;
        let (pkcs8, spki) = (pkcs8.as_ref().to_vec(), spki.as_ref().to_vec());
        Ok(SigningKey { pair, pkcs8, spki })
    }

    /// Base64 of the PKCS#1 v1.5 signature over SHA-256.
    pub fn sign(&self, text: &[u8]) -> String {
        let mut bytes = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        match self.pair.sign(&signature::RSA_PKCS1_SHA256, &random, text, &mut bytes) {
            Ok(()) => STANDARD.encode(bytes),
            // Signing fails only without memory; an empty signature is refused by every reader.
            Err(_) => String::new(),
        }
    }

    /// Opens base64 of what was encrypted under PKCS#1 v1.5; none if it was not, or for another key.
    pub fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8).ok()?;
        let key = Pkcs1PrivateDecryptingKey::new(key).ok()?;
        let sealed = STANDARD.decode(sealed).ok()?;
        let mut plain = vec![0; key.min_output_size()];
        Some(key.decrypt(&sealed, &mut plain).ok()?.to_vec())
    }

    /// The private half, PKCS#8 DER.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half, SPKI DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }
}

/// Whether `signature` (base64) is PKCS#1 v1.5 over SHA-256 of `text` by the key in `spki`.
pub fn verify(spki: &[u8], text: &[u8], signature: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(signature) else {
        return false;
    };
    let key = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, spki);
    key.verify(text, &bytes).is_ok()
}

/// A key from `folder`, made on first use; without a folder it lives in memory only.
pub fn key(folder: Option<&Path>, name: &str) -> anyhow::Result<SigningKey> {
    let Some(folder) = folder else {
        return SigningKey::generate();
    };
    let path = folder.join(name);
    if path.exists() {
        return read(&path);
    }
    let key = SigningKey::generate()?;
    std::fs::create_dir_all(folder).context("data folder")?;
    // Several may start at once with one folder: the first whole file is everybody's, and its own name is each try's.
    let tag = hex::encode(&digest::digest(&digest::SHA256, key.spki()).as_ref()[..8]);
    let own = folder.join(format!("{name}.{tag}"));
    write_private(&own, &STANDARD.encode(key.pkcs8())).context("key file")?;
    let linked = std::fs::hard_link(&own, &path);
    std::fs::remove_file(&own).context("key file")?;
    match linked {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => read(&path),
        Err(error) => Err(error).context("key file"),
    }
}

fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(path).context("key file")?;
    let der = STANDARD.decode(text.trim()).context("key file is not base64")?;
    SigningKey::from_der(&der)
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_that_start_at_once_have_one_key() {
        let folder = std::env::temp_dir().join(format!("tollgate-keys-{}", std::process::id()));
        let keys: Vec<SigningKey> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| key(Some(&folder), "k"))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        let files = std::fs::read_dir(&folder).unwrap().count();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files, 1, "what was tried is gone");
        assert!(keys.windows(2).all(|pair| pair[0].spki() == pair[1].spki()));
    }
}
