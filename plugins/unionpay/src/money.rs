//! UnionPay's amounts: whole fen of yuan, currency code 156.

use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::fault;

/// ISO 4217's number of the yuan.
pub const CNY: &str = "156";
/// `txnAmt` has twelve digits at most.
pub const MAX_MINOR: i64 = 999_999_999_999;

/// An amount of fen.
pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

/// An amount as it is written.
pub fn fen(amount: &Money) -> Result<String, Fault> {
    if amount.currency != "CNY" || amount.exponent != 2 {
        return Err(fault::invalid_request(format!(
            "UnionPay takes CNY with 2 places here, not {} with {}",
            amount.currency, amount.exponent
        )));
    }
    match (1..=MAX_MINOR).contains(&amount.minor) {
        true => Ok(amount.minor.to_string()),
        false => Err(fault::invalid_request("UnionPay takes at least one fen")),
    }
}

/// Reads an amount and its currency.
pub fn read(amount: &str, currency: &str) -> Result<Money, Fault> {
    let is_digits = !amount.is_empty() && amount.bytes().all(|byte| byte.is_ascii_digit());
    match amount.parse() {
        Ok(minor) if is_digits && currency == CNY => Ok(cny(minor)),
        Ok(_) if currency != CNY => Err(fault::protocol("`currencyCode` is not 156")),
        _ => Err(fault::protocol("`txnAmt` is no amount of fen")),
    }
}
