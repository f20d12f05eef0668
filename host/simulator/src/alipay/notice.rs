//! Notifications and browser returns: their fields, and every way in which a test wants them bent.
use jiff::Timestamp;

use super::canonical::{self, Charset, Field};
use super::keys::Credentials;
use crate::clock::{china_text, in_china};
use crate::faults::{Hit, Verb};
use crate::ledger::{EventKind, Standing, Trade};
use crate::money::Amount;

/// The header that Alipay really sends: `text/html` in it is an illegal media type parameter.
pub const CONTENT_TYPE: &str = "application/x-www-form-urlencoded; text/html; charset=utf-8";

/// The payer of every trade.
pub const BUYER_ID: &str = "2088722003899169";
/// How the payer's name is shown.
pub const BUYER_LOGON_ID: &str = "159****5620";

/// Who signs a message, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// The provider, over everything but `sign` and `sign_type`.
    V1,
    /// The provider, with `sign_type` in the text.
    V2,
    /// A key that the merchant does not know.
    Forged,
    /// Nobody.
    Unsigned,
}

/// What a notification tells, as the ledger knows it.
#[derive(Debug)]
pub struct Truth<'a> {
    /// The trade after what happened.
    pub trade: &'a Trade,
    /// What happened.
    pub kind: &'a EventKind,
    /// Who speaks to whom.
    pub credentials: &'a Credentials,
    /// The notification's number, the same over repeats.
    pub notify_id: String,
    /// Now.
    pub now: Timestamp,
}

/// A notification before it is signed.
#[derive(Clone, Debug)]
pub struct Notice {
    charset: Charset,
    fields: Vec<(String, String)>,
    seal: Seal,
    doubled: Option<(String, String)>,
}

/// The wire's word for where a trade stands.
pub fn trade_status(standing: Standing) -> &'static str {
    match standing {
        Standing::Prepared | Standing::Waiting => "WAIT_BUYER_PAY",
        Standing::Paid => "TRADE_SUCCESS",
        Standing::Finished => "TRADE_FINISHED",
        Standing::Closed => "TRADE_CLOSED",
    }
}

/// `fund_bill_list`: the whole amount from the payer's balance.
pub fn fund_bill_list(amount: Amount) -> String {
    format!("[{{\"amount\":\"{}\",\"fundChannel\":\"ALIPAYACCOUNT\"}}]", amount.decimal())
}

impl Notice {
    /// The truthful notification of what happened.
    pub fn of(truth: &Truth<'_>) -> Notice {
        let (trade, credentials) = (truth.trade, truth.credentials);
        let opening = &trade.opening;
        let charset = Charset::of(opening);
        let amount = opening.amount.decimal();
        let mut notice = Notice { charset, fields: Vec::new(), seal: Seal::V1, doubled: None };
        let created = trade.opened_at.unwrap_or(trade.prepared_at);
        notice.put("gmt_create", china_text(created));
        notice.put("charset", charset.name());
        notice.put("notify_time", china_text(truth.now));
        notice.put("subject", &opening.subject);
        notice.put("buyer_id", BUYER_ID);
        notice.put("buyer_logon_id", BUYER_LOGON_ID);
        notice.put("version", "1.0");
        notice.put("notify_id", &truth.notify_id);
        notice.put("notify_type", "trade_status_sync");
        notice.put("out_trade_no", &opening.reference);
        notice.put("total_amount", &amount);
        notice.put("trade_status", trade_status(trade.standing));
        notice.put("trade_no", &trade.provider_reference);
        notice.put("auth_app_id", &credentials.app_id);
        notice.put("app_id", &credentials.app_id);
        notice.put("seller_id", &credentials.seller_id);
        notice.put("sign_type", "RSA2");
        for name in ["body", "passback_params"] {
            if let Some(text) = opening.echo(name) {
                notice.put(name, text);
            }
        }
        if let Some(paid_at) = trade.paid_at {
            notice.paid(paid_at, opening.amount);
        }
        if let Some(closed_at) = trade.closed_at {
            notice.put("gmt_close", china_text(closed_at));
        }
        if let EventKind::Refunded(request_no) = truth.kind {
            notice.refunded(trade, request_no);
        }
        notice
    }

    fn paid(&mut self, paid_at: Timestamp, amount: Amount) {
        self.put("gmt_payment", china_text(paid_at));
        self.put("fund_bill_list", fund_bill_list(amount));
        for name in ["receipt_amount", "invoice_amount", "buyer_pay_amount"] {
            self.put(name, amount.decimal());
        }
        self.put("point_amount", "0.00");
    }

    fn refunded(&mut self, trade: &Trade, request_no: &str) {
        self.put("refund_fee", trade.refunded().decimal());
        self.put("out_biz_no", request_no);
        if let Some(refund) = trade.refund(request_no) {
            let wall = in_china(refund.at);
            self.put("gmt_refund", wall.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string());
        }
    }

    /// Sets a field, in place if it is there.
    pub fn put(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// Takes a field away.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(known, _)| known != name);
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Chooses who signs.
    pub fn sealed_by(&mut self, seal: Seal) {
        self.seal = seal;
    }

    /// Sends one field a second time, outside of what is signed.
    pub fn double(&mut self, name: &str, value: &str) {
        self.doubled = Some((name.to_owned(), value.to_owned()));
    }

    /// Makes all amounts of the payment `value`, or one minor unit more than they are.
    pub fn lie_about_amount(&mut self, value: Option<&str>) {
        for name in ["total_amount", "receipt_amount", "invoice_amount", "buyer_pay_amount"] {
            if let Some(truth) = self.get(name).and_then(Amount::parse) {
                let lie = value.map_or_else(|| Amount(truth.0 + 1).decimal(), str::to_owned);
                self.put(name, lie);
            }
        }
    }

    /// Bends the notification as the rules in force want it.
    pub fn with_faults(mut self, hit: &Hit) -> Notice {
        if let Some(rule) = hit.get(Verb::WrongAmount) {
            self.lie_about_amount(rule.value.as_deref());
        }
        if let Some(rule) = hit.get(Verb::LieStatus) {
            self.put("trade_status", rule.value.as_deref().unwrap_or("TRADE_CLOSED"));
        }
        if let Some(rule) = hit.get(Verb::Set) {
            for (name, value) in &rule.set {
                self.put(name, value);
            }
        }
        if hit.has(Verb::BadSignature) {
            self.seal = Seal::Forged;
        }
        if hit.has(Verb::Unsigned) {
            self.seal = Seal::Unsigned;
        }
        self
    }

    /// Signs it and writes it as a form body.
    pub fn seal(&self, credentials: &Credentials) -> anyhow::Result<String> {
        let mut fields: Vec<Field> = self
            .fields
            .iter()
            .map(|(name, value)| Field { name: name.clone(), value: self.charset.encode(value) })
            .collect();
        let signature = match self.seal {
            Seal::V1 => credentials.signer().sign(&canonical::notice_text(&fields)),
            Seal::V2 => credentials.signer().sign(&canonical::request_text(&fields)),
            Seal::Forged => credentials.forger()?.sign(&canonical::notice_text(&fields)),
            Seal::Unsigned => String::new(),
        };
        if self.seal != Seal::Unsigned {
            fields.push(Field { name: "sign".to_owned(), value: signature.into_bytes() });
        }
        if let Some((name, value)) = &self.doubled {
            fields.push(Field { name: name.clone(), value: value.clone().into_bytes() });
        }
        Ok(canonical::write_form(&fields))
    }
}

/// The address to which the payer's browser returns: the shop's own, with signed parameters.
pub fn return_address(
    trade: &Trade,
    credentials: &Credentials,
    now: Timestamp,
    hit: &Hit,
) -> anyhow::Result<Option<String>> {
    let Some(address) = &trade.opening.return_url else {
        return Ok(None);
    };
    let charset = Charset::of(&trade.opening);
    let mut notice = Notice { charset, fields: Vec::new(), seal: Seal::V1, doubled: None };
    notice.put("charset", charset.name());
    notice.put("out_trade_no", &trade.opening.reference);
    notice.put("method", format!("{}.return", trade.opening.product));
    notice.put("total_amount", trade.opening.amount.decimal());
    notice.put("trade_no", &trade.provider_reference);
    notice.put("auth_app_id", &credentials.app_id);
    notice.put("version", "1.0");
    notice.put("app_id", &credentials.app_id);
    notice.put("sign_type", "RSA2");
    notice.put("seller_id", &credentials.seller_id);
    notice.put("timestamp", china_text(now));
    let query = notice.with_faults(hit).seal(credentials)?;
    let glue = if address.contains('?') { '&' } else { '?' };
    Ok(Some(format!("{address}{glue}{query}")))
}
