//! What a manifest asks for, a line each: what an operator grants with an account, and what a replaced file is compared
//! with before it is trusted with that account's keys.

use std::collections::BTreeSet;

use crate::contract::{Call, Manifest, Slot};
use crate::manifest::PRIVATE;

/// Every power that the manifest asks for, as lines for people that compare as text. A version that asks for no line
/// more than was granted needs nobody's word.
pub fn permissions(manifest: &Manifest) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for origin in &manifest.origins {
        for (mode, address) in [("live", &origin.live), ("sandbox", &origin.sandbox)] {
            if let Some(address) = address {
                lines.insert(format!(
                    "{} address {} is {address} ({mode})",
                    origin.purpose, origin.name
                ));
            }
        }
    }
    for ability in &manifest.operations {
        lines.extend(ability.calls.iter().map(|call| line_of(&ability.operation, call)));
    }
    for method in &manifest.methods {
        let private = method.inputs.iter().filter(|input| input.kind == PRIVATE);
        lines.extend(private.map(|input| format!("method {} asks for {}", method.id, input.name)));
    }
    for slot in &manifest.slots {
        lines.extend(slot.uses.iter().map(|used| format!("key {} may {used}", slot.input.name)));
        lines.extend(leaves(slot));
        if let Some(trust) = &slot.trust {
            for (mode, names) in [("", &trust.names), (" (sandbox)", &trust.sandbox_names)] {
                lines.extend(names.iter().map(|name| {
                    let (key, by) = (&slot.input.name, &trust.by);
                    format!("key {key} is vouched for by {by} for {name}{mode}")
                }));
            }
        }
    }
    lines
}

fn line_of(operation: &str, call: &Call) -> String {
    let Call { origin, method, path, field } = call;
    match field {
        Some((name, value)) => {
            format!("{operation} may {method} {origin} {path} with {name}={value}")
        }
        None => format!("{operation} may {method} {origin} {path}"),
    }
}

fn leaves(slot: &Slot) -> impl Iterator<Item = String> {
    slot.egress.iter().map(|egress| {
        let filling = egress
            .filling
            .as_deref()
            .map(|filled| format!(" to fill {filled}"))
            .unwrap_or_default();
        format!("key {} goes to {} in {}{filling}", slot.input.name, egress.origin, egress.place)
    })
}
