//! Certificate mode: serial numbers as Alipay counts them, and the certificates it signs with. An account is in this
//! mode if it filled `app-certificate`; nothing else says so.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{FetchedKey, KeyRequest, Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::keys::Pick;
use tollgate_sdk::{Keyring, fault};

use crate::{gateway, reply};

/// The slot of Alipay's bare public key.
pub const ALIPAY_KEY: &str = "alipay-public-key";
/// The slot of the merchant's own certificate.
pub const APP_CERTIFICATE: &str = "app-certificate";
/// The slot of the certificates that Alipay signs with.
pub const ALIPAY_CERTIFICATE: &str = "alipay-certificate";
/// The slot of Alipay's root certificates.
pub const ALIPAY_ROOT: &str = "alipay-root";
/// The call that hands over a certificate by its serial number.
pub const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

/// A certificate's serial number: MD5 of the issuer (`CN=..,OU=..,O=..,C=..`) and the serial in decimal, in hex.
pub fn serial(issuer: &str, serial_decimal: &str) -> String {
    use std::fmt::Write;
    let digest = Md5::new().chain_update(issuer).chain_update(serial_decimal).finalize();
    digest.iter().fold(String::with_capacity(32), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The serial numbers of a slot's certificates, in their order.
fn serials<K: Keyring>(keys: &K, slot: &str) -> Vec<String> {
    let issuers = keys.attribute(slot, "issuer");
    let decimals = keys.attribute(slot, "serial-decimal");
    issuers.iter().zip(&decimals).map(|(issuer, decimal)| serial(issuer, decimal)).collect()
}

/// `alipay_root_cert_sn` and `app_cert_sn` of an account in certificate mode.
///
/// # Errors
/// `config` if the account is in certificate mode and lacks a root that counts.
pub fn own_serials<K: Keyring>(keys: &K) -> Result<Option<(String, String)>, Fault> {
    if !keys.is_filled(APP_CERTIFICATE) {
        return Ok(None);
    }
    let own = serials(keys, APP_CERTIFICATE).into_iter().next();
    let own = own.ok_or_else(|| fault::config("`app-certificate` holds no certificate"))?;
    let algorithms = keys.attribute(ALIPAY_ROOT, "signature-algorithm");
    // Only RSA roots count: the file also holds SM2 and ECDSA ones, for other signatures.
    let roots: Vec<String> = serials(keys, ALIPAY_ROOT)
        .into_iter()
        .zip(&algorithms)
        .filter(|(_, algorithm)| algorithm.starts_with("1.2.840.113549.1.1"))
        .map(|(serial, _)| serial)
        .collect();
    if roots.is_empty() {
        return Err(fault::config("certificate mode needs `alipay-root` with an RSA certificate"));
    }
    Ok(Some((roots.join("_"), own)))
}

/// Checks that what Alipay will say of a payment can be verified at all, before a payer is offered it.
///
/// # Errors
/// `config` if the account has neither Alipay's key nor a certificate.
pub fn check_verifiable<K: Keyring>(keys: &K) -> Result<(), Fault> {
    if keys.is_filled(APP_CERTIFICATE) {
        // A certificate that is not held is asked for, and `own_serials` wants the root that vouches for it.
        return Ok(());
    }
    alipay_key(keys, None).map(drop)
}

/// The key that Alipay signed a message with: a reply in certificate mode names its certificate.
///
/// # Errors
/// `config` if the account has neither Alipay's key nor its certificate.
pub fn alipay_key<'a, K: Keyring>(keys: &K, named: Option<&'a str>) -> Result<Pick<'a>, Fault> {
    if let Some(named) = named.filter(|_| keys.is_filled(APP_CERTIFICATE)) {
        let is_held = serials(keys, ALIPAY_CERTIFICATE).iter().any(|serial| serial == named);
        // One that we do not hold is asked for by its serial number, and the host believes it if the root vouches.
        return Ok(match is_held {
            true => Pick::Slot(ALIPAY_CERTIFICATE),
            false => Pick::Id(ALIPAY_CERTIFICATE, named),
        });
    }
    match [ALIPAY_KEY, ALIPAY_CERTIFICATE].into_iter().find(|slot| keys.is_filled(slot)) {
        Some(slot) => Ok(Pick::Slot(slot)),
        None => {
            Err(fault::config("the account has no `alipay-public-key` or `alipay-certificate`"))
        }
    }
}

#[derive(Serialize)]
struct Download<'a> {
    alipay_cert_sn: &'a str,
}

#[derive(Deserialize)]
struct Downloaded {
    #[serde(default)]
    alipay_cert_content: String,
}

/// Asks for the certificate with the serial number that a reply named.
///
/// # Errors
/// `unsupported` without such a number: Alipay hands certificates over by number only.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &KeyRequest) -> Result<Step, Fault> {
    let alipay_cert_sn = wanted(request)?;
    let content = Download { alipay_cert_sn };
    Ok(gateway::sign(context, keys, DOWNLOAD, &content, "", "")?.send())
}

/// Hands the certificate on. The reply is signed by the very key that is being fetched, so its worth is what the
/// root says of the certificate, which the host checks.
///
/// # Errors
/// `not-found` if Alipay has no such certificate.
pub fn interpret(request: &KeyRequest, response: &HttpResponse) -> Result<Outcome, Fault> {
    let id = wanted(request)?.to_owned();
    let (raw, _) = reply::cut(DOWNLOAD, response)?;
    let body: Downloaded = serde_json::from_str(raw)
        .map_err(|error| fault::protocol(format!("certificate download: {error}")))?;
    match STANDARD.decode(body.alipay_cert_content.trim()) {
        Ok(encoded) if !encoded.is_empty() => Ok(Outcome::Keys(vec![FetchedKey { id, encoded }])),
        _ => Err(fault::not_found("Alipay handed over no certificate")),
    }
}

fn wanted(request: &KeyRequest) -> Result<&str, Fault> {
    match (request.slot.as_str(), request.id.as_deref()) {
        (ALIPAY_CERTIFICATE, Some(id)) => Ok(id),
        _ => Err(fault::unsupported("Alipay hands over its own certificates, by serial number")),
    }
}
