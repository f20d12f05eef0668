//! Alipay's words for what became of a trade, and the facts made of them.

use tollgate_sdk::contract::types::{Fact, Fault, Money, PaymentStatus, RefundNews, Subject};

use crate::money;

/// What a trade's fields say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trade {
    /// Unpaid.
    Waiting,
    /// Paid, whatever was given back since.
    Paid,
    /// Closed before it was paid.
    Closed,
    /// Closed after it was paid: all of it was given back.
    Returned,
    /// A word that is not known here.
    Unknown,
}

impl Trade {
    /// Reads `trade_status`. `was_paid` tells the two meanings of TRADE_CLOSED apart: a time of payment, or money
    /// given back.
    pub fn of(trade_status: &str, was_paid: bool) -> Self {
        match trade_status {
            "WAIT_BUYER_PAY" => Self::Waiting,
            "TRADE_SUCCESS" | "TRADE_FINISHED" => Self::Paid,
            "TRADE_CLOSED" if was_paid => Self::Returned,
            "TRADE_CLOSED" => Self::Closed,
            _ => Self::Unknown,
        }
    }

    /// The contract's word.
    pub fn status(&self) -> PaymentStatus {
        match self {
            Self::Waiting => PaymentStatus::Pending,
            Self::Paid | Self::Returned => PaymentStatus::Succeeded,
            Self::Closed => PaymentStatus::Closed,
            Self::Unknown => PaymentStatus::Unknown,
        }
    }
}

/// News of a refund of ours; Alipay gives refunds no number of their own.
pub fn refund(news: tollgate_sdk::contract::types::RefundStatus, refund_ref: &str) -> Subject {
    Subject::Refund(RefundNews {
        status: news,
        refund_ref: Some(refund_ref.to_owned()),
        provider_refund_ref: None,
    })
}

/// Puts the amounts of a trade into a fact: what was taken, and what was given back of it. A trade that took nothing
/// has neither.
///
/// # Errors
/// `protocol` for a paid trade without a readable amount.
pub fn put_amounts(
    fact: &mut Fact,
    trade: &Trade,
    total_amount: Option<&str>,
    refund_fee: Option<&str>,
) -> Result<(), Fault> {
    if !matches!(trade, Trade::Paid | Trade::Returned) {
        return Ok(());
    }
    let total = money::read("total_amount", total_amount.unwrap_or_default())?;
    let given_back = money::read_optional("refund_fee", refund_fee)?;
    fact.refunded = match trade {
        Trade::Returned => Some(given_back.unwrap_or_else(|| total.clone())),
        _ => given_back,
    };
    fact.amount = Some(total);
    Ok(())
}

/// The amount, if it is there and not zero.
pub fn is_positive(amount: Option<&Money>) -> bool {
    amount.is_some_and(|amount| amount.minor > 0)
}
