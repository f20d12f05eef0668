//! Which slots an account has to fill: those that are `required`, and those that its choice of others requires.

use crate::contract::{Manifest, Slot};

use super::KeyError;

/// Names in a slot's `extra`, each with another slot: it has to be filled unless one of these is.
const UNLESS: &str = "required-unless";
/// It has to be filled if one of these is.
const IF: &str = "required-if";

/// Every slot that an account must fill and did not, with the rule.
pub fn unfilled(manifest: &Manifest, filled: impl Fn(&str) -> bool) -> Vec<KeyError> {
    let empty = manifest.slots.iter().filter(|slot| !filled(&slot.input.name));
    let rule = |slot: &Slot| {
        if slot.input.required {
            return Some("is required".to_owned());
        }
        if let Some(other) = others(slot, IF).find(|other| filled(other)) {
            return Some(format!("is required beside {other}"));
        }
        let instead: Vec<&str> = others(slot, UNLESS).collect();
        let lacks = !instead.is_empty() && !instead.iter().any(|other| filled(other));
        lacks.then(|| format!("is required without {}", instead.join(" or ")))
    };
    let error = |slot: &Slot| Some(KeyError { slot: slot.input.name.clone(), rule: rule(slot)? });
    empty.filter_map(error).collect()
}

/// The slots on which it depends whether this one has to be filled.
pub(crate) fn named_by(slot: &Slot) -> impl Iterator<Item = &str> {
    others(slot, UNLESS).chain(others(slot, IF))
}

fn others<'s>(slot: &'s Slot, rule: &'static str) -> impl Iterator<Item = &'s str> {
    slot.extra.iter().filter(move |(name, _)| name == rule).map(|(_, other)| other.as_str())
}
