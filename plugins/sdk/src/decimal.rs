//! Exact decimal money text (`"0.01"`) to integer minor units and back. What cannot be held exactly is refused.

use std::fmt;

/// Text that is not an exact amount in the currency's minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalError {
    /// Not `-?digits[.digits]`: a sign, a thousands mark, an exponent, a missing digit.
    Malformed,
    /// More places than the currency has, and not all of them zero.
    TooPrecise,
    /// Beyond 64 bits.
    TooLarge,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a decimal amount",
            Self::TooPrecise => "more places than the currency has",
            Self::TooLarge => "an amount beyond 64 bits",
        })
    }
}

impl std::error::Error for DecimalError {}

/// Reads an amount in minor units of a currency with `exponent` places.
///
/// # Errors
/// Whatever is not exactly an amount; nothing is rounded.
pub fn to_minor(text: &str, exponent: u8) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, places) = match digits.split_once('.') {
        Some((_, "")) => return Err(DecimalError::Malformed),
        Some(halves) => halves,
        None => (digits, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(places) {
        return Err(DecimalError::Malformed);
    }
    let kept = places.len().min(usize::from(exponent));
    if places[kept..].bytes().any(|byte| byte != b'0') {
        return Err(DecimalError::TooPrecise);
    }
    let padding = usize::from(exponent) - kept;
    let mut minor: i64 = 0;
    let zeros = std::iter::repeat_n(b'0', padding);
    for digit in whole.bytes().chain(places[..kept].bytes()).chain(zeros) {
        // Counted downwards, because i64 reaches one further there.
        minor = minor
            .checked_mul(10)
            .and_then(|value| value.checked_sub(i64::from(digit - b'0')))
            .ok_or(DecimalError::TooLarge)?;
    }
    if negative { Ok(minor) } else { minor.checked_neg().ok_or(DecimalError::TooLarge) }
}

/// Writes minor units as a decimal with exactly `exponent` places: `1` is `0.01` with two.
pub fn from_minor(minor: i64, exponent: u8) -> String {
    let places = usize::from(exponent);
    let digits = minor.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len().max(places + 1) + 2);
    if minor < 0 {
        out.push('-');
    }
    let (whole, rest) = digits.split_at(digits.len().saturating_sub(places));
    out.push_str(if whole.is_empty() { "0" } else { whole });
    if places > 0 {
        out.push('.');
        out.extend(std::iter::repeat_n('0', places - rest.len()));
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn holds_exactly_or_refuses() {
        use DecimalError::{Malformed, TooLarge, TooPrecise};
        for (text, expected) in [
            ("0.01", Ok(1)),
            ("88", Ok(8800)),
            ("88.8", Ok(8880)),
            ("-0.04", Ok(-4)),
            ("0.010", Ok(1)),
            ("00.10", Ok(10)),
            ("100000000.00", Ok(10_000_000_000)),
            ("92233720368547758.07", Ok(i64::MAX)),
            ("92233720368547758.08", Err(TooLarge)),
            ("-92233720368547758.08", Ok(i64::MIN)),
            ("0.001", Err(TooPrecise)),
            ("", Err(Malformed)),
            ("-", Err(Malformed)),
            (".5", Err(Malformed)),
            ("5.", Err(Malformed)),
            ("1,000.00", Err(Malformed)),
            ("+1", Err(Malformed)),
            ("1e2", Err(Malformed)),
            (" 1", Err(Malformed)),
            ("1.2.3", Err(Malformed)),
            ("--1", Err(Malformed)),
            ("\u{ff11}", Err(Malformed)),
        ] {
            assert_eq!(to_minor(text, 2), expected, "{text:?}");
        }
        assert_eq!(to_minor("7", 0), Ok(7));
        assert_eq!(to_minor("7.0", 0), Ok(7));
        assert_eq!(from_minor(7, 0), "7");
        assert_eq!(from_minor(-4, 2), "-0.04");
        assert_eq!(from_minor(i64::MIN, 2), "-92233720368547758.08");
    }

    proptest! {
        #[test]
        fn every_amount_reads_back(minor in any::<i64>(), exponent in 0u8..5) {
            prop_assert_eq!(to_minor(&from_minor(minor, exponent), exponent), Ok(minor));
        }
    }
}
