//! Matching a bill with our records.
//!
//! [`Matcher`] is given our records and then the bill's rows, one at a time and in any order, and says what matches
//! and what differs. Rows are never kept: a record remembers the one row that speaks for it, so that memory grows with
//! the records of a period, however long its bill is. [`Period`] says which moments a bill is about, [`Tally`] compares
//! a bill with the totals that it states itself.
//!
//! The rules, in the order in which they apply:
//! - A row finds its record by our reference, else by the provider's; a refund by its own references, and only if the
//!   row names no other payment than the refund's.
//! - Several rows for one record: the one that agrees best speaks for it (done, same provider's reference, same
//!   amount, first in the bill), each other row that moved money is a `duplicate`. So is a row of a record that an
//!   earlier bill has settled.
//! - Money moved there that is not known here, or not done here, is `missing_here`; money moved here within the period
//!   that no row tells of is `missing_there`, unless it is so close to the period's end that the next bill may tell.
//! - Done here and not there is `status`. Then `amount`, `time` and `fee` are compared. A record is matched if its
//!   status and amount agree: another time or fee is listed, and the money is accounted for all the same.

mod difference;
mod index;
mod matcher;
mod period;
mod record;
mod row;
mod totals;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use difference::{DifferenceKind, Discrepancy, Said, Subject};
pub use matcher::{Finding, Match, Matcher, Tolerance};
pub use period::{Period, PeriodError, PeriodKind, Window, Zone};
pub use record::{FeeTerms, OurPayment, OurRefund};
pub use row::{Place, RowKind, RowStatus, StatementRow};
pub use totals::{StatedTotal, Tally, TotalsOff};
