//! Amounts in minor units, their decimal text, and the service fee of a bill.
use serde::{Serialize, Serializer};

/// An amount in hundredths of the currency's unit (fen for CNY). Negative only in bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub i64);

impl Amount {
    /// Reads decimal text such as `0.01`, `12` or `12.5`.
    ///
    /// `None` for signs, spaces, exponents, more than two decimals or more than nine digits
    /// before the point.
    pub fn parse(text: &str) -> Option<Amount> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "00"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 9 || fraction.len() > 2 {
            return None;
        }
        let units: i64 = whole.parse().ok()?;
        let hundredths: i64 = fraction.parse().ok()?;
        let hundredths = if fraction.len() == 1 { hundredths * 10 } else { hundredths };
        Some(Amount(units * 100 + hundredths))
    }

    /// Decimal text with exactly two decimals and no thousands mark: `-0.01`, `12.50`.
    pub fn decimal(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let absolute = self.0.unsigned_abs();
        format!("{sign}{}.{:02}", absolute / 100, absolute % 100)
    }

    /// `per_mille` thousandths of the amount, rounded half up.
    pub fn fee(self, per_mille: i64) -> Amount {
        Amount((self.0 * per_mille + 500) / 1000)
    }

    /// Sum, or `None` on overflow.
    pub fn plus(self, other: Amount) -> Option<Amount> {
        self.0.checked_add(other.0).map(Amount)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.decimal())
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn decimal_text_is_read_exactly_or_refused() {
        let rows: [(&str, Option<i64>); 13] = [
            ("0.01", Some(1)),
            ("12", Some(1200)),
            ("12.5", Some(1250)),
            ("0.1", Some(10)),
            ("100000000.00", Some(10_000_000_000)),
            ("", None),
            (".5", None),
            ("5.", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("0.001", None),
            ("1 ", None),
        ];
        for (text, expected) in rows {
            assert_eq!(Amount::parse(text).map(|amount| amount.0), expected, "{text:?}");
        }
    }

    #[test]
    fn decimals_are_written_with_two_places() {
        let rows =
            [(0, "0.00"), (1, "0.01"), (-1, "-0.01"), (1250, "12.50"), (-123_456, "-1234.56")];
        for (minor, text) in rows {
            assert_eq!(Amount(minor).decimal(), text);
        }
    }

    #[test]
    fn the_fee_rounds_half_up() {
        let rows = [(83, 0), (84, 1), (250, 2), (10_000, 60), (1, 0)];
        for (amount, fee) in rows {
            assert_eq!(Amount(amount).fee(6).0, fee, "fee of {amount}");
        }
    }
}
