//! Who signs and seals what: the merchant's key, the platform's by certificate and by id, and the secret that both share.
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, SerialNumber};

use crate::rsa::{SigningKey, key};

/// The merchant and the platform.
#[derive(Debug)]
pub struct Credentials {
    /// The app that orders are made for.
    pub appid: String,
    /// The merchant's number.
    pub mchid: String,
    /// Serial number of the merchant's certificate, which nothing but requests name.
    pub merchant_serial: String,
    /// 32 characters, the AES key of whatever is sealed for the merchant.
    pub api_v3_key: String,
    /// Signs requests.
    pub merchant: SigningKey,
    /// Signs in public-key mode.
    pub public: SigningKey,
    /// By which id.
    pub public_key_id: String,
    /// By which it signs in certificate mode, the newest last.
    platform: Mutex<Vec<Platform>>,
    forger: OnceLock<SigningKey>,
}

/// From the first moment of 2020 to that of 2049, unless one is to end sooner: Unix seconds.
const BEGINS_S: i64 = 1_577_836_800;
const ENDS_S: i64 = 2_493_072_000;

/// A certificate of the platform, and its key.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// The certificate, PEM.
    pub pem: String,
    /// From when on it is good.
    pub begins: Timestamp,
    /// Until when, to the second.
    pub ends: Timestamp,
    key: std::sync::Arc<SigningKey>,
}

impl Platform {
    fn issue(number: u64, key: SigningKey, life: Option<Duration>) -> anyhow::Result<Platform> {
        let der = key.pkcs8().into();
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256)
            .map_err(|_| anyhow!("the key does not sign certificates"))?;
        let mut params = CertificateParams::new(Vec::new()).context("certificate")?;
        params.distinguished_name.push(DnType::OrganizationName, "Tollgate Simulator");
        params.distinguished_name.push(DnType::CommonName, "WeChat Pay platform, simulated");
        params.serial_number = Some(SerialNumber::from(number));
        let begins = Timestamp::from_second(BEGINS_S).context("time")?;
        let ends = match life {
            Some(life) => Timestamp::now().checked_add(life).context("life")?.as_second(),
            None => ENDS_S,
        };
        let ends = Timestamp::from_second(ends).context("time")?;
        params.not_before = SystemTime::from(begins).into();
        params.not_after = SystemTime::from(ends).into();
        let certificate = params.self_signed(&pair).context("certificate")?;
        let serial = format!("{number:X}");
        let key = std::sync::Arc::new(key);
        Ok(Platform { serial, pem: certificate.pem(), begins, ends, key })
    }
}

/// By what a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the public key that has an id.
    PublicKey,
    /// By the newest certificate.
    Certificate,
}

impl Credentials {
    /// Keys from `folder`, made on first use; without a folder they live in memory only.
    pub fn load(folder: Option<&Path>) -> anyhow::Result<Credentials> {
        let platform = key(folder, "wechatpay-platform.key")?;
        Ok(Credentials {
            appid: "wx81be3101902f7cb2".to_owned(),
            mchid: "1601959334".to_owned(),
            merchant_serial: "25F8AA5452D55497C24BA57DC81B1E5915DC2E77".to_owned(),
            api_v3_key: "Tollgate0Simulator0ApiV3Key00001".to_owned(),
            merchant: key(folder, "wechatpay-merchant.key")?,
            public: key(folder, "wechatpay-public.key")?,
            public_key_id: "PUB_KEY_ID_0116019593342026010100112".to_owned(),
            platform: Mutex::new(vec![Platform::issue(0x45F5_9D4D_ABF3_1918, platform, None)?]),
            forger: OnceLock::new(),
        })
    }

    /// The platform's certificates, the newest last.
    pub fn certificates(&self) -> Vec<Platform> {
        self.platform.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs by a new certificate from now on, which is good for so long, or for ever. Gives its serial number.
    pub fn rotate(&self, life: Option<Duration>) -> anyhow::Result<String> {
        let mut all = self.platform.lock().unwrap_or_else(PoisonError::into_inner);
        let number = 0x45F5_9D4D_ABF3_2000 + u64::try_from(all.len()).unwrap_or(0);
        let next = Platform::issue(number, SigningKey::generate()?, life)?;
        let serial = next.serial.clone();
        all.push(next);
        Ok(serial)
    }

    /// The serial that a message names, and the signature over its text in base64.
    pub fn sign(&self, mode: Mode, text: &[u8]) -> anyhow::Result<(String, String)> {
        if mode == Mode::PublicKey {
            return Ok((self.public_key_id.clone(), self.public.sign(text)));
        }
        let all = self.certificates();
        let newest = all.last().context("no certificate")?;
        Ok((newest.serial.clone(), newest.key.sign(text)))
    }

    /// A key that the merchant does not know, made when the first forgery is asked for.
    pub fn forger(&self) -> anyhow::Result<&SigningKey> {
        if self.forger.get().is_none() {
            // Two first forgeries at once make two keys, and the first one set is used by both.
            let _ = self.forger.set(SigningKey::generate()?);
        }
        self.forger.get().ok_or_else(|| anyhow!("no forger's key"))
    }

    /// Seals a text for the merchant: base64, the tag at its end.
    pub fn seal(&self, nonce: &str, aad: &str, plain: &str) -> anyhow::Result<String> {
        let key = UnboundKey::new(&AES_256_GCM, self.api_v3_key.as_bytes());
        let key = LessSafeKey::new(key.map_err(|_| anyhow!("the API v3 key has not 32 bytes"))?);
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes())
            .map_err(|_| anyhow!("a nonce of another length"))?;
        let mut bytes = plain.as_bytes().to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(aad.as_bytes()), &mut bytes)
            .map_err(|_| anyhow!("not sealed"))?;
        Ok(STANDARD.encode(bytes))
    }
}
