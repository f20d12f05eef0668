//! Who signs what: a root, a middle authority under it, and under that the certificates of UnionPay and of merchants.
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Context, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    SerialNumber,
};

use crate::rsa::{SigningKey, key};

const MERCHANT_SERIAL: u64 = 69_903_319_369;
const SEALING_SERIAL: u64 = 68_759_622_183;

/// Keys and certificates of both sides.
#[derive(Debug)]
pub struct Credentials {
    /// The merchant's number.
    pub mer_id: String,
    /// Signs requests.
    pub merchant: SigningKey,
    /// The merchant's certificate, PEM.
    pub merchant_pem: String,
    /// Serial number of the merchant's certificate, decimal.
    pub merchant_serial: String,
    /// Signs replies and notifications.
    pub provider: SigningKey,
    /// UnionPay's certificate, PEM.
    pub provider_pem: String,
    /// Another to the same key, in the name that UnionPay has in its test system alone, PEM.
    pub test_name_pem: String,
    /// What payers' cards are sealed to, the newest last.
    sealing: Mutex<Vec<Arc<Sealing>>>,
    middle: SigningKey,
    /// The root, PEM.
    pub root_pem: String,
    /// The middle authority, PEM.
    pub middle_pem: String,
    stranger: OnceLock<(SigningKey, String)>,
}

/// A certificate that merchants seal payers' cards to, and what opens them.
#[derive(Debug)]
pub struct Sealing {
    /// Opens them.
    pub key: SigningKey,
    /// The certificate, PEM.
    pub pem: String,
    /// Its serial number, decimal.
    pub serial: String,
}

impl Sealing {
    fn issue(middle: &SigningKey, serial: u64, key: SigningKey) -> anyhow::Result<Sealing> {
        let name = "041@8310000000083040@中国银联股份有限公司@00016496";
        Ok(Sealing { pem: leaf(middle, name, serial, &key)?, serial: serial.to_string(), key })
    }
}

impl Credentials {
    /// Keys from `folder`, made on first use; without a folder they live in memory only.
    pub fn load(folder: Option<&Path>) -> anyhow::Result<Credentials> {
        let root = pair(&key(folder, "unionpay-root.key")?)?;
        let middle = key(folder, "unionpay-middle.key")?;
        let merchant = key(folder, "unionpay-merchant.key")?;
        let provider = key(folder, "unionpay-provider.key")?;
        let sealing = key(folder, "unionpay-sealing.key")?;
        let root_params = authority("Tollgate Simulator UnionPay root", 1)?;
        let root_pem = root_params.self_signed(&root).context("root certificate")?.pem();
        let by_root = Issuer::from_params(&root_params, &root);
        let middle_pem = middle_params()?.signed_by(&pair(&middle)?, &by_root);
        let middle_pem = middle_pem.context("middle certificate")?.pem();
        let leaf = |name: &str, serial: u64, key: &SigningKey| leaf(&middle, name, serial, key);
        let mer_id = "777290058167151".to_owned();
        Ok(Credentials {
            merchant_pem: leaf(
                &format!("041@Z2014-11-11@{mer_id}:SIGN@00000003"),
                MERCHANT_SERIAL,
                &merchant,
            )?,
            provider_pem: leaf(
                "041@8310000000083040@中国银联股份有限公司@00016495",
                69_678_957_876,
                &provider,
            )?,
            test_name_pem: leaf(
                "041@8310000000083040@00040000:SIGN@00000001",
                69_678_957_877,
                &provider,
            )?,
            sealing: Mutex::new(vec![Arc::new(Sealing::issue(&middle, SEALING_SERIAL, sealing)?)]),
            mer_id,
            merchant,
            merchant_serial: MERCHANT_SERIAL.to_string(),
            provider,
            root_pem,
            middle_pem,
            middle,
            stranger: OnceLock::new(),
        })
    }

    /// What payers' cards are sealed to, the newest last.
    pub fn sealing(&self) -> Vec<Arc<Sealing>> {
        self.sealing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has cards sealed to a new certificate from now on. Gives its serial number.
    pub fn renew_sealing(&self) -> anyhow::Result<String> {
        let mut all = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let serial = SEALING_SERIAL + u64::try_from(all.len()).unwrap_or(0);
        let next = Sealing::issue(&self.middle, serial, SigningKey::generate()?)?;
        let serial = next.serial.clone();
        all.push(Arc::new(next));
        Ok(serial)
    }

    /// Somebody's key, and a certificate in UnionPay's name that he signed himself.
    pub fn stranger(&self) -> anyhow::Result<&(SigningKey, String)> {
        if self.stranger.get().is_none() {
            let key = SigningKey::generate()?;
            let params = params("041@8310000000083040@中国银联股份有限公司@00016495", 7)?;
            let pem = params.self_signed(&pair(&key)?).context("stranger's certificate")?.pem();
            // Two first strangers at once make two keys, and the first one set is used by both.
            let _ = self.stranger.set((key, pem));
        }
        self.stranger.get().ok_or_else(|| anyhow!("no stranger"))
    }
}

fn middle_params() -> anyhow::Result<CertificateParams> {
    authority("Tollgate Simulator UnionPay OCA", 2)
}

/// A certificate that the middle authority signs, PEM.
fn leaf(middle: &SigningKey, name: &str, serial: u64, key: &SigningKey) -> anyhow::Result<String> {
    let (by, of) = (middle_params()?, pair(middle)?);
    let made = params(name, serial)?.signed_by(&pair(key)?, &Issuer::from_params(&by, &of));
    Ok(made.context("leaf certificate")?.pem())
}

fn pair(key: &SigningKey) -> anyhow::Result<KeyPair> {
    let der = key.pkcs8().into();
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256)
        .map_err(|_| anyhow!("the key does not sign certificates"))
}

fn authority(name: &str, serial: u64) -> anyhow::Result<CertificateParams> {
    let mut params = params(name, serial)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params)
}

fn params(name: &str, serial: u64) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("certificate")?;
    params.distinguished_name.push(DnType::CountryName, "CN");
    params.distinguished_name.push(DnType::OrganizationName, "Tollgate Simulator");
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    Ok(params)
}
