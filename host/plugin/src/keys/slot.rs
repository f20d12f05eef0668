//! Slots: reading what an operator entered into keys, once, with errors that name slot and rule and never the value.
//!
//! A slot's texts are its keys, the current one first. Forms, by kind:
//! - `secret`, `token`: the text itself; `secret-hex`, `secret-base64`: the bytes that it encodes.
//! - `private-key`: PEM (PKCS#8 or PKCS#1) or the base64 of either's DER.
//! - `public-keys`: PEM or base64 of a SubjectPublicKeyInfo, or of PKCS#1.
//! - `certificates`: PEM, several in one text too, or base64 DER. The first of a text verifies and seals; the others
//!   are there to be known (issuers, a file of roots).
//!
//! A key of the two middle kinds may start with `ID:`, the id under which a provider knows it; without one, the id is
//! the first 32 hexadecimal digits of the SHA-256 of its public key.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256,
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::certificate::{self, Facts, base64_text, certificates_in, pem_blocks};
use super::trust::ANY;
use super::uses::{Algorithm, Use, Verb};
use super::{KeyError, sha256_hex};
use crate::contract::{Slot, Trust};

/// Keys of one slot, and what the manifest allows them to do.
pub(crate) struct SlotKeys {
    pub name: String,
    pub kind: SlotKind,
    pub uses: Vec<Use>,
    pub trust: Option<Trust>,
    pub members: Vec<Arc<Member>>,
}

/// The kinds of `slot.input.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlotKind {
    Secret,
    SecretHex,
    SecretBase64,
    PrivateKey,
    PublicKeys,
    Certificates,
    Token,
}

impl SlotKind {
    pub fn parse(kind: &str) -> Option<Self> {
        Some(match kind {
            "secret" => Self::Secret,
            "secret-hex" => Self::SecretHex,
            "secret-base64" => Self::SecretBase64,
            "private-key" => Self::PrivateKey,
            "public-keys" => Self::PublicKeys,
            "certificates" => Self::Certificates,
            "token" => Self::Token,
            _ => return None,
        })
    }

    /// Whether its text may be sent to a provider; key pairs never leave.
    pub fn may_leave(self) -> bool {
        matches!(self, Self::Secret | Self::SecretHex | Self::SecretBase64 | Self::Token)
    }

    /// Whether what the operator enters must be kept from everyone.
    pub fn is_secret(self) -> bool {
        self.may_leave() || self == Self::PrivateKey
    }
}

/// One key of a slot.
pub(crate) struct Member {
    pub material: Material,
    pub facts: Facts,
    /// False for a certificate that only stands beside the one that is used.
    pub acts: bool,
    /// It came later, and roots vouch for it, in nobody's name or in a message: which of that authority's certificates it is,
    /// somebody else had a say in.
    pub brought: bool,
}

/// What a key is made of. None of it can be printed.
pub(crate) enum Material {
    Secret { bytes: Zeroizing<Vec<u8>>, text: SecretString },
    Private { key: Box<RsaKeyPair>, der: Zeroizing<Vec<u8>>, text: SecretString },
    Public(PublicKey),
    Certificate { der: Vec<u8>, key: Option<PublicKey> },
}

/// An RSA public key, parsed once for each hash that it may verify with.
pub(crate) struct PublicKey {
    pub spki: Vec<u8>,
    pub sha256: ParsedPublicKey,
    pub sha1: ParsedPublicKey,
}

impl PublicKey {
    pub fn parse(der: &[u8]) -> Option<Self> {
        let sha256 = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der).ok()?;
        let sha1 = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, der).ok()?;
        let spki = AsDer::as_der(&sha256).ok()?.as_ref().to_vec();
        Some(Self { spki, sha256, sha1 })
    }
}

impl Member {
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.material {
            Material::Public(key) => Some(key),
            Material::Certificate { key, .. } => key.as_ref(),
            Material::Secret { .. } | Material::Private { .. } => None,
        }
    }

    /// Of a private key, the public one that belongs to it.
    pub fn public_half(&self) -> Option<Vec<u8>> {
        match &self.material {
            Material::Private { key, .. } => {
                PublicKey::parse(key.public_key().as_ref()).map(|public| public.spki)
            }
            _ => None,
        }
    }

    /// Whether a payer's private field may be sealed to it.
    pub fn takes_private(&self) -> bool {
        self.public_key().is_some() && !self.brought
    }

    pub fn secret(&self) -> Option<&[u8]> {
        match &self.material {
            Material::Secret { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// A secret that the host made from another, such as a derived key.
    pub fn derived(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self {
            material: Material::Secret { bytes, text: SecretString::default() },
            facts: Facts::default(),
            acts: true,
            brought: false,
        }
    }
}

impl SlotKeys {
    /// Whether the plugin itself can make what this slot verifies or opens: with the same secret it signs or seals. Of
    /// a key pair it has the other half only.
    pub fn forges(&self, verb: Verb) -> bool {
        let making = match verb {
            Verb::Verify => Verb::Sign,
            Verb::Open => Verb::Seal,
            Verb::Sign | Verb::Seal | Verb::Derive => return false,
        };
        self.uses.iter().any(|use_| use_.verb == making && use_.algorithm.is_symmetric())
    }

    /// The key of that id or serial.
    pub fn named(&self, id: &str) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| {
            let facts = &member.facts;
            let serial = facts.serial.eq_ignore_ascii_case(id);
            !id.is_empty() && (facts.id == id || serial || facts.serial_decimal == id)
        })
    }

    /// Whether its trust says whose the certificates are that it believes.
    pub fn names_whose(&self) -> bool {
        self.trust.as_ref().is_some_and(|trust| !trust.names.iter().any(|name| name == ANY))
    }

    /// Reads a slot's texts, for an account that is live or not.
    pub fn parse(slot: &Slot, texts: &[SecretString], live: bool) -> Result<Self, KeyError> {
        let name = &slot.input.name;
        let fail = |rule: String| KeyError { slot: name.clone(), rule };
        let kind = SlotKind::parse(&slot.input.kind)
            .ok_or_else(|| fail(format!("is of an unknown kind {:?}", slot.input.kind)))?;
        let uses = slot
            .uses
            .iter()
            .map(|text| Use::parse(text))
            .collect::<Result<Vec<_>, _>>()
            .map_err(&fail)?;
        let mut members = Vec::new();
        for text in texts {
            let text = text.expose_secret();
            if text.trim().is_empty() {
                return Err(fail("is empty".into()));
            }
            members.extend(read_text(kind, text).map_err(|rule| fail(rule.into()))?);
        }
        for member in &members {
            check_strength(member, &uses).map_err(|rule| fail(rule.into()))?;
        }
        Ok(Self {
            name: name.clone(),
            kind,
            uses,
            trust: slot.trust.clone().map(|trust| in_mode(trust, live)),
            members: members.into_iter().map(Arc::new).collect(),
        })
    }
}

/// The trust of an account: what only a provider's test system is called, nobody is called where money is real.
fn in_mode(mut trust: Trust, live: bool) -> Trust {
    let sandbox = std::mem::take(&mut trust.sandbox_names);
    if !live {
        trust.names.extend(sandbox);
    }
    trust
}

fn check_strength(member: &Member, uses: &[Use]) -> Result<(), &'static str> {
    let Some(secret) = member.secret() else {
        return Ok(());
    };
    for use_ in uses {
        match use_.algorithm {
            Algorithm::Aes256Gcm if secret.len() != 32 => return Err("must hold 32 bytes"),
            Algorithm::HmacSha256
            | Algorithm::HmacSha1
            | Algorithm::Md5
            | Algorithm::Sha256
            | Algorithm::Equal
            | Algorithm::Md5Hex
                if secret.len() < 16 =>
            {
                return Err("must hold at least 16 bytes");
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_text(kind: SlotKind, text: &str) -> Result<Vec<Member>, &'static str> {
    match kind {
        SlotKind::Secret | SlotKind::Token => {
            let bytes = Zeroizing::new(text.trim().as_bytes().to_vec());
            Ok(vec![secret(bytes, text)])
        }
        SlotKind::SecretHex => {
            let bytes = hex::decode(text.trim()).map_err(|_| "is not hexadecimal")?;
            Ok(vec![secret(Zeroizing::new(bytes), text)])
        }
        SlotKind::SecretBase64 => {
            let bytes = base64_text(text).ok_or("is not base64")?;
            Ok(vec![secret(Zeroizing::new(bytes), text)])
        }
        SlotKind::PrivateKey => private_key(text).map(|member| vec![member]),
        SlotKind::PublicKeys => public_key(text).map(|member| vec![member]),
        SlotKind::Certificates => read_certificates(text.as_bytes()),
    }
}

fn secret(bytes: Zeroizing<Vec<u8>>, text: &str) -> Member {
    Member {
        material: Material::Secret { bytes, text: SecretString::from(text.trim()) },
        facts: Facts::default(),
        acts: true,
        brought: false,
    }
}

/// Splits `ID:` off. Neither base64 nor a PEM header has a colon so early.
fn split_id(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    match text.split_once(':') {
        Some((id, rest))
            if !id.is_empty()
                && id.len() <= 64
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
                && !id.starts_with("-----") =>
        {
            (Some(id), rest.trim())
        }
        _ => (None, text),
    }
}

fn key_facts(id: Option<&str>, spki: &[u8]) -> Facts {
    Facts {
        id: id.map_or_else(|| sha256_hex(spki)[..32].to_owned(), str::to_owned),
        ..Facts::default()
    }
}

/// A second key, say, behind the first in the same base64: which of them was meant nobody can tell.
const MORE_THAN_A_KEY: &str = "holds more than one key";

fn private_key(text: &str) -> Result<Member, &'static str> {
    let (id, body) = split_id(text);
    let mut found = pem_blocks(body, "PRIVATE KEY")?;
    found.extend(pem_blocks(body, "RSA PRIVATE KEY")?);
    let der = match (found.pop(), found.is_empty()) {
        (Some(der), true) => der,
        (Some(_), false) => return Err("holds more than one key"),
        (None, _) if body.contains("ENCRYPTED") => return Err("is protected by a password"),
        (None, _) => base64_text(body).ok_or("is neither PEM nor base64")?,
    };
    let der = Zeroizing::new(der);
    let key = RsaKeyPair::from_pkcs8(&der)
        .or_else(|_| RsaKeyPair::from_der(&der))
        .map_err(|_| "is no RSA private key of 2048 to 8192 bits in PKCS#8 or PKCS#1")?;
    if !certificate::is_one_element(&der) {
        return Err(MORE_THAN_A_KEY);
    }
    let public = PublicKey::parse(key.public_key().as_ref()).ok_or("has no usable public half")?;
    Ok(Member {
        facts: key_facts(id, &public.spki),
        material: Material::Private { key: Box::new(key), der, text: SecretString::from(body) },
        acts: true,
        brought: false,
    })
}

fn public_key(text: &str) -> Result<Member, &'static str> {
    let (id, body) = split_id(text);
    let mut found = pem_blocks(body, "PUBLIC KEY")?;
    found.extend(pem_blocks(body, "RSA PUBLIC KEY")?);
    let der = match (found.pop(), found.is_empty()) {
        (Some(der), true) => der,
        (Some(_), false) => return Err("holds more than one key in one text"),
        (None, _) => base64_text(body).ok_or("is neither PEM nor base64")?,
    };
    let key = PublicKey::parse(&der).ok_or("is no RSA public key of 2048 to 8192 bits")?;
    if !certificate::is_one_element(&der) {
        return Err(MORE_THAN_A_KEY);
    }
    Ok(Member {
        facts: key_facts(id, &key.spki),
        material: Material::Public(key),
        acts: true,
        brought: false,
    })
}

/// Every certificate of a text; the first acts.
pub(crate) fn read_certificates(text: &[u8]) -> Result<Vec<Member>, &'static str> {
    let ders = certificates_in(text)?;
    let members: Vec<Member> = ders
        .into_iter()
        .enumerate()
        .map(|(index, der)| {
            let (facts, key) = match certificate::read(&der) {
                Some(cert) => (certificate::facts(&cert), PublicKey::parse(cert.public_key().raw)),
                None => (Facts::default(), None),
            };
            Member {
                material: Material::Certificate { der, key },
                facts,
                acts: index == 0,
                brought: false,
            }
        })
        .collect();
    if members.iter().all(|m| m.facts == Facts::default()) {
        return Err("holds no certificate that can be read");
    }
    Ok(members)
}
