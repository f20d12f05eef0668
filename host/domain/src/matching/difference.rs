//! What a comparison finds to differ.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::ids::{PaymentId, RefundId};
use crate::matching::row::Place;
use crate::money::Money;
use crate::time::Moment;

/// How a bill and our records differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// The bill tells of money that our records do not have, or do not have as done.
    MissingHere,
    /// Our records have money as moved that the bill does not tell of.
    MissingThere,
    /// Another amount or currency.
    Amount,
    /// Done here, and not there.
    Status,
    /// Further apart in time than clocks explain.
    Time,
    /// Another fee than the one that is due.
    Fee,
    /// The bill tells of the same money once more.
    Duplicate,
}

impl DifferenceKind {
    /// Every kind.
    pub const ALL: [DifferenceKind; 7] = [
        DifferenceKind::MissingHere,
        DifferenceKind::MissingThere,
        DifferenceKind::Amount,
        DifferenceKind::Status,
        DifferenceKind::Time,
        DifferenceKind::Fee,
        DifferenceKind::Duplicate,
    ];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DifferenceKind::MissingHere => "missing_here",
            DifferenceKind::MissingThere => "missing_there",
            DifferenceKind::Amount => "amount",
            DifferenceKind::Status => "status",
            DifferenceKind::Time => "time",
            DifferenceKind::Fee => "fee",
            DifferenceKind::Duplicate => "duplicate",
        }
    }
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DifferenceKind {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<DifferenceKind, UnknownState> {
        DifferenceKind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for DifferenceKind {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<DifferenceKind, UnknownState> {
        text.parse()
    }
}

/// The record of ours that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A payment.
    Payment(PaymentId),
    /// A refund.
    Refund(RefundId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Payment(id) => id.fmt(f),
            Subject::Refund(id) => id.fmt(f),
        }
    }
}

/// What one side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Said {
    /// That this much moved.
    Amount(Money),
    /// That it stands so, in that side's words.
    Status(&'static str),
    /// That it happened then.
    Time(Moment),
    /// That the provider kept this much.
    Fee(Money),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Said::Amount(money) | Said::Fee(money) => money.fmt(f),
            Said::Status(word) => f.write_str(word),
            Said::Time(moment) => moment.fmt(f),
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Discrepancy {
    /// How.
    pub kind: DifferenceKind,
    /// Our record, if there is one.
    pub subject: Option<Subject>,
    /// The bill's row, if there is one.
    pub place: Option<Place>,
    /// What our records say.
    pub ours: Option<Said>,
    /// What the bill says.
    pub theirs: Option<Said>,
}

impl Discrepancy {
    /// The same for the same difference in the same bill, however often they are compared; another for each other.
    pub fn key(&self) -> String {
        let by_row = match self.kind {
            DifferenceKind::MissingHere | DifferenceKind::Duplicate => self.place,
            DifferenceKind::MissingThere
            | DifferenceKind::Amount
            | DifferenceKind::Status
            | DifferenceKind::Time
            | DifferenceKind::Fee => None,
        };
        match (by_row, self.subject, self.place) {
            (Some(place), _, _) => format!("{}/{place}", self.kind),
            (None, Some(subject), _) => format!("{}/{subject}", self.kind),
            (None, None, Some(place)) => format!("{}/{place}", self.kind),
            (None, None, None) => self.kind.to_string(),
        }
    }
}
