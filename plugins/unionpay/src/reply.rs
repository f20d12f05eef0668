//! Verifying what UnionPay says: it sends the certificate along, which the host believes if the chain leads to the roots of
//! the account **and** the name is UnionPay's. Merchants hold certificates of the same authority.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::keys::RSA_PKCS1_SHA256;
use tollgate_sdk::{Keyring, fault};

use crate::fields::{Fields, SIGNATURE};
use crate::gateway::{SIGN_METHOD, VERSION};

/// The slot of certificates that come in messages.
pub const CERTIFICATE: &str = "unionpay-certificate";
/// The slot of UnionPay's root and middle certificates.
pub const ROOTS: &str = "unionpay-root";
/// Milliseconds after which a call that was not served is worth repeating.
const RETRY_MS: u32 = 3_000;

/// Checks version, method and signature of a message. All fields are signed, those that nobody knows among them.
///
/// # Errors
/// `signature` unless UnionPay has signed it in the way that is spoken here.
pub fn verify<K: Keyring>(keys: &K, fields: &Fields) -> Result<(), Fault> {
    if fields.get("version") != Some(VERSION) {
        return Err(fault::signature("`version` is not 5.1.0"));
    }
    if fields.get("signMethod") != Some(SIGN_METHOD) {
        return Err(fault::signature("`signMethod` is not 01"));
    }
    let missing = |name: &str| fault::signature(format!("`{name}` is missing"));
    let certificate =
        fields.filled("signPubKeyCert").ok_or_else(|| missing("signPubKeyCert"))?.as_bytes();
    let signature = fields.filled(SIGNATURE).ok_or_else(|| missing(SIGNATURE))?;
    let signature = STANDARD
        .decode(signature.trim())
        .map_err(|_| fault::signature("`signature` is not base64"))?;
    let data = [Piece::Text(fields.digest().into_bytes())];
    match keys.verify_by(CERTIFICATE, certificate, RSA_PKCS1_SHA256, &data, &signature)? {
        true => Ok(()),
        false => Err(fault::signature(
            "the signature does not hold, or its certificate is not UnionPay's",
        )),
    }
}

/// The verified fields of a reply to this merchant.
///
/// # Errors
/// Whatever is not UnionPay's signed word, with an unknown outcome.
pub fn read<K: Keyring>(
    context: &Context,
    keys: &K,
    response: &HttpResponse,
) -> Result<Fields, Fault> {
    if response.status != 200 {
        let message = format!("HTTP {} from UnionPay", response.status);
        return Err(fault::unavailable(message).retry_after(RETRY_MS).outcome_unknown());
    }
    let text = std::str::from_utf8(&response.body)
        .map_err(|_| fault::protocol("reply: not UTF-8").outcome_unknown())?;
    let fields = Fields::of_reply(text).map_err(Fault::outcome_unknown)?;
    verify(keys, &fields).map_err(Fault::outcome_unknown)?;
    if fields.get("merId") != Some(context.required_setting("mer_id")?) {
        return Err(fault::protocol("reply: another merchant's").outcome_unknown());
    }
    Ok(fields)
}

/// The fault of a code that settles nothing: UnionPay could not serve the call, or our request broke a rule.
pub fn fault_of(code: &str, message: &str) -> Fault {
    match code {
        "10" | "11" | "13" => fault::invalid_request("UnionPay refused the call"),
        "31" | "32" => fault::auth("UnionPay does not permit the call"),
        _ => fault::unavailable("UnionPay could not serve the call")
            .retry_after(RETRY_MS)
            .outcome_unknown(),
    }
    .said(code, message)
}
