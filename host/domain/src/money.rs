//! Money: integer minor units of an ISO 4217 currency, checked arithmetic, no floats.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 currency that has minor units (or none): not gold, not a testing code.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals a major unit has: 2 for CNY, 0 for JPY, 3 for KWD (ISO 4217).
    pub fn exponent(self) -> u8 {
        self.0.exponent().and_then(|exponent| u8::try_from(exponent).ok()).unwrap_or(0)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Currency, MoneyError> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Currency)
            .ok_or(MoneyError::UnknownCurrency)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(code: String) -> Result<Currency, MoneyError> {
        code.parse()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why an amount is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code in capital letters, or one without minor units.
    #[error("must be an ISO 4217 currency code such as CNY")]
    UnknownCurrency,
    /// Two currencies in one sum.
    #[error("must be in the same currency")]
    CurrencyMismatch,
    /// Beyond 64 bits.
    #[error("is too large")]
    Overflow,
    /// Zero or less where a positive amount is due.
    #[error("must be greater than zero")]
    NotPositive,
}

/// An amount in minor units (fen, cents, yen) and its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Integer minor units.
    pub minor: i64,
    /// What they are units of.
    pub currency: Currency,
}

impl Money {
    /// An amount as it is.
    pub fn new(minor: i64, currency: Currency) -> Money {
        Money { minor, currency }
    }

    /// An amount that somebody is to pay or get: positive, and no more than 10^15 minor units, so that sums of
    /// a thousand of them still fit 64 bits.
    pub fn positive(minor: i64, currency: Currency) -> Result<Money, MoneyError> {
        const MOST: i64 = 1_000_000_000_000_000;
        if minor <= 0 {
            return Err(MoneyError::NotPositive);
        }
        if minor > MOST {
            return Err(MoneyError::Overflow);
        }
        Ok(Money { minor, currency })
    }

    /// The sum, if both are of one currency and it fits.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, currency: self.currency })
    }
}

impl fmt::Display for Money {
    /// For people: `12.50 CNY`, `1250 JPY`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = usize::from(self.currency.exponent());
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (major, minor) = digits.split_at(digits.len() - exponent);
        if exponent == 0 {
            write!(f, "{sign}{major} {}", self.currency)
        } else {
            write!(f, "{sign}{major}.{minor} {}", self.currency)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_read_amounts_by_the_currencys_exponent() {
        let rows = [
            (1250, "CNY", "12.50 CNY"),
            (5, "CNY", "0.05 CNY"),
            (-5, "CNY", "-0.05 CNY"),
            (1250, "JPY", "1250 JPY"),
            (1250, "KWD", "1.250 KWD"),
            (i64::MIN, "CNY", "-92233720368547758.08 CNY"),
        ];
        for (minor, code, text) in rows {
            assert_eq!(Money::new(minor, code.parse().unwrap()).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for code in ["", "cny", "CN", "XAU", "XXX", "ZZZ", "CNY "] {
            assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency), "{code:?}");
        }
    }

    #[test]
    fn what_is_owed_is_positive_and_bounded() {
        let cny = "CNY".parse().unwrap();
        assert_eq!(Money::positive(0, cny), Err(MoneyError::NotPositive));
        assert_eq!(Money::positive(-1, cny), Err(MoneyError::NotPositive));
        assert_eq!(Money::positive(i64::MAX, cny), Err(MoneyError::Overflow));
        assert!(Money::positive(1, cny).is_ok());
    }

    proptest! {
        #[test]
        fn sums_are_exact_or_refused(a: i64, b: i64) {
            let cny: Currency = "CNY".parse().unwrap();
            let sum = Money::new(a, cny).checked_add(Money::new(b, cny));
            prop_assert_eq!(sum.map(|m| m.minor).ok(), a.checked_add(b));
            let mixed = Money::new(a, cny).checked_add(Money::new(b, "JPY".parse().unwrap()));
            prop_assert_eq!(mixed, Err(MoneyError::CurrencyMismatch));
        }
    }
}
