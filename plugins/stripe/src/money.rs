//! Stripe's amounts: the smallest unit of a currency as Stripe counts it, which is not always ISO 4217's. What cannot be
//! held exactly is refused.

use tollgate_sdk::contract::types::{Fault, Money};
use tollgate_sdk::fault;

/// A currency as it is taken here: its ISO 4217 decimals, Stripe's, and of what an amount must be a multiple in Stripe's units.
pub struct Taken {
    /// ISO 4217.
    pub code: &'static str,
    /// Decimals after ISO 4217.
    pub iso: u8,
    /// Decimals as Stripe counts.
    theirs: u8,
    /// Stripe takes multiples of this, in its units.
    multiple: i64,
}

const fn taken(code: &'static str, iso: u8, theirs: u8, multiple: i64) -> Taken {
    Taken { code, iso, theirs, multiple }
}

/// The currencies that are taken here, from Stripe's page on zero-decimal, three-decimal and special currencies.
pub const CURRENCIES: [Taken; 36] = [
    taken("USD", 2, 2, 1),
    taken("EUR", 2, 2, 1),
    taken("GBP", 2, 2, 1),
    taken("AUD", 2, 2, 1),
    taken("BRL", 2, 2, 1),
    taken("CAD", 2, 2, 1),
    taken("CHF", 2, 2, 1),
    taken("CNY", 2, 2, 1),
    taken("CZK", 2, 2, 1),
    taken("DKK", 2, 2, 1),
    taken("HKD", 2, 2, 1),
    taken("INR", 2, 2, 1),
    taken("MXN", 2, 2, 1),
    taken("MYR", 2, 2, 1),
    taken("NOK", 2, 2, 1),
    taken("NZD", 2, 2, 1),
    taken("PLN", 2, 2, 1),
    taken("RON", 2, 2, 1),
    taken("SEK", 2, 2, 1),
    taken("SGD", 2, 2, 1),
    taken("THB", 2, 2, 1),
    taken("ZAR", 2, 2, 1),
    taken("HUF", 2, 2, 1),
    taken("TWD", 2, 2, 1),
    taken("CLP", 0, 0, 1),
    taken("JPY", 0, 0, 1),
    taken("KRW", 0, 0, 1),
    taken("PYG", 0, 0, 1),
    taken("VND", 0, 0, 1),
    // Without decimals, yet written as if they had two.
    taken("ISK", 0, 2, 100),
    taken("UGX", 0, 2, 100),
    // With two by ISO 4217 and none at Stripe.
    taken("MGA", 2, 0, 1),
    // The last of three digits is always zero.
    taken("BHD", 3, 3, 10),
    taken("JOD", 3, 3, 10),
    taken("KWD", 3, 3, 10),
    taken("TND", 3, 3, 10),
];

fn find(code: &str) -> Option<&'static Taken> {
    CURRENCIES.iter().find(|taken| taken.code.eq_ignore_ascii_case(code))
}

/// Whether a currency is taken here, in whichever case it is written.
pub fn is_taken(code: &str) -> bool {
    find(code).is_some()
}

impl Taken {
    /// The least step between two amounts that are taken, in ISO 4217's minor units.
    pub fn step(&self) -> i64 {
        match self.iso.cmp(&self.theirs) {
            std::cmp::Ordering::Greater => 10_i64.pow(u32::from(self.iso - self.theirs)),
            std::cmp::Ordering::Equal => self.multiple,
            std::cmp::Ordering::Less => 1,
        }
    }
}

/// An amount in Stripe's units.
///
/// # Errors
/// `invalid-request` for a currency that is not taken here, or an amount that Stripe cannot express.
pub fn theirs(amount: &Money) -> Result<i64, Fault> {
    let refuse = |rule: String| fault::invalid_request(format!("{}: {rule}", amount.currency));
    let taken = find(&amount.currency)
        .filter(|taken| taken.iso == amount.exponent)
        .ok_or_else(|| refuse("not a currency that is taken through Stripe here".to_owned()))?;
    if amount.minor <= 0 {
        return Err(refuse("the amount is not positive".to_owned()));
    }
    if amount.minor % taken.step() != 0 {
        let step = taken.step();
        return Err(refuse(format!("Stripe takes multiples of {step} minor units alone")));
    }
    let scaled = match (taken.iso, taken.theirs) {
        (iso, theirs) if iso < theirs => {
            amount.minor.checked_mul(10_i64.pow(u32::from(theirs - iso)))
        }
        (iso, theirs) => Some(amount.minor / 10_i64.pow(u32::from(iso - theirs))),
    };
    // Stripe takes eight digits.
    scaled
        .filter(|scaled| *scaled <= 99_999_999)
        .ok_or_else(|| refuse("more than eight digits in Stripe's units".to_owned()))
}

/// An amount that Stripe told, in its units; may be negative.
///
/// # Errors
/// `protocol` for a currency that is not taken here, or an amount that the currency has no unit for.
pub fn read(field: &str, units: i64, currency: &str) -> Result<Money, Fault> {
    let wrong = |rule: &str| fault::protocol(format!("{field}: {rule}"));
    let taken = find(currency).ok_or_else(|| wrong("an unknown currency"))?;
    let minor = match (taken.iso, taken.theirs) {
        (iso, theirs) if iso < theirs => {
            let scale = 10_i64.pow(u32::from(theirs - iso));
            (units % scale == 0).then_some(units / scale)
        }
        (iso, theirs) => units.checked_mul(10_i64.pow(u32::from(iso - theirs))),
    };
    let minor = minor.ok_or_else(|| wrong("an amount that the currency has no unit for"))?;
    Ok(Money { minor, currency: taken.code.to_owned(), exponent: taken.iso })
}
