//! Alipay's amounts: yuan with two places, and nothing but yuan.

use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::{decimal, fault};

/// Alipay takes 0.01 to 100,000,000.00 yuan for a trade.
pub const MAX_MINOR: i64 = 10_000_000_000;

/// An amount of fen.
pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

/// Writes an amount as Alipay takes it.
pub fn yuan(amount: &Money) -> Result<String, Fault> {
    if amount.currency != "CNY" || amount.exponent != 2 {
        return Err(fault::invalid_request(format!(
            "Alipay takes CNY with 2 places, not {} with {}",
            amount.currency, amount.exponent
        )));
    }
    if !(1..=MAX_MINOR).contains(&amount.minor) {
        return Err(fault::invalid_request("Alipay takes 0.01 to 100000000.00 yuan"));
    }
    Ok(decimal::from_minor(amount.minor, 2))
}

/// Reads an amount that Alipay wrote; `field` is for the fault.
pub fn read(field: &str, text: &str) -> Result<Money, Fault> {
    match decimal::to_minor(text, 2) {
        Ok(minor) if minor >= 0 => Ok(cny(minor)),
        Ok(_) => Err(fault::protocol(format!("{field}: a negative amount"))),
        Err(error) => Err(fault::protocol(format!("{field}: {error}"))),
    }
}

/// Reads an amount that may be missing or empty.
pub fn read_optional(field: &str, text: Option<&str>) -> Result<Option<Money>, Fault> {
    text.filter(|text| !text.is_empty()).map(|text| read(field, text)).transpose()
}
