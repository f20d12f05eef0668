//! A line of a bill, in the gateway's words.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::money::Money;
use crate::time::Moment;

/// Where a row stands in its bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file of the bill, counted from 0.
    pub file: u32,
    /// The file's line, counted from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// Money taken from a payer.
    Payment,
    /// Money given back at the merchant's request.
    Refund,
    /// A payment undone by the provider.
    Reversal,
    /// Money that the payer's bank took back.
    Chargeback,
    /// A fee of its own.
    Fee,
    /// Money paid out to the merchant.
    Payout,
    /// A correction.
    Adjustment,
    /// Anything else.
    Other,
}

impl RowKind {
    /// Every kind.
    pub const ALL: [RowKind; 8] = [
        RowKind::Payment,
        RowKind::Refund,
        RowKind::Reversal,
        RowKind::Chargeback,
        RowKind::Fee,
        RowKind::Payout,
        RowKind::Adjustment,
        RowKind::Other,
    ];

    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            RowKind::Payment => "payment",
            RowKind::Refund => "refund",
            RowKind::Reversal => "reversal",
            RowKind::Chargeback => "chargeback",
            RowKind::Fee => "fee",
            RowKind::Payout => "payout",
            RowKind::Adjustment => "adjustment",
            RowKind::Other => "other",
        }
    }

    /// Whether such a row must have a counterpart among our payments or refunds.
    pub fn has_counterpart(self) -> bool {
        match self {
            RowKind::Payment | RowKind::Refund | RowKind::Reversal | RowKind::Chargeback => true,
            RowKind::Fee | RowKind::Payout | RowKind::Adjustment | RowKind::Other => false,
        }
    }
}

impl fmt::Display for RowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RowKind {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<RowKind, UnknownState> {
        RowKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for RowKind {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<RowKind, UnknownState> {
        text.parse()
    }
}

/// Whether a row's money has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowStatus {
    /// It has.
    Succeeded,
    /// Not yet.
    Pending,
    /// It has not, and will not.
    Failed,
}

impl RowStatus {
    /// Every status.
    pub const ALL: [RowStatus; 3] = [RowStatus::Succeeded, RowStatus::Pending, RowStatus::Failed];

    /// The word in rows.
    pub fn as_str(self) -> &'static str {
        match self {
            RowStatus::Succeeded => "succeeded",
            RowStatus::Pending => "pending",
            RowStatus::Failed => "failed",
        }
    }
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RowStatus {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<RowStatus, UnknownState> {
        RowStatus::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for RowStatus {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<RowStatus, UnknownState> {
        text.parse()
    }
}

/// A line of a bill. `gross` and `net` are positive towards the merchant, `fee` where the merchant bears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// Where it stands.
    pub place: Place,
    /// What it is about.
    pub kind: RowKind,
    /// Whether its money has moved.
    pub status: RowStatus,
    /// Our reference of the payment.
    pub payment_ref: Option<String>,
    /// The provider's reference of the payment.
    pub provider_ref: Option<String>,
    /// Our reference of the refund.
    pub refund_ref: Option<String>,
    /// The provider's reference of the refund.
    pub provider_refund_ref: Option<String>,
    /// What moved, in the payment's currency.
    pub gross: Money,
    /// What the provider kept, in the currency of the settlement.
    pub fee: Option<Money>,
    /// What the merchant got, in the currency of the settlement.
    pub net: Option<Money>,
    /// When.
    pub at: Option<Moment>,
    /// The payout or settlement that it is part of.
    pub batch: Option<String>,
}
