//! WeChat Pay's words for what became of an order or a refund, and the facts made of them.

use serde::Deserialize;
use tollgate_sdk::contract::types::{
    Fact, Fault, PaymentStatus, RefundNews, RefundStatus, Subject,
};
use tollgate_sdk::facts;

use crate::money;

/// An order as a query or a notification tells it.
#[derive(Debug, Deserialize)]
pub struct Transaction {
    /// The app that the order was made for.
    #[serde(default)]
    pub appid: String,
    /// The merchant.
    #[serde(default)]
    pub mchid: String,
    /// Our payment reference.
    pub out_trade_no: String,
    /// Theirs, once it is paid.
    #[serde(default)]
    pub transaction_id: String,
    /// See [`payment_status`].
    pub trade_state: String,
    #[serde(default)]
    trade_state_desc: String,
    #[serde(default)]
    success_time: String,
    amount: Option<TransactionAmount>,
}

#[derive(Debug, Deserialize)]
struct TransactionAmount {
    total: i64,
    currency: Option<String>,
    payer_total: Option<i64>,
}

/// The contract's word. `REFUND` says that something was given back of what was paid, not how much.
pub fn payment_status(trade_state: &str) -> PaymentStatus {
    match trade_state {
        "SUCCESS" | "REFUND" => PaymentStatus::Succeeded,
        "NOTPAY" | "USERPAYING" | "ACCEPT" => PaymentStatus::Pending,
        "CLOSED" | "REVOKED" => PaymentStatus::Closed,
        "PAYERROR" => PaymentStatus::Failed,
        _ => PaymentStatus::Unknown,
    }
}

/// The contract's word for a refund. `ABNORMAL` is stuck until somebody acts at the provider.
pub fn refund_status(status: &str) -> RefundStatus {
    match status {
        "SUCCESS" => RefundStatus::Succeeded,
        "PROCESSING" => RefundStatus::Pending,
        "CLOSED" => RefundStatus::Failed,
        "ABNORMAL" => RefundStatus::NeedsAction,
        _ => RefundStatus::Unknown,
    }
}

impl Transaction {
    /// The fact that it tells. Coupons make `payer_total` smaller; what the order was for is `total`.
    ///
    /// # Errors
    /// `protocol` for a paid order without an amount, or in another currency.
    pub fn fact(self) -> Result<Fact, Fault> {
        let status = payment_status(&self.trade_state);
        let mut fact =
            facts::fact(Subject::Payment(status), named(&self.out_trade_no), &self.trade_state);
        fact.provider_ref = filled(self.transaction_id);
        fact.reason = filled(self.trade_state_desc);
        fact.at = filled(self.success_time);
        for (name, value) in [("appid", self.appid), ("mchid", self.mchid)] {
            if !value.is_empty() {
                fact.seen.push((name.to_owned(), value));
            }
        }
        match self.amount {
            Some(amount) if status == PaymentStatus::Succeeded => {
                let total = money::read("amount.total", amount.total, amount.currency.as_deref())?;
                fact.amount = Some(total);
                if let Some(payer_total) = amount.payer_total {
                    fact.extra.push(("payer_total".to_owned(), payer_total.to_string()));
                }
            }
            None if status == PaymentStatus::Succeeded => {
                return Err(tollgate_sdk::fault::protocol("a paid order without `amount`"));
            }
            _ => {}
        }
        Ok(fact)
    }
}

/// A refund as the API tells it (`status`) or a notification (`refund_status`).
#[derive(Debug, Deserialize)]
pub struct Refunded {
    /// The merchant, in notifications.
    #[serde(default)]
    pub mchid: String,
    /// Our payment reference.
    #[serde(default)]
    pub out_trade_no: String,
    /// Our refund reference.
    pub out_refund_no: String,
    #[serde(default)]
    refund_id: String,
    #[serde(default)]
    transaction_id: String,
    #[serde(alias = "refund_status")]
    status: String,
    #[serde(default)]
    success_time: String,
    amount: RefundedAmount,
}

#[derive(Debug, Deserialize)]
struct RefundedAmount {
    refund: i64,
    currency: Option<String>,
}

impl Refunded {
    /// The fact that it tells.
    ///
    /// # Errors
    /// `protocol` for an amount in another currency.
    pub fn fact(self) -> Result<Fact, Fault> {
        let about = Subject::Refund(RefundNews {
            status: refund_status(&self.status),
            refund_ref: Some(self.out_refund_no),
            provider_refund_ref: filled(self.refund_id),
        });
        let mut fact = facts::fact(about, named(&self.out_trade_no), self.status);
        fact.provider_ref = filled(self.transaction_id);
        fact.at = filled(self.success_time);
        let currency = self.amount.currency.as_deref();
        fact.amount = Some(money::read("amount.refund", self.amount.refund, currency)?);
        if !self.mchid.is_empty() {
            fact.seen.push(("mchid".to_owned(), self.mchid));
        }
        Ok(fact)
    }
}

/// A number, if there is one.
fn named(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A fact about a refund of ours of which the provider only says that it does not do it.
pub fn refund(status: RefundStatus, refund_ref: &str, payment_ref: &str, raw: &str) -> Fact {
    let news =
        RefundNews { status, refund_ref: Some(refund_ref.to_owned()), provider_refund_ref: None };
    facts::fact(Subject::Refund(news), Some(payment_ref), raw)
}
