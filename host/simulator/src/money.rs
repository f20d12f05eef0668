//! Amounts in minor units, their decimal text, and the service fee of a bill.
/// An ISO 4217 currency, with the decimals that the provider gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    /// Three capital letters.
    pub code: String,
    /// How many decimals a minor unit has: 2 for CNY, 0 for JPY.
    pub exponent: u8,
}

/// An amount in minor units of its currency (fen for CNY). Negative only in bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub i64);

impl Amount {
    /// Reads decimal text of at most two decimals, such as `0.01`, `12` or `12.5`, as hundredths.
    ///
    /// `None` for signs, spaces, exponents, more decimals or more than nine digits before the point.
    pub fn parse(text: &str) -> Option<Amount> {
        Amount::parse_in(text, 2)
    }

    /// The same in minor units of a currency with so many decimals.
    pub fn parse_in(text: &str, exponent: u8) -> Option<Amount> {
        let places = usize::from(exponent);
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 9 {
            return None;
        }
        if text.contains('.') && fraction.len() > places {
            return None;
        }
        let fraction = if places == 0 { "" } else { fraction };
        format!("{whole}{fraction:0<places$}").parse().ok().map(Amount)
    }

    /// The same with a minus sign before it or none.
    pub fn parse_signed(text: &str, exponent: u8) -> Option<Amount> {
        match text.strip_prefix('-') {
            Some(text) => Amount::parse_in(text, exponent).map(|amount| Amount(-amount.0)),
            None => Amount::parse_in(text, exponent),
        }
    }

    /// Decimal text with exactly two decimals and no thousands mark: `-0.01`, `12.50`.
    pub fn decimal(self) -> String {
        self.decimal_in(2)
    }

    /// The same with the decimals of a currency.
    pub fn decimal_in(self, exponent: u8) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let absolute = self.0.unsigned_abs();
        let places = usize::from(exponent);
        let scale = 10_u64.pow(u32::from(exponent));
        match places {
            0 => format!("{sign}{absolute}"),
            _ => format!("{sign}{}.{:0places$}", absolute / scale, absolute % scale),
        }
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
    fn a_currency_has_its_own_decimals() {
        let rows = [
            ("12", 0, Some(12), "12"),
            ("12.5", 3, Some(12_500), "12.500"),
            ("0.01", 2, Some(1), "0.01"),
            ("1.5", 0, None, ""),
            ("1.0", 0, None, ""),
            ("0.0001", 3, None, ""),
        ];
        for (text, exponent, minor, written) in rows {
            let read = Amount::parse_in(text, exponent);
            assert_eq!(read.map(|amount| amount.0), minor, "{text} of {exponent}");
            if let Some(amount) = read {
                assert_eq!(amount.decimal_in(exponent), written);
                assert_eq!(
                    Amount::parse_signed(&format!("-{text}"), exponent),
                    Some(Amount(-amount.0))
                );
            }
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
