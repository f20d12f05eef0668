//! WeChat Pay's amounts: whole fen in the API, yuan in bills, and nothing but yuan.

use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::fault;

/// The most that one order is taken for here, in fen: a hundred million yuan. The provider's own limits are lower.
pub const MAX_MINOR: i64 = 10_000_000_000;

/// An amount of fen.
pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

/// An amount as the API takes it.
pub fn fen(amount: &Money) -> Result<i64, Fault> {
    if amount.currency != "CNY" || amount.exponent != 2 {
        return Err(fault::invalid_request(format!(
            "WeChat Pay takes CNY with 2 places, not {} with {}",
            amount.currency, amount.exponent
        )));
    }
    if !(1..=MAX_MINOR).contains(&amount.minor) {
        return Err(fault::invalid_request("WeChat Pay takes at least one fen"));
    }
    Ok(amount.minor)
}

/// An amount that the API told.
pub fn read(field: &str, minor: i64, currency: Option<&str>) -> Result<Money, Fault> {
    match currency {
        None | Some("CNY") if minor >= 0 => Ok(cny(minor)),
        None | Some("CNY") => Err(fault::protocol(format!("{field}: a negative amount"))),
        Some(_) => Err(fault::protocol(format!("{field}: not in CNY"))),
    }
}
