//! PayPal's amounts: decimal text in one of its currencies. What cannot be written exactly is refused.

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::{decimal, fault};

/// An amount as the API writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Amount {
    /// ISO 4217.
    pub currency_code: String,
    /// Decimal text.
    pub value: String,
}

/// A currency that PayPal takes: its decimals after ISO 4217, and at PayPal.
pub struct Taken {
    /// ISO 4217.
    pub code: &'static str,
    iso: u8,
    theirs: u8,
}

const fn taken(code: &'static str, iso: u8, theirs: u8) -> Taken {
    Taken { code, iso, theirs }
}

/// The currencies, from PayPal's page of currency codes. Three have no decimals there, two of them against ISO 4217.
pub const CURRENCIES: [Taken; 24] = [
    taken("AUD", 2, 2),
    taken("BRL", 2, 2),
    taken("CAD", 2, 2),
    taken("CHF", 2, 2),
    taken("CNY", 2, 2),
    taken("CZK", 2, 2),
    taken("DKK", 2, 2),
    taken("EUR", 2, 2),
    taken("GBP", 2, 2),
    taken("HKD", 2, 2),
    taken("HUF", 2, 0),
    taken("ILS", 2, 2),
    taken("JPY", 0, 0),
    taken("MXN", 2, 2),
    taken("MYR", 2, 2),
    taken("NOK", 2, 2),
    taken("NZD", 2, 2),
    taken("PHP", 2, 2),
    taken("PLN", 2, 2),
    taken("SEK", 2, 2),
    taken("SGD", 2, 2),
    taken("THB", 2, 2),
    taken("TWD", 2, 0),
    taken("USD", 2, 2),
];

impl Taken {
    /// The least step between two amounts, in ISO 4217's minor units.
    pub fn step(&self) -> i64 {
        10_i64.pow(u32::from(self.iso - self.theirs))
    }
}

fn find(code: &str) -> Option<&'static Taken> {
    CURRENCIES.iter().find(|taken| taken.code == code)
}

/// Writes an amount.
///
/// # Errors
/// `invalid-request` for a currency that PayPal does not take, or an amount that it cannot express.
pub fn write(amount: &Money) -> Result<Amount, Fault> {
    let refuse = |rule: String| fault::invalid_request(format!("{}: {rule}", amount.currency));
    let taken = find(&amount.currency)
        .filter(|taken| taken.iso == amount.exponent)
        .ok_or_else(|| refuse("not a currency that PayPal takes".to_owned()))?;
    if amount.minor <= 0 {
        return Err(refuse("the amount is not positive".to_owned()));
    }
    if amount.minor % taken.step() != 0 {
        let step = taken.step();
        return Err(refuse(format!("PayPal takes multiples of {step} minor units alone")));
    }
    Ok(Amount {
        currency_code: amount.currency.clone(),
        value: decimal::from_minor(amount.minor / taken.step(), taken.theirs),
    })
}

/// Reads an amount; may be negative.
///
/// # Errors
/// `protocol` for a currency that is unknown, or text that is no amount in it.
pub fn read(field: &str, amount: &Amount) -> Result<Money, Fault> {
    let wrong = |rule: String| fault::protocol(format!("{field}: {rule}"));
    let taken = find(&amount.currency_code);
    let taken = taken.ok_or_else(|| wrong("an unknown currency".to_owned()))?;
    let minor =
        decimal::to_minor(&amount.value, taken.iso).map_err(|error| wrong(error.to_string()))?;
    Ok(Money { minor, currency: taken.code.to_owned(), exponent: taken.iso })
}
