//! Reading a reply, and what signs it: the headers name time, nonce and key, and the signature covers the raw body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::contract::types::{Fault, Fields, HttpResponse};
use tollgate_sdk::keys::RSA_PKCS1_SHA256;
use tollgate_sdk::{Keyring, fault, headers};

use crate::certificates;

/// How old, or how far ahead, a signed message may be, in milliseconds.
const WINDOW_MS: i64 = 300_000;
/// Milliseconds after which a call that was not served is worth repeating.
const RETRY_MS: u32 = 3_000;

/// The signature headers of a message, and the text that they cover.
pub struct Signed<'a> {
    /// Which key signed: a certificate's serial number or the id of a public key.
    pub serial: &'a str,
    signature: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> Signed<'a> {
    /// Reads the headers of a reply or a notification that came at `now_ms`.
    ///
    /// # Errors
    /// `signature` if a header is missing, doubled or unreadable, or the time is not within five minutes of now.
    pub fn of(headers: &'a Fields, body: &[u8], now_ms: i64) -> Result<Self, Fault> {
        let one = |name: &str| headers::one(headers, name);
        let (timestamp, nonce) = (one("wechatpay-timestamp")?, one("wechatpay-nonce")?);
        let (signature, serial) = (one("wechatpay-signature")?, one("wechatpay-serial")?);
        let seconds: i64 = timestamp
            .parse()
            .map_err(|_| fault::signature("`Wechatpay-Timestamp` is no number of seconds"))?;
        let distance = seconds.saturating_mul(1000).abs_diff(now_ms);
        if distance > WINDOW_MS.unsigned_abs() {
            return Err(fault::signature("`Wechatpay-Timestamp` is not within 300 s of now"));
        }
        // Now and then the provider sends one that begins with WECHATPAY/SIGNTEST/, to see it refused: it is no base64.
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| fault::signature("`Wechatpay-Signature` is not base64"))?;
        let mut text = format!("{timestamp}\n{nonce}\n").into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        Ok(Self { serial, signature, text })
    }

    /// Whether the key that the message names has signed it.
    ///
    /// # Errors
    /// `signature` for a public key that the account does not have, `config` where keys are missing.
    pub fn holds<K: Keyring>(self, keys: &K) -> Result<bool, Fault> {
        let key = certificates::named(keys, self.serial)?;
        keys.verify(key, RSA_PKCS1_SHA256, &[Piece::Text(self.text)], &self.signature)
    }

    /// Whether this certificate, which the slot's trust must hold for, has signed it.
    ///
    /// # Errors
    /// `config` where keys are missing.
    pub fn holds_by<K: Keyring>(self, keys: &K, slot: &str, cert: &[u8]) -> Result<bool, Fault> {
        let data = [Piece::Text(self.text)];
        keys.verify_by(slot, cert, RSA_PKCS1_SHA256, &data, &self.signature)
    }
}

/// Why the provider did not do what it was asked.
#[derive(Debug, Default, Deserialize)]
pub struct Refusal {
    /// Its word for it; the HTTP status is no safe guide.
    #[serde(default)]
    pub code: String,
    /// In words.
    #[serde(default)]
    pub message: String,
    #[serde(skip)]
    status: u16,
}

impl Refusal {
    /// The fault that a refusal stands for, where the caller knows no better.
    pub fn fault(&self) -> Fault {
        let fault = match (self.code.as_str(), self.status) {
            ("FREQUENCY_LIMITED" | "FREQUENCY_LIMIT_EXCEED" | "RATELIMIT_EXCEEDED", _)
            | (_, 429) => {
                fault::rate_limited("WeChat Pay asks for fewer calls").retry_after(RETRY_MS)
            }
            ("SIGN_ERROR" | "NO_AUTH" | "MCH_NOT_EXISTS" | "APPID_MCHID_NOT_MATCH", _) => {
                return self.said(fault::auth("WeChat Pay does not permit the call"));
            }
            ("PARAM_ERROR", _) => {
                return self.said(fault::invalid_request("WeChat Pay refused the call"));
            }
            _ => fault::unavailable("WeChat Pay could not serve the call").retry_after(RETRY_MS),
        };
        self.said(fault).outcome_unknown()
    }

    fn said(&self, fault: Fault) -> Fault {
        fault.said(self.code.clone(), self.message.clone())
    }

    /// Whether it is no answer at all but a failure of the provider or of something between.
    pub fn is_failure(&self) -> bool {
        self.status >= 500 || self.status == 429 || self.code.is_empty() || is_passing(&self.code)
    }
}

fn is_passing(code: &str) -> bool {
    matches!(code, "SYSTEM_ERROR" | "SYSTEMERROR" | "BANK_ERROR" | "FREQUENCY_LIMITED")
}

/// What an error reply says. Most of them carry no signature, so none of them is believed about money that moved.
pub fn refusal(response: &HttpResponse) -> Refusal {
    let read: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
    Refusal { status: response.status, ..read }
}

/// The body of a successful reply whose signature held; or the refusal.
///
/// # Errors
/// `signature` or `protocol`, the outcome unknown, for what is not the provider's signed word.
pub fn verified<K: Keyring, T: DeserializeOwned>(
    keys: &K,
    response: &HttpResponse,
    now_ms: i64,
) -> Result<Result<T, Refusal>, Fault> {
    if !worked(keys, response, now_ms)? {
        return Ok(Err(refusal(response)));
    }
    serde_json::from_slice(&response.body)
        .map(Ok)
        .map_err(|error| fault::protocol(format!("reply: {error}")).outcome_unknown())
}

/// Whether a call worked. A reply that says so is signed, be its body empty.
///
/// # Errors
/// `signature`, the outcome unknown, where the signature is missing or does not hold.
pub fn worked<K: Keyring>(keys: &K, response: &HttpResponse, now_ms: i64) -> Result<bool, Fault> {
    if !(200..300).contains(&response.status) {
        return Ok(false);
    }
    let signed = Signed::of(&response.headers, &response.body, now_ms);
    match signed.and_then(|signed| signed.holds(keys)) {
        Ok(true) => Ok(true),
        Ok(false) => Err(fault::signature("the reply's signature does not hold").outcome_unknown()),
        Err(fault) => Err(fault.outcome_unknown()),
    }
}
