//! What an API key may do: scopes, each a word.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One thing that a key may do. A route names the one that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything, also what later versions add.
    Full,
    /// Read whatever the merchant has.
    Read,
    /// Make and close orders.
    Orders,
    /// Start payments and ask about them.
    Payments,
    /// Give money back.
    Refunds,
    /// Hand over and change the accounts at providers, their keys among them.
    Accounts,
    /// Fetch bills, compare them, and resolve what differs.
    Reconciliation,
    /// Say where events are told.
    Webhooks,
    /// Make and revoke API keys.
    Keys,
}

impl Scope {
    /// Every one.
    pub const ALL: [Scope; 9] = [
        Scope::Full,
        Scope::Read,
        Scope::Orders,
        Scope::Payments,
        Scope::Refunds,
        Scope::Accounts,
        Scope::Reconciliation,
        Scope::Webhooks,
        Scope::Keys,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Full => "full",
            Scope::Read => "read",
            Scope::Orders => "orders:write",
            Scope::Payments => "payments:write",
            Scope::Refunds => "refunds:write",
            Scope::Accounts => "accounts:write",
            Scope::Reconciliation => "reconciliation:write",
            Scope::Webhooks => "webhooks:write",
            Scope::Keys => "keys:write",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no scope, or none where one must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be scopes: full, read, orders:write, payments:write, refunds:write, accounts:write, reconciliation:write, webhooks:write or keys:write"
)]
pub struct ScopeError;

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scope, ScopeError> {
        Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ScopeError)
    }
}

/// What a key may do: at least one thing. As text, words with spaces between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Everything.
    pub fn full() -> Scopes {
        Scopes(BTreeSet::from([Scope::Full]))
    }

    /// From words.
    ///
    /// # Errors
    /// A word that is no scope, or no word at all.
    pub fn of<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Scopes, ScopeError> {
        let scopes: BTreeSet<Scope> =
            words.into_iter().map(str::parse).collect::<Result<_, _>>()?;
        if scopes.is_empty() { Err(ScopeError) } else { Ok(Scopes(scopes)) }
    }

    /// Whether a route that needs this scope may be called.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&Scope::Full) || self.0.contains(&scope)
    }

    /// Whether these are all among ours: nobody hands on what he has not got.
    pub fn cover(&self, others: &Scopes) -> bool {
        others.0.iter().all(|scope| self.allow(*scope))
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

impl FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Scopes, ScopeError> {
        Scopes::of(text.split_whitespace())
    }
}

impl TryFrom<String> for Scopes {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Scopes, ScopeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.parse().unwrap()
    }

    #[test]
    fn words_round_trip_and_strange_ones_are_refused() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            assert_eq!(scopes(scope.as_str()).to_string(), scope.as_str());
            assert!(ScopeError.to_string().contains(scope.as_str()), "{scope} is not in the rule");
        }
        assert_eq!(scopes(" refunds:write  read read").to_string(), "read refunds:write");
        for text in ["", " ", "write", "Read", "read,refunds:write", "*"] {
            assert_eq!(text.parse::<Scopes>(), Err(ScopeError), "{text:?}");
        }
    }

    #[test]
    fn a_key_hands_on_no_more_than_it_has() {
        let rows = [
            ("full", "full", true),
            ("full", "read keys:write", true),
            ("read keys:write", "read", true),
            ("read keys:write", "read refunds:write", false),
            ("keys:write", "full", false),
            // Not even all of today's together are everything.
            (
                "read orders:write payments:write refunds:write accounts:write reconciliation:write webhooks:write keys:write",
                "full",
                false,
            ),
        ];
        for (has, wants, covered) in rows {
            assert_eq!(scopes(has).cover(&scopes(wants)), covered, "{has} -> {wants}");
        }
        assert!(!scopes("read").allow(Scope::Refunds));
        assert!(scopes("full").allow(Scope::Keys));
    }
}
