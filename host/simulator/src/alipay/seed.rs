//! Blocks of rows that exist in bills only, so that a bill of a million rows takes no memory.
use jiff::{SignedDuration, Timestamp};

use super::bill::{PAYMENT, Row, payment_fee};
use crate::clock::{in_china, later};
use crate::money::Amount;

/// Amounts of a block go up by one minor unit and start again after this many rows.
const AMOUNT_CYCLE: u64 = 9_973;
const DAY_MS: u64 = 86_400_000;

/// `count` payments, spread evenly over a day.
#[derive(Clone, Debug)]
pub struct Block {
    /// First moment of the day.
    pub from: Timestamp,
    /// How many rows.
    pub count: u64,
    /// The merchant's numbers are this and ten digits.
    pub prefix: String,
    /// Amount of the first row.
    pub amount: Amount,
}

impl Block {
    /// The rows, made one at a time.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let day = in_china(self.from).strftime("%Y%m%d").to_string();
        (0..self.count).map(move |index| {
            let ms = u128::from(index) * u128::from(DAY_MS) / u128::from(self.count.max(1));
            let span = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0));
            let at = later(self.from, span);
            let step = i64::try_from(index % AMOUNT_CYCLE).unwrap_or(0);
            let amount = Amount(self.amount.0 + step);
            Row {
                trade_no: format!("{day}22001{:015}", 900_000_000_000_000 + index),
                out_trade_no: format!("{}{index:010}", self.prefix),
                kind: PAYMENT.to_owned(),
                subject: "Seeded".to_owned(),
                created_at: at,
                completed_at: at,
                amount,
                request_no: String::new(),
                fee: payment_fee(amount),
                remark: "Seeded".to_owned(),
            }
        })
    }
}
