//! Making a `Fault`: what went wrong, in the host's vocabulary. A decline is an answer and never comes here.

use crate::contract::types::Fault;
use crate::facts;

fn new(code: &str, message: impl Into<String>) -> Fault {
    Fault {
        code: code.to_owned(),
        message: message.into(),
        provider_code: None,
        provider_message: None,
        outcome_known: true,
        retry_after_ms: None,
        extra: Vec::new(),
    }
}

/// The request cannot be expressed at this provider: an amount, a currency, a missing field. Nothing was sent.
pub fn invalid_request(message: impl Into<String>) -> Fault {
    new("invalid-request", message)
}

/// The provider does not offer this operation or method.
pub fn unsupported(message: impl Into<String>) -> Fault {
    new("unsupported", message)
}

/// The account's settings or keys are wrong or incomplete.
pub fn config(message: impl Into<String>) -> Fault {
    new("config", message)
}

/// The provider does not accept who we are.
pub fn auth(message: impl Into<String>) -> Fault {
    new("auth", message)
}

/// A message that is not what the provider's protocol says. In a notice it rejects the message.
pub fn protocol(message: impl Into<String>) -> Fault {
    new("protocol", message)
}

/// A message whose signature is missing, of another kind, or does not hold.
pub fn signature(message: impl Into<String>) -> Fault {
    new("signature", message)
}

/// The provider asks for fewer calls.
pub fn rate_limited(message: impl Into<String>) -> Fault {
    new("rate-limited", message)
}

/// The provider could not answer now.
pub fn unavailable(message: impl Into<String>) -> Fault {
    new("unavailable", message)
}

/// The provider does not know what we asked about.
pub fn not_found(message: impl Into<String>) -> Fault {
    new("not-found", message)
}

impl Fault {
    /// Money may have moved: the host must query before it believes either way.
    #[must_use]
    pub fn outcome_unknown(mut self) -> Self {
        self.outcome_known = false;
        self
    }

    /// Trying again after so many milliseconds may help.
    #[must_use]
    pub fn retry_after(mut self, ms: u32) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// The provider keeps this answer, and gives it again to whatever comes under the call's idempotency key: nothing more can be
    /// done under that. `settled_ms` after it, a query that finds nothing proves that nothing was done.
    #[must_use]
    pub fn key_spent(mut self, settled_ms: u32) -> Self {
        self.extra.push((facts::KEY_SPENT_MS.to_owned(), settled_ms.to_string()));
        self
    }

    /// The provider's own words, kept beside ours.
    #[must_use]
    pub fn said(mut self, code: impl Into<String>, message: impl Into<String>) -> Self {
        self.provider_code = Some(code.into());
        self.provider_message = Some(message.into());
        self
    }
}
