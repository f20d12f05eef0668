//! What manifests are written with, as `describe` of every plugin does it.

use crate::contract::provider::{Input, Slot};

/// An hour.
pub const HOUR_MS: u64 = 3_600_000;
/// For how long a question may be repeated: asking changes nothing, however long ago the first one was.
pub const FOR_EVER_MS: u64 = 10 * 365 * 24 * HOUR_MS;

/// A setting, a slot's input or a method's, of any shape.
pub fn input(name: &str, label: &str, kind: &str, required: bool, help: &str) -> Input {
    Input {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: kind.to_owned(),
        required,
        pattern: None,
        help: help.to_owned(),
    }
}

/// A slot that an account must fill unless it fills one of these.
#[must_use]
pub fn required_unless(mut slot: Slot, others: &[&str]) -> Slot {
    let pair = |other: &&str| ("required-unless".to_owned(), (*other).to_owned());
    slot.extra.extend(others.iter().map(pair));
    slot
}

/// A slot that an account must fill if it fills that one.
#[must_use]
pub fn required_if(mut slot: Slot, other: &str) -> Slot {
    slot.extra.push(("required-if".to_owned(), other.to_owned()));
    slot
}

/// A schedule in seconds, as the manifest has it.
///
/// # Panics
/// For more than 49 days.
pub fn seconds(list: &[u32]) -> Vec<u32> {
    list.iter().map(|second| second * 1000).collect()
}
