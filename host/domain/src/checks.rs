//! What no plugin may decide: whether what a provider says is about our payment, in our amount, on our account.

use std::fmt;

use crate::money::Money;

/// What we know of the payment that a message claims to be about.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Our reference at the provider.
    pub reference: &'a str,
    /// The provider's, once it told us.
    pub provider_reference: Option<&'a str>,
    /// What is to be paid, or given back.
    pub amount: Money,
    /// Whether the account is a live one.
    pub live: bool,
    /// The account's public settings by name.
    pub settings: &'a [(String, String)],
}

/// What a provider said, as far as it can be checked. None: it did not say.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Our reference as the message has it.
    pub reference: Option<&'a str>,
    /// The provider's as the message has it.
    pub provider_reference: Option<&'a str>,
    /// The amount, with the exponent that the plugin took it by.
    pub amount: Option<(i64, &'a str, u8)>,
    /// Whether it was about live money.
    pub live: Option<bool>,
    /// Settings of the account that the message names.
    pub seen: &'a [(String, String)],
}

/// The first thing in which a message disagrees with what we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What disagrees: reference, provider_reference, amount, currency, exponent, mode, or a setting's name.
    pub field: String,
    /// What we have.
    pub ours: String,
    /// What it said.
    pub theirs: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {:?} here and {:?} there", self.field, self.ours, self.theirs)
    }
}

impl Known<'_> {
    /// Agrees, or names the first field that does not.
    pub fn check(&self, claim: &Claim<'_>) -> Result<(), Mismatch> {
        agree("reference", self.reference, claim.reference)?;
        if let Some(ours) = self.provider_reference {
            agree("provider_reference", ours, claim.provider_reference)?;
        }
        if let Some((minor, currency, exponent)) = claim.amount {
            agree("currency", self.amount.currency.code(), Some(currency))?;
            let ours = self.amount.currency.exponent();
            if exponent != ours {
                return Err(mismatch("exponent", ours, exponent));
            }
            if minor != self.amount.minor {
                return Err(mismatch("amount", self.amount.minor, minor));
            }
        }
        if let Some(live) = claim.live.filter(|live| *live != self.live) {
            return Err(mismatch("mode", mode(self.live), mode(live)));
        }
        for (name, theirs) in claim.seen {
            let ours = self
                .settings
                .iter()
                .find(|(setting, _)| setting == name)
                .map(|(_, value)| value.as_str());
            agree(name, ours.unwrap_or(""), Some(theirs))?;
        }
        Ok(())
    }
}

fn agree(field: &str, ours: &str, theirs: Option<&str>) -> Result<(), Mismatch> {
    match theirs {
        Some(theirs) if theirs != ours => Err(mismatch(field, ours, theirs)),
        _ => Ok(()),
    }
}

fn mismatch(field: &str, ours: impl ToString, theirs: impl ToString) -> Mismatch {
    Mismatch { field: field.to_owned(), ours: ours.to_string(), theirs: theirs.to_string() }
}

fn mode(live: bool) -> &'static str {
    if live { "live" } else { "sandbox" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disagreement_is_found_and_named() {
        let settings = [("app_id".to_owned(), "1".to_owned())];
        let known = Known {
            reference: "R",
            provider_reference: Some("P"),
            amount: Money::new(1000, "CNY".parse().unwrap()),
            live: true,
            settings: &settings,
        };
        let right = Claim {
            reference: Some("R"),
            provider_reference: Some("P"),
            amount: Some((1000, "CNY", 2)),
            live: Some(true),
            seen: &settings,
        };
        assert_eq!(known.check(&right), Ok(()));
        let (other, unknown) = ([("app_id".into(), "2".into())], [("shop".into(), "1".into())]);
        let rows = [
            ("reference", Claim { reference: Some("r"), ..right }),
            ("provider_reference", Claim { provider_reference: Some("Q"), ..right }),
            ("amount", Claim { amount: Some((1, "CNY", 2)), ..right }),
            ("currency", Claim { amount: Some((1000, "USD", 2)), ..right }),
            ("exponent", Claim { amount: Some((1000, "CNY", 0)), ..right }),
            ("mode", Claim { live: Some(false), ..right }),
            ("app_id", Claim { seen: &other, ..right }),
            ("shop", Claim { seen: &unknown, ..right }),
        ];
        for (field, claim) in rows {
            assert_eq!(known.check(&claim).unwrap_err().field, field);
        }
        let silent = Claim {
            reference: None,
            provider_reference: None,
            amount: None,
            live: None,
            seen: &[],
        };
        assert_eq!(known.check(&silent), Ok(()));
    }
}
