//! What a bill says of itself, compared with the rows that came.

use std::collections::BTreeMap;

use crate::matching::row::{RowKind, StatementRow};
use crate::money::{Currency, Money};

/// A total as a file states it. What is none is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatedTotal {
    /// Of rows of this kind, or of all.
    pub kind: Option<RowKind>,
    /// How many rows.
    pub count: Option<u64>,
    /// What their `gross` adds up to in its currency.
    pub gross: Option<Money>,
    /// What their `fee` adds up to in its currency.
    pub fee: Option<Money>,
}

/// A file whose totals are not those of its rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file states {what} {stated}, its rows have {counted}")]
pub struct TotalsOff {
    /// Of what: `payment rows`, `gross of refund rows`…
    pub what: String,
    /// What the file states.
    pub stated: String,
    /// What its rows add up to.
    pub counted: String,
}

/// Counts and adds up a file's rows.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<RowKind, u64>,
    gross: BTreeMap<(RowKind, &'static str), i128>,
    fees: BTreeMap<(RowKind, &'static str), i128>,
}

impl Tally {
    /// Adds a row.
    pub fn add(&mut self, row: &StatementRow) {
        *self.counts.entry(row.kind).or_default() += 1;
        add(&mut self.gross, row.kind, row.gross);
        if let Some(fee) = row.fee {
            add(&mut self.fees, row.kind, fee);
        }
    }

    /// How many rows there were.
    pub fn rows(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Compares with what the file states.
    ///
    /// # Errors
    /// The first total that is off.
    pub fn check(&self, stated: &[StatedTotal]) -> Result<(), TotalsOff> {
        for total in stated {
            let name = total.kind.map_or("", RowKind::as_str);
            let rows = format!("{name} rows");
            let rows = rows.trim_start();
            if let Some(count) = total.count {
                let counted = match total.kind {
                    Some(kind) => self.counts.get(&kind).copied().unwrap_or(0),
                    None => self.rows(),
                };
                if count != counted {
                    let (stated, counted) = (count.to_string(), counted.to_string());
                    return Err(TotalsOff { what: rows.to_owned(), stated, counted });
                }
            }
            let sums = [("gross", total.gross, &self.gross), ("fee", total.fee, &self.fees)];
            for (column, stated, counted) in sums {
                let Some(stated) = stated else { continue };
                let counted = sum(counted, total.kind, stated.currency);
                if i128::from(stated.minor) != counted {
                    let what = format!("{column} of {rows}");
                    let counted = show(counted, stated.currency);
                    return Err(TotalsOff { what, stated: stated.to_string(), counted });
                }
            }
        }
        Ok(())
    }
}

fn add(sums: &mut BTreeMap<(RowKind, &'static str), i128>, kind: RowKind, money: Money) {
    // 2^64 rows of 2^63 minor units fit 128 bits.
    *sums.entry((kind, money.currency.code())).or_default() += i128::from(money.minor);
}

fn sum(
    sums: &BTreeMap<(RowKind, &'static str), i128>,
    kind: Option<RowKind>,
    currency: Currency,
) -> i128 {
    let is_meant =
        |of: RowKind, code: &str| kind.is_none_or(|kind| kind == of) && code == currency.code();
    sums.iter().filter(|((of, code), _)| is_meant(*of, code)).map(|(_, sum)| *sum).sum()
}

fn show(minor: i128, currency: Currency) -> String {
    match i64::try_from(minor) {
        Ok(minor) => Money::new(minor, currency).to_string(),
        Err(_) => format!("{minor} minor units of {currency}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::row;

    fn stated(kind: Option<RowKind>, count: u64, gross: i64) -> StatedTotal {
        let cny = "CNY".parse().unwrap();
        StatedTotal { kind, count: Some(count), gross: Some(Money::new(gross, cny)), fee: None }
    }

    #[test]
    fn each_total_is_compared_with_its_rows() {
        let mut tally = Tally::default();
        for (line, kind, gross) in
            [(1, RowKind::Payment, 100), (2, RowKind::Payment, 250), (3, RowKind::Refund, -30)]
        {
            let mut row = row(line, gross);
            row.kind = kind;
            tally.add(&row);
        }
        let payment = Some(RowKind::Payment);
        let rows = [
            (vec![], None),
            (vec![stated(payment, 2, 350), stated(Some(RowKind::Refund), 1, -30)], None),
            (vec![stated(None, 3, 320)], None),
            (vec![stated(Some(RowKind::Fee), 0, 0)], None),
            (
                vec![stated(payment, 3, 350)],
                Some("the file states payment rows 3, its rows have 2"),
            ),
            (
                vec![stated(payment, 2, 351)],
                Some("the file states gross of payment rows 3.51 CNY, its rows have 3.50 CNY"),
            ),
            (vec![stated(None, 2, 320)], Some("the file states rows 2, its rows have 3")),
        ];
        for (stated, reason) in rows {
            let found = tally.check(&stated).err().map(|off| off.to_string());
            assert_eq!(found.as_deref(), reason, "{stated:?}");
        }
    }

    #[test]
    fn another_currency_is_another_sum() {
        let mut tally = Tally::default();
        tally.add(&row(1, 100));
        let jpy = Money::new(100, "JPY".parse().unwrap());
        let total = StatedTotal { kind: None, count: None, gross: Some(jpy), fee: None };
        assert!(tally.check(&[total]).is_err());
    }

    #[test]
    fn sums_beyond_64_bits_are_no_surprise() {
        let mut tally = Tally::default();
        tally.add(&row(1, i64::MAX));
        tally.add(&row(2, i64::MAX));
        assert!(tally.check(&[stated(None, 2, -2)]).is_err());
    }
}
