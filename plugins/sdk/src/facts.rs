//! Facts, as every plugin begins one: who it is about, in the provider's word, and nothing else known yet.

use crate::contract::requests::{NextAction, Outcome, Report};
use crate::contract::types::{Fact, PaymentStatus, Subject};

/// The name in `extra` that says that the call's idempotency key is spent: see [`key_spent`].
pub const KEY_SPENT_MS: &str = "key-spent-ms";

/// Says in a fact what a fault says by its function of the same name: the provider keeps this answer to the call's key.
pub fn key_spent(fact: &mut Fact, settled_ms: u32) {
    fact.extra.push((KEY_SPENT_MS.to_owned(), settled_ms.to_string()));
}

/// A fact with nothing known yet. `raw_status` is the provider's own word.
pub fn fact(about: Subject, payment_ref: Option<&str>, raw_status: impl Into<String>) -> Fact {
    Fact {
        about,
        payment_ref: payment_ref.map(str::to_owned),
        provider_ref: None,
        aliases: Vec::new(),
        raw_status: raw_status.into(),
        reason: None,
        amount: None,
        refunded: None,
        at: None,
        live: None,
        seen: Vec::new(),
        extra: Vec::new(),
    }
}

/// A fact about a payment of ours.
pub fn payment(status: PaymentStatus, payment_ref: &str, raw_status: impl Into<String>) -> Fact {
    fact(Subject::Payment(status), Some(payment_ref), raw_status)
}

/// Whether a text can be a reference of ours: 24 of `[A-Za-z0-9]`, the first a T. What bears another, or none, is somebody
/// else's on the same account at the provider.
pub fn is_reference(text: &str) -> bool {
    text.len() == 24
        && text.starts_with('T')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A report of a fact, with nothing for the payer to do and nothing to keep.
pub fn report(fact: Fact) -> Outcome {
    Outcome::Report(Report { fact, action: NextAction::None, action_expires_ms: None, keep: None })
}
