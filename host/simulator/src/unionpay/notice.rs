//! Notifications and the payer's way back: the same fields, posted as a form.
use super::UnionPay;
use super::fields::{Fields, signed_text};
use super::transactions::{told, told_of_refund};
use super::wire::{distort, seal};
use crate::faults::{Hit, Verb};
use crate::ledger::{EventKind, Trade};
use crate::notifier::Message;
use crate::provider::WayBack;

/// Who signs a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// UnionPay.
    Provider,
    /// UnionPay, by the name that it has in its test system.
    TestName,
    /// The merchant's own key, under UnionPay's certificate.
    Forged,
    /// A merchant's key under his own certificate, which the same authority has signed.
    Merchant,
    /// Somebody under a certificate of his own making, in UnionPay's name.
    SelfSigned,
    /// Nobody.
    Unsigned,
}

/// A message before it is signed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it tells.
    pub fields: Fields,
    /// Who signs.
    pub seal: Seal,
    /// A second field of a name that is there already, outside of what is signed.
    pub doubled: Option<(String, String)>,
}

impl Notice {
    /// The truthful notification of what happened; none for what nobody is told of.
    pub fn of(unionpay: &UnionPay, trade: &Trade, kind: &EventKind) -> Option<Notice> {
        let mut fields = match kind {
            EventKind::Paid => told(trade),
            EventKind::Refunded(number) => told_of_refund(unionpay, trade, number)?,
            EventKind::Finished | EventKind::Closed => return None,
        };
        for (name, value) in [
            ("merId", unionpay.credentials.mer_id.as_str()),
            ("respCode", "00"),
            ("respMsg", "Success!"),
        ] {
            fields.insert(name.to_owned(), value.to_owned());
        }
        Some(Notice { fields, seal: Seal::Provider, doubled: None })
    }

    /// Bends the notification as the rules in force want it.
    pub fn with_faults(mut self, hit: &Hit) -> Notice {
        distort(&mut self.fields, hit);
        if hit.has(Verb::BadSignature) {
            self.seal = Seal::Forged;
        }
        if hit.has(Verb::Unsigned) {
            self.seal = Seal::Unsigned;
        }
        self
    }

    /// Signs it. Gives the form's pairs.
    pub fn sealed(&self, unionpay: &UnionPay) -> anyhow::Result<Vec<(String, String)>> {
        let own = &unionpay.credentials;
        let mut fields = self.fields.clone();
        match self.seal {
            Seal::TestName => {
                fields.insert("signPubKeyCert".to_owned(), own.test_name_pem.clone());
            }
            Seal::Merchant => {
                fields.insert("signPubKeyCert".to_owned(), own.merchant_pem.clone());
            }
            Seal::SelfSigned => {
                fields.insert("signPubKeyCert".to_owned(), own.stranger()?.1.clone());
            }
            Seal::Provider | Seal::Forged | Seal::Unsigned => {}
        }
        seal(unionpay, &mut fields);
        let by = match self.seal {
            Seal::Provider | Seal::TestName => None,
            Seal::Forged | Seal::Merchant => Some(&own.merchant),
            Seal::SelfSigned => Some(&own.stranger()?.0),
            Seal::Unsigned => {
                fields.remove("signature");
                None
            }
        };
        if let Some(key) = by {
            let signature = key.sign(signed_text(&fields).as_bytes());
            fields.insert("signature".to_owned(), signature);
        }
        Ok(fields.into_iter().chain(self.doubled.clone()).collect())
    }

    /// As a form that is posted.
    pub fn message(&self, unionpay: &UnionPay) -> anyhow::Result<Message> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(self.sealed(unionpay)?);
        let kind = "application/x-www-form-urlencoded;charset=UTF-8";
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Ok(Message { headers, body: form.finish() })
    }
}

/// How the payer's browser goes back after paying: it posts the fields there.
pub fn way_back(unionpay: &UnionPay, trade: &Trade) -> anyhow::Result<WayBack> {
    let Some(url) = trade.opening.return_url.clone() else {
        return Ok(WayBack::default());
    };
    let hit = unionpay.fault("return", Some(&trade.opening.reference));
    if hit.has(Verb::Drop) {
        return Ok(WayBack::default());
    }
    let notice =
        Notice::of(unionpay, trade, &EventKind::Paid).map(|notice| notice.with_faults(&hit));
    let form = notice.map(|notice| notice.sealed(unionpay)).transpose()?;
    Ok(WayBack { url: Some(url), form })
}
