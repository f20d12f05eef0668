//! Certificate mode: a generated root, one leaf for each side, and their serial numbers.
use anyhow::{Context, anyhow};
use md5::{Digest as _, Md5};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, PKCS_RSA_SHA256, SerialNumber,
};
use serde::Deserialize;

use crate::rsa::SigningKey;

/// Issuer of all certificates, as its distinguished name is written for serial numbers.
const ROOT_NAME: [(&str, &str); 4] = [
    ("CN", "Tollgate Simulator Root R1"),
    ("OU", "Certification Authority"),
    ("O", "Tollgate Simulator"),
    ("C", "CN"),
];
const ROOT_SERIAL: u64 = 4_271_714_856_694_070_277;
const MERCHANT_SERIAL: u64 = 135_179_002_125_852;
const PROVIDER_SERIAL: u64 = 497_642_717_148_566;
const ROTATED_SERIAL: u64 = 731_554_019_286_403;
/// Merchants hold certificates of the same root: the name tells the provider's own from theirs.
const PROVIDER_NAME: &str = "支付宝(中国)网络技术有限公司-simulator";

/// The certificates in PEM, and the serial numbers that requests and replies name.
#[derive(Debug)]
pub struct Certificates {
    /// Root certificate, PEM.
    pub root_pem: String,
    /// The merchant's certificate, PEM.
    pub merchant_pem: String,
    /// The provider's certificate, PEM.
    pub provider_pem: String,
    /// `app_cert_sn` of requests.
    pub merchant_sn: String,
    /// `alipay_root_cert_sn` of requests.
    pub root_sn: String,
    /// `alipay_cert_sn` of replies.
    pub provider_sn: String,
}

impl Certificates {
    /// Issues all three certificates over existing keys.
    pub fn issue(
        root: &SigningKey,
        merchant: &SigningKey,
        provider: &SigningKey,
    ) -> anyhow::Result<Certificates> {
        let root_key = rcgen_key(root)?;
        let mut root_params = params(&ROOT_NAME, ROOT_SERIAL)?;
        root_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root_params.self_signed(&root_key).context("root certificate")?;
        let issuer = Issuer::from_params(&root_params, &root_key);
        let leaf = |name: &str, serial: u64, key: &SigningKey| leaf(name, serial, key, &issuer);
        Ok(Certificates {
            root_pem: root_certificate.pem(),
            merchant_pem: leaf("Merchant", MERCHANT_SERIAL, merchant)?.pem(),
            provider_pem: leaf(PROVIDER_NAME, PROVIDER_SERIAL, provider)?.pem(),
            merchant_sn: serial_number(&issuer_text(&ROOT_NAME), &MERCHANT_SERIAL.to_string()),
            root_sn: serial_number(&issuer_text(&ROOT_NAME), &ROOT_SERIAL.to_string()),
            provider_sn: serial_number(&issuer_text(&ROOT_NAME), &PROVIDER_SERIAL.to_string()),
        })
    }
}

/// How the provider's certificate is replaced.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// As it should be: the same root, the provider's own name.
    Honest,
    /// The right name under a root that nobody knows.
    ForeignRoot,
    /// The same root, but a merchant's name.
    OtherName,
}

/// The key and certificate that took the place of the first ones.
#[derive(Debug)]
pub struct Rotated {
    /// What signs from now on.
    pub key: SigningKey,
    /// Its certificate, PEM.
    pub pem: String,
    /// `alipay_cert_sn` of replies.
    pub sn: String,
}

impl Rotated {
    /// A new key with a certificate.
    pub fn issue(root: &SigningKey, rotation: Rotation) -> anyhow::Result<Rotated> {
        let key = SigningKey::generate()?;
        let stranger = SigningKey::generate()?;
        let (signer, name) = match rotation {
            Rotation::Honest => (root, PROVIDER_NAME),
            Rotation::ForeignRoot => (&stranger, PROVIDER_NAME),
            Rotation::OtherName => (root, "Merchant"),
        };
        let signer_key = rcgen_key(signer)?;
        let mut root_params = params(&ROOT_NAME, ROOT_SERIAL)?;
        root_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::from_params(&root_params, &signer_key);
        let pem = leaf(name, ROTATED_SERIAL, &key, &issuer)?.pem();
        let sn = serial_number(&issuer_text(&ROOT_NAME), &ROTATED_SERIAL.to_string());
        Ok(Rotated { key, pem, sn })
    }
}

fn leaf(
    name: &str,
    serial: u64,
    key: &SigningKey,
    issuer: &Issuer<'_, &KeyPair>,
) -> anyhow::Result<Certificate> {
    let subject = [("CN", name), ("O", "Tollgate Simulator"), ("C", "CN")];
    let certificate = params(&subject, serial)?.signed_by(&rcgen_key(key)?, issuer);
    certificate.context("leaf certificate")
}

/// The provider's serial number: MD5 of the issuer's name and the decimal serial, in hex.
pub fn serial_number(issuer: &str, serial: &str) -> String {
    hex::encode(Md5::digest(format!("{issuer}{serial}")))
}

fn issuer_text(name: &[(&str, &str)]) -> String {
    let parts: Vec<String> = name.iter().map(|(kind, value)| format!("{kind}={value}")).collect();
    parts.join(",")
}

fn rcgen_key(key: &SigningKey) -> anyhow::Result<KeyPair> {
    let der = key.pkcs8().into();
    KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256)
        .map_err(|_| anyhow!("the key does not sign certificates"))
}

fn params(name: &[(&str, &str)], serial: u64) -> anyhow::Result<CertificateParams> {
    let mut subject = DistinguishedName::new();
    // DER holds the name from country down to common name, the reverse of how it is written.
    for (kind, value) in name.iter().rev() {
        let kind = match *kind {
            "CN" => DnType::CommonName,
            "OU" => DnType::OrganizationalUnitName,
            "O" => DnType::OrganizationName,
            _ => DnType::CountryName,
        };
        subject.push(kind, *value);
    }
    let mut params = CertificateParams::new(Vec::new()).context("certificate")?;
    params.distinguished_name = subject;
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 1, 1);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_serial_number_comes_out() {
        let issuer = "CN=Ant Financial Certification Authority Class 2 R1 test,\
                      OU=Certification Authority test,O=Ant Financial test,C=CN";
        let got = serial_number(issuer, "42717148566940702771351790021258524976");
        assert_eq!(got, "e90dd23a37c5c7b616e003970817ff82");
    }
}
