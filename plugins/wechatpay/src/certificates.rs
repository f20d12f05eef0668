//! The keys that WeChat Pay signs with: a bare public key with an id of its own, or platform certificates by their serial
//! number, or for weeks a mix of both. What signed a message is named beside it, so several are held at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tollgate_sdk::contract::requests::{FetchedKey, KeyRequest, Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::keys::{AES_256_GCM, Pick};
use tollgate_sdk::{Keyring, fault};

use crate::{gateway, reply};

/// The slot of bare public keys, each with its id: `PUB_KEY_ID_...:` and the key.
pub const PUBLIC_KEYS: &str = "wechatpay-public-key";
/// The slot of the platform's certificates, fetched by the plugin.
pub const CERTIFICATES: &str = "wechatpay-certificates";
/// The slot of the key that seals notifications and certificates.
pub const API_V3_KEY: &str = "api-v3-key";
/// Where certificates are told.
pub const PATH: &str = "/v3/certificates";
/// What the id of a bare public key starts with.
const PUBLIC_KEY_PREFIX: &str = "PUB_KEY_ID_";
/// The one algorithm by which anything is sealed for a merchant.
const SEALED_BY: &str = "AEAD_AES_256_GCM";

/// The id of the account's bare public key, if it has one.
pub fn public_key_id<K: Keyring>(keys: &K) -> Option<String> {
    let ids = keys.attribute(PUBLIC_KEYS, "id");
    ids.into_iter().find(|id| id.starts_with(PUBLIC_KEY_PREFIX))
}

/// The key that `Wechatpay-Serial` names.
///
/// # Errors
/// `signature` for a bare public key that the account does not have: nobody hands those over.
pub fn named<'a, K: Keyring>(keys: &K, serial: &'a str) -> Result<Pick<'a>, Fault> {
    if !serial.starts_with(PUBLIC_KEY_PREFIX) {
        // One that we do not hold the host fetches, and believes it if our own secret has sealed it.
        return Ok(Pick::Id(CERTIFICATES, serial));
    }
    let is_held = keys.attribute(PUBLIC_KEYS, "id").iter().any(|id| id == serial);
    match is_held {
        true => Ok(Pick::Id(PUBLIC_KEYS, serial)),
        false => Err(fault::signature("signed by a public key that the account does not have")),
    }
}

/// Something that was sealed with the merchant's API v3 key.
#[derive(Debug, Deserialize)]
pub struct Sealed {
    algorithm: String,
    nonce: String,
    #[serde(default)]
    associated_data: String,
    ciphertext: String,
}

impl Sealed {
    /// Opens it.
    ///
    /// # Errors
    /// `protocol` for another algorithm or broken base64, `signature` if it was sealed with another key or changed.
    pub fn open<K: Keyring>(&self, keys: &K) -> Result<Vec<u8>, Fault> {
        if self.algorithm != SEALED_BY {
            return Err(fault::protocol(format!("`algorithm` is not {SEALED_BY}")));
        }
        let sealed = STANDARD
            .decode(&self.ciphertext)
            .map_err(|_| fault::protocol("`ciphertext` is not base64"))?;
        let (nonce, aad) = (self.nonce.as_bytes(), self.associated_data.as_bytes());
        keys.open(API_V3_KEY, AES_256_GCM, nonce, aad, &sealed)?
            .ok_or_else(|| fault::signature("the content could not be opened with the API v3 key"))
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    serial_no: String,
    encrypt_certificate: Sealed,
}

/// Asks for the platform's certificates: all of them, whichever was missed.
///
/// # Errors
/// `unsupported` for another slot.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &KeyRequest) -> Result<Step, Fault> {
    if request.slot != CERTIFICATES {
        return Err(fault::unsupported("WeChat Pay hands over its certificates alone"));
    }
    Ok(Step::Send((gateway::get(context, keys, PATH)?, Vec::new())))
}

/// Opens the certificates. The reply is signed by one of the very certificates in it: what vouches for them is that they
/// were sealed with the merchant's own secret.
///
/// # Errors
/// `signature` unless one of them signed the reply, `not-found` where the list is empty (public-key mode).
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &KeyRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let signed = reply::Signed::of(&response.headers, &response.body, context.now_ms);
    if response.status != 200 {
        return Err(reply::refusal(response).fault());
    }
    let list: List = serde_json::from_slice(&response.body)
        .map_err(|error| fault::protocol(format!("certificates: {error}")))?;
    let mut fetched = Vec::with_capacity(list.data.len());
    for listed in &list.data {
        let encoded = listed.encrypt_certificate.open(keys)?;
        fetched.push(FetchedKey { id: listed.serial_no.clone(), encoded });
    }
    if fetched.is_empty() {
        return Err(fault::not_found("WeChat Pay has no certificates for this merchant"));
    }
    let signed = signed?;
    let held = match fetched.iter().find(|key| key.id == signed.serial) {
        Some(signer) => signed.holds_by(keys, &request.slot, &signer.encoded)?,
        None => signed.holds(keys)?,
    };
    if !held {
        return Err(fault::signature("the signature of the certificates does not hold"));
    }
    Ok(Outcome::Keys(fetched))
}
