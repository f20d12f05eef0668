//! Planted differences: edits that bend a bill away from the ledger, whatever its format.
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::money::Amount;

/// What an edit does to the rows of one trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Leaves the row out.
    DropRow,
    /// Writes another amount (`value`).
    ChangeAmount,
    /// Adds a payment of `value` at noon that the ledger does not know.
    AddRow,
    /// Writes the row twice.
    DuplicateRow,
    /// Writes another fee (`value`, as the column shows it).
    ChangeFee,
    /// Writes another kind of business or status (`value`).
    ChangeStatus,
    /// Moves the completion time by `value` seconds; the row stays in its bill.
    ShiftTime,
}

/// One planted difference. Amounts are decimal text of two places, or of as many as the row's currency has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// What it does.
    pub op: Op,
    /// The merchant's number of the trade.
    pub reference: String,
    /// Only the row of this refund; without it, only the payment's row.
    #[serde(default)]
    pub refund_reference: Option<String>,
    /// Detail of the operation.
    #[serde(default)]
    pub value: Option<String>,
    /// The day (`yyyy-MM-dd`) of an added row; without it, it is in every bill.
    #[serde(default)]
    pub day: Option<Date>,
}

/// A line of a bill that edits can bend.
pub trait BillRow: Clone {
    /// The merchant's number of the trade.
    fn reference(&self) -> &str;
    /// The merchant's number of the refund; none: the payment's row.
    fn refund_reference(&self) -> Option<&str>;
    /// Reads an amount in the row's currency; may be negative.
    fn read(&self, value: &str) -> Option<Amount>;
    /// Writes another amount.
    fn set_amount(&mut self, amount: Amount);
    /// Writes another fee.
    fn set_fee(&mut self, fee: Amount);
    /// Writes another kind of business or status.
    fn set_status(&mut self, status: &str);
    /// Moves the completion time.
    fn shift_s(&mut self, seconds: i64);
}

impl Edit {
    /// Says what is wrong with an edit, before it is kept.
    pub fn check(&self) -> Result<(), String> {
        let value = self.value.as_deref();
        let signed = |value: &str| Amount::parse_signed(value, 3);
        let fine = match self.op {
            Op::DropRow | Op::DuplicateRow => true,
            Op::ChangeAmount | Op::ChangeFee => value.and_then(signed).is_some(),
            Op::AddRow => value.and_then(|value| Amount::parse_in(value, 3)).is_some(),
            Op::ChangeStatus => value.is_some(),
            Op::ShiftTime => value.is_some_and(|value| value.parse::<i64>().is_ok()),
        };
        let said = || format!("value: {:?} does not fit {:?}", self.value, self.op);
        fine.then_some(()).ok_or_else(said)
    }

    fn means<R: BillRow>(&self, row: &R) -> bool {
        row.reference() == self.reference
            && row.refund_reference() == self.refund_reference.as_deref()
    }

    /// The rows that are written in place of `row`: none, one or two.
    pub fn apply<R: BillRow>(&self, mut row: R) -> Vec<R> {
        if !self.means(&row) {
            return vec![row];
        }
        let value = self.value.as_deref().unwrap_or_default();
        match self.op {
            Op::AddRow => {}
            Op::DropRow => return Vec::new(),
            Op::DuplicateRow => return vec![row.clone(), row],
            Op::ChangeAmount => {
                if let Some(amount) = row.read(value) {
                    row.set_amount(amount);
                }
            }
            Op::ChangeFee => {
                if let Some(fee) = row.read(value) {
                    row.set_fee(fee);
                }
            }
            Op::ChangeStatus => row.set_status(value),
            Op::ShiftTime => row.shift_s(value.parse().unwrap_or(0)),
        }
        vec![row]
    }

    /// The trade, amount and day of a row that is added; the day is that of any bill without one.
    pub fn addition(&self, bill_day: Date) -> Option<(&str, &str, Date)> {
        let day = self.day.unwrap_or(bill_day);
        let value = self.value.as_deref()?;
        (self.op == Op::AddRow).then_some((self.reference.as_str(), value, day))
    }
}
