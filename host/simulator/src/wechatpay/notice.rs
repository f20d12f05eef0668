//! Notifications: what they tell, sealed, and signed over the very bytes that are sent.
use serde_json::{Value, json};

use super::keys::Mode;
use super::orders::{china_rfc3339, transaction};
use super::{WechatPay, numbers, refunds};
use crate::faults::{Hit, Verb};
use crate::ledger::{EventKind, Trade};
use crate::notifier::Message;

/// Who signs a message, if anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The platform.
    Platform(Mode),
    /// A key that the merchant does not know, under the platform's name.
    Forged(Mode),
    /// Nobody: the headers are missing.
    Unsigned,
    /// The provider's own probe, to be refused.
    Probe(Mode),
    /// The platform under a serial that nobody has.
    OtherSerial(String),
}

/// A notification before it is sealed and signed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Its number, the same over repeats.
    pub id: String,
    /// What happened: `TRANSACTION.SUCCESS`, `REFUND.SUCCESS`.
    pub event_type: String,
    /// The content.
    pub content: Value,
    /// Who signs.
    pub seal: Seal,
    /// The algorithm that it names.
    pub algorithm: String,
    /// How many seconds ago it was signed.
    pub age_s: i64,
    kind: &'static str,
}

impl Notice {
    /// The truthful notification of what happened; none for what nobody is told of.
    pub fn of(wechat: &WechatPay, trade: &Trade, kind: &EventKind) -> Option<Notice> {
        let (event_type, original, content) = match kind {
            EventKind::Paid => ("TRANSACTION.SUCCESS", "transaction", transaction(wechat, trade)),
            EventKind::Refunded(number) => {
                ("REFUND.SUCCESS", "refund", refunded(wechat, trade, number)?)
            }
            EventKind::Finished | EventKind::Closed => return None,
        };
        let mode = match trade.opening.echo("mode") {
            Some("certificate") => Mode::Certificate,
            _ => Mode::PublicKey,
        };
        Some(Notice {
            id: numbers::notice_id(&wechat.chance),
            event_type: event_type.to_owned(),
            content,
            seal: Seal::Platform(mode),
            algorithm: "AEAD_AES_256_GCM".to_owned(),
            age_s: 0,
            kind: original,
        })
    }

    /// By what the platform signs for this merchant.
    pub fn mode(&self) -> Mode {
        match self.seal {
            Seal::Platform(mode) | Seal::Forged(mode) | Seal::Probe(mode) => mode,
            Seal::Unsigned | Seal::OtherSerial(_) => Mode::PublicKey,
        }
    }

    /// Bends the notification as the rules in force want it.
    pub fn with_faults(mut self, hit: &Hit) -> Notice {
        super::wire::distort(&mut self.content, hit);
        if hit.has(Verb::BadSignature) {
            self.seal = Seal::Forged(self.mode());
        }
        if hit.has(Verb::Unsigned) {
            self.seal = Seal::Unsigned;
        }
        self
    }

    /// Seals the content and signs the whole.
    pub fn seal(&self, wechat: &WechatPay) -> anyhow::Result<Message> {
        let nonce = wechat.chance.alphanumeric(12);
        let own = &wechat.credentials;
        let ciphertext = own.seal(&nonce, self.kind, &self.content.to_string())?;
        let body = json!({
            "id": self.id, "create_time": china_rfc3339(wechat.now()),
            "event_type": self.event_type, "resource_type": "encrypt-resource",
            "summary": "模拟通知",
            "resource": {
                "original_type": self.kind, "algorithm": self.algorithm,
                "ciphertext": ciphertext, "nonce": nonce, "associated_data": self.kind,
            },
        })
        .to_string();
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "Mozilla/4.0".to_owned()),
        ];
        if self.seal != Seal::Unsigned {
            headers.extend(self.signature(wechat, &body)?);
        }
        Ok(Message { headers, body })
    }

    fn signature(&self, wechat: &WechatPay, body: &str) -> anyhow::Result<Vec<(String, String)>> {
        let own = &wechat.credentials;
        let seconds = wechat.till.clock.now().as_second() - self.age_s;
        let nonce = wechat.chance.alphanumeric(32);
        let text = format!("{seconds}\n{nonce}\n{body}\n");
        let (mut serial, mut signature) = own.sign(self.mode(), text.as_bytes())?;
        match &self.seal {
            Seal::Forged(_) => signature = own.forger()?.sign(text.as_bytes()),
            Seal::Probe(_) => signature = format!("WECHATPAY/SIGNTEST/{signature}"),
            Seal::OtherSerial(other) => other.clone_into(&mut serial),
            Seal::Platform(_) | Seal::Unsigned => {}
        }
        let named = |name: &str, value: String| (name.to_owned(), value);
        Ok(vec![
            named("wechatpay-timestamp", seconds.to_string()),
            named("wechatpay-nonce", nonce),
            named("wechatpay-signature", signature),
            named("wechatpay-serial", serial),
            named("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048".to_owned()),
        ])
    }
}

/// A refund's content: another shape than the API's, with `refund_status` and without an app.
fn refunded(wechat: &WechatPay, trade: &Trade, number: &str) -> Option<Value> {
    let refund = trade.refund(number)?;
    let object = refunds::object(wechat, trade, refund, "SUCCESS");
    Some(json!({
        "mchid": wechat.credentials.mchid, "out_trade_no": trade.opening.reference,
        "transaction_id": trade.provider_reference, "out_refund_no": number,
        "refund_id": object["refund_id"], "refund_status": "SUCCESS",
        "success_time": china_rfc3339(refund.at), "user_received_account": "支付用户零钱",
        "amount": {
            "total": trade.opening.amount.0, "refund": refund.amount.0,
            "payer_total": object["amount"]["payer_total"],
            "payer_refund": object["amount"]["payer_refund"],
        },
    }))
}
