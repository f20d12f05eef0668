//! Who signs what: the RSA keys of both sides, and the provider's certificates.
use std::path::Path;
use std::sync::OnceLock;

use anyhow::anyhow;

use super::certificates::{Certificates, Rotated, Rotation};
use crate::rsa::{SigningKey, key};

/// Who the merchant and the provider are, and the keys they hold.
#[derive(Debug)]
pub struct Credentials {
    /// The merchant's application, 16 digits.
    pub app_id: String,
    /// The merchant, 16 digits that start with 2088.
    pub seller_id: String,
    /// The merchant's key: signs requests.
    pub merchant: SigningKey,
    /// The provider's key: signs replies, returns and notifications.
    pub provider: SigningKey,
    /// Both keys as certificates under a generated root.
    pub certificates: Certificates,
    root: SigningKey,
    rotated: OnceLock<Rotated>,
    forger: OnceLock<SigningKey>,
}

impl Credentials {
    /// Keys from `folder`, made on first use; without a folder they live in memory only.
    pub fn load(folder: Option<&Path>) -> anyhow::Result<Credentials> {
        let merchant = key(folder, "alipay-merchant.key")?;
        let provider = key(folder, "alipay-provider.key")?;
        let root = key(folder, "alipay-root.key")?;
        Ok(Credentials {
            app_id: "9021000122682882".to_owned(),
            seller_id: "2088721003899159".to_owned(),
            certificates: Certificates::issue(&root, &merchant, &provider)?,
            merchant,
            provider,
            root,
            rotated: OnceLock::new(),
            forger: OnceLock::new(),
        })
    }

    /// The key that the provider signs with now.
    pub fn signer(&self) -> &SigningKey {
        self.rotated.get().map_or(&self.provider, |rotated| &rotated.key)
    }

    /// The serial number of the certificate that the provider signs by now.
    pub fn signer_sn(&self) -> &str {
        self.rotated.get().map_or(&self.certificates.provider_sn, |rotated| &rotated.sn)
    }

    /// The provider's certificate of that serial number, PEM.
    pub fn certificate(&self, sn: &str) -> Option<&str> {
        let first = (&self.certificates.provider_sn, &self.certificates.provider_pem);
        let rotated = self.rotated.get().map(|rotated| (&rotated.sn, &rotated.pem));
        let mut all = rotated.into_iter().chain([first]);
        all.find(|(number, _)| *number == sn).map(|(_, pem)| pem.as_str())
    }

    /// Signs with a new key from now on, under a new certificate; once. Gives its serial number.
    pub fn rotate(&self, rotation: Rotation) -> anyhow::Result<&str> {
        let rotated = Rotated::issue(&self.root, rotation)?;
        self.rotated.set(rotated).map_err(|_| anyhow!("the certificate was replaced before"))?;
        Ok(self.signer_sn())
    }

    /// A key that the merchant does not know, made when the first forgery is asked for.
    pub fn forger(&self) -> anyhow::Result<&SigningKey> {
        if self.forger.get().is_none() {
            // Two first forgeries at once make two keys, and the first one set is used by both.
            let _ = self.forger.set(SigningKey::generate()?);
        }
        self.forger.get().ok_or_else(|| anyhow!("no forger's key"))
    }
}
