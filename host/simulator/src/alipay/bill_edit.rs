//! Planted differences: edits that bend a bill away from the ledger.
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::bill::{PAYMENT, Period, Row, payment_fee};
use crate::clock::later;
use crate::money::Amount;

/// What an edit does to the rows of one trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Leaves the row out.
    DropRow,
    /// Writes another amount (`value`, in yuan).
    ChangeAmount,
    /// Adds a payment of `value` yuan at noon that the ledger does not know.
    AddRow,
    /// Writes the row twice.
    DuplicateRow,
    /// Writes another fee (`value`, in yuan, as the column shows it).
    ChangeFee,
    /// Writes another kind of business (`value`).
    ChangeStatus,
    /// Moves the completion time by `value` seconds; the row stays in its bill.
    ShiftTime,
}

/// One planted difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    op: Op,
    out_trade_no: String,
    /// Only the row of this refund; without it, only the payment's row.
    #[serde(default)]
    out_request_no: Option<String>,
    #[serde(default)]
    value: Option<String>,
    /// The day (`yyyy-MM-dd`) of an added row; without it, it is in every bill.
    #[serde(default)]
    day: Option<String>,
}

impl Edit {
    /// Says what is wrong with an edit, before it is kept.
    pub fn check(&self) -> Result<(), String> {
        let value = self.value.as_deref();
        let fine = match self.op {
            Op::DropRow | Op::DuplicateRow => true,
            Op::ChangeAmount | Op::ChangeFee => value.and_then(signed_amount).is_some(),
            Op::AddRow => value.and_then(Amount::parse).is_some(),
            Op::ChangeStatus => value.is_some(),
            Op::ShiftTime => value.is_some_and(|value| value.parse::<i64>().is_ok()),
        };
        let day_is_fine = self.day.as_deref().is_none_or(|day| Period::parse(day).is_some());
        match (fine, day_is_fine) {
            (true, true) => Ok(()),
            (false, _) => Err(format!("value: {:?} does not fit {:?}", self.value, self.op)),
            (_, false) => Err("day: not yyyy-MM-dd".to_owned()),
        }
    }

    fn means(&self, row: &Row) -> bool {
        row.out_trade_no == self.out_trade_no
            && row.request_no == self.out_request_no.as_deref().unwrap_or("")
    }

    /// The rows that are written in place of `row`: none, one or two.
    pub fn apply(&self, mut row: Row) -> Vec<Row> {
        if !self.means(&row) {
            return vec![row];
        }
        let value = self.value.as_deref().unwrap_or_default();
        match self.op {
            Op::AddRow => {}
            Op::DropRow => return Vec::new(),
            Op::DuplicateRow => return vec![row.clone(), row],
            Op::ChangeAmount => row.amount = signed_amount(value).unwrap_or(row.amount),
            Op::ChangeFee => row.fee = signed_amount(value).unwrap_or(row.fee),
            Op::ChangeStatus => row.kind = value.to_owned(),
            Op::ShiftTime => {
                let seconds = value.parse().unwrap_or(0);
                row.completed_at = later(row.completed_at, SignedDuration::from_secs(seconds));
            }
        }
        vec![row]
    }

    /// The row that an edit adds to the bill of `period`.
    pub fn added(&self, period: &Period) -> Option<Row> {
        if self.op != Op::AddRow {
            return None;
        }
        let day = match self.day.as_deref() {
            Some(day) => Period::parse(day)?,
            None => period.clone(),
        };
        let at = later(day.from, SignedDuration::from_hours(12));
        let amount = self.value.as_deref().and_then(Amount::parse)?;
        period.has(at).then(|| Row {
            trade_no: format!("{:0<28}", format!("{}22001", &day.label)),
            out_trade_no: self.out_trade_no.clone(),
            kind: PAYMENT.to_owned(),
            subject: "Unknown".to_owned(),
            created_at: at,
            completed_at: at,
            amount,
            request_no: String::new(),
            fee: payment_fee(amount),
            remark: String::new(),
        })
    }
}

fn signed_amount(text: &str) -> Option<Amount> {
    match text.strip_prefix('-') {
        Some(text) => Amount::parse(text).map(|amount| Amount(-amount.0)),
        None => Amount::parse(text),
    }
}
