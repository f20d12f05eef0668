//! Checks of a manifest before anything it says is believed: names, vocabularies, addresses, and that what refers to
//! something refers to something that is there.

use std::collections::BTreeSet;

use regex::Regex;

use crate::contract::{Ability, Input, Manifest, Method, Origin, Slot};
use crate::egress::origin::Base;
use crate::egress::secret::Place;
use crate::keys::needs;
use crate::keys::slot::SlotKind;
use crate::keys::uses::{Use, Verb};

const OPERATIONS: [&str; 11] = [
    "pay",
    "complete",
    "capture",
    "query-payment",
    "close",
    "refund",
    "query-refund",
    "query-dispute",
    "bill",
    "fetch-keys",
    "notice",
];
const HTTP_METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const SURFACES: [&str; 4] = ["desktop", "phone", "app", "in-app-browser"];
/// An input that is a payer's private field: a card number, say.
pub const PRIVATE: &str = "private";
const INPUT_KINDS: [&str; 3] = ["text", "flag", PRIVATE];
const ACCEPTS: [&str; 4] = ["partial", "several", "unpaid", "authorized"];
const PERIODS: [&str; 3] = ["day", "month", "batch"];
const ARRIVALS: [&str; 3] = ["pull", "notice", "upload"];

/// Entries of any list of a manifest.
const MOST: usize = 200;

/// What is wrong, as sentences that name the part.
type Problems = Vec<String>;

/// Checks a manifest.
///
/// # Errors
/// Everything that is wrong with it, a sentence each.
pub fn check(manifest: &Manifest) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    check_head(manifest, &mut problems);
    check_names(manifest, &mut problems);
    for input in &manifest.settings {
        check_input("setting", input, &mut problems);
        if input.kind == PRIVATE {
            problems
                .push(format!("setting {} is private, as only a method's input is", input.name));
        }
    }
    for origin in &manifest.origins {
        check_origin(manifest, origin, &mut problems);
    }
    for slot in &manifest.slots {
        check_slot(manifest, slot, &mut problems);
    }
    for method in &manifest.methods {
        check_method(method, &mut problems);
        check_private(manifest, method, &mut problems);
    }
    for ability in &manifest.operations {
        check_ability(manifest, ability, &mut problems);
    }
    check_bills(manifest, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn check_head(manifest: &Manifest, problems: &mut Problems) {
    if !is_name(&manifest.id) || manifest.id.len() > 40 {
        problems.push(format!("id {:?} is not like a-z, 0-9 and -", manifest.id));
    }
    if !is_version(&manifest.version) {
        problems.push(format!("version {:?} is not like 1.2.3", manifest.version));
    }
    if manifest.name.trim().is_empty() || manifest.name.len() > 100 {
        problems.push("the name is empty or too long".into());
    }
    if !manifest.operations.iter().any(|a| a.operation == "pay") {
        problems.push("no operation pay".into());
    }
    if manifest.methods.is_empty() {
        problems.push("no payment method".into());
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_version(text: &str) -> bool {
    let (core, tail) = match text.split_once(['-', '+']) {
        Some((core, tail)) => (core, Some(tail)),
        None => (text, None),
    };
    let number = |part: &str| {
        !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit())
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && tail.is_none_or(|tail| {
            !tail.is_empty()
                && tail.len() <= 40
                && tail.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
        })
}

fn check_names(manifest: &Manifest, problems: &mut Problems) {
    let slots = manifest.slots.iter().map(|slot| &slot.input);
    let names = |inputs: &mut dyn Iterator<Item = &Input>| -> Vec<String> {
        inputs.map(|input| input.name.clone()).collect()
    };
    let lists: [(&str, Vec<String>); 6] = [
        ("setting", names(&mut manifest.settings.iter())),
        ("slot", names(&mut slots.into_iter())),
        ("origin", manifest.origins.iter().map(|o| o.name.clone()).collect()),
        ("method", manifest.methods.iter().map(|m| m.id.clone()).collect()),
        ("operation", manifest.operations.iter().map(|a| a.operation.clone()).collect()),
        ("bill", manifest.bills.iter().map(|b| b.id.clone()).collect()),
    ];
    for (what, names) in lists {
        if names.len() > MOST {
            problems.push(format!("more than {MOST} of {what}"));
        }
        let mut seen = BTreeSet::new();
        for name in &names {
            let odd = name.is_empty()
                || name.len() > 80
                || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            if odd {
                problems.push(format!("{what} {name:?} is no name"));
            }
            if !seen.insert(name) {
                problems.push(format!("{what} {name} is there twice"));
            }
        }
    }
}

fn check_pattern(what: &str, input: &Input, problems: &mut Problems) {
    let pattern = input.pattern.as_deref().unwrap_or_default();
    if pattern.len() > 500 || Regex::new(pattern).is_err() {
        problems.push(format!("{what} {}: its pattern is none", input.name));
    }
}

fn check_input(what: &str, input: &Input, problems: &mut Problems) {
    check_pattern(what, input, problems);
    if !INPUT_KINDS.contains(&input.kind.as_str()) {
        problems.push(format!("{what} {} is of an unknown kind {:?}", input.name, input.kind));
    }
    // Shown as it is, and shorter than a page of help.
    if input.label.len() > 200 || input.help.len() > 2000 {
        problems.push(format!("{what} {} has too long a text", input.name));
    }
}

fn check_origin(manifest: &Manifest, origin: &Origin, problems: &mut Problems) {
    let name = &origin.name;
    if !matches!(origin.purpose.as_str(), "call" | "browser") {
        problems.push(format!("origin {name} has an unknown purpose {:?}", origin.purpose));
    }
    for text in [&origin.live, &origin.sandbox].into_iter().flatten() {
        let mut plain = text.clone();
        for setting in &manifest.settings {
            plain = plain.replace(&format!("{{{}}}", setting.name), "setting");
        }
        match Base::parse(&plain) {
            Err(rule) => problems.push(format!("origin {name} {rule}")),
            Ok(base) if base.is_loopback() => {
                problems.push(format!("origin {name} is the gateway's own machine"));
            }
            Ok(base) if base.scheme == "https" => {}
            Ok(_) => check_open_origin(manifest, name, problems),
        }
    }
}

/// `http:` is for fetching a bill by a link that the provider gave, and takes no secret.
fn check_open_origin(manifest: &Manifest, name: &str, problems: &mut Problems) {
    let elsewhere = manifest.operations.iter().any(|ability| {
        ability.operation != "bill" && ability.calls.iter().any(|call| call.origin == name)
    });
    let secret =
        manifest.slots.iter().any(|slot| slot.egress.iter().any(|egress| egress.origin == name));
    if elsewhere || secret {
        problems.push(format!("origin {name} is http, which only bills without a secret may use"));
    }
}

/// Uses of one slot.
const MOST_USES: usize = 32;
/// Bytes of one of them.
const LONGEST_USE: usize = 500;

fn check_slot(manifest: &Manifest, slot: &Slot, problems: &mut Problems) {
    let name = &slot.input.name;
    check_pattern("slot", &slot.input, problems);
    let Some(kind) = SlotKind::parse(&slot.input.kind) else {
        problems.push(format!("slot {name} is of an unknown kind {:?}", slot.input.kind));
        return;
    };
    // Each is compared with what is to be signed.
    if slot.uses.len() > MOST_USES {
        problems.push(format!("slot {name} has more than {MOST_USES} uses"));
    }
    for text in &slot.uses {
        if text.len() > LONGEST_USE {
            problems.push(format!("slot {name} has a use longer than {LONGEST_USE} bytes"));
            continue;
        }
        match Use::parse(text) {
            Err(rule) => problems.push(format!("slot {name}: {rule}")),
            Ok(use_) if !fits(kind, &use_) => {
                problems.push(format!("slot {name}: its kind does not {text:?}"));
            }
            Ok(_) => {}
        }
    }
    let has_slot = |wanted: &str| manifest.slots.iter().any(|s| s.input.name == wanted);
    if let Some(other) = needs::named_by(slot).find(|other| *other == name || !has_slot(other)) {
        problems.push(format!("slot {name} is required by an unknown slot, or itself: {other:?}"));
    }
    for egress in &slot.egress {
        if !kind.may_leave() {
            problems.push(format!("slot {name} holds keys that never leave"));
        }
        if !manifest.origins.iter().any(|o| o.name == egress.origin) {
            problems.push(format!("slot {name} leaves to an unknown origin"));
        }
        if Place::parse(&egress.place).is_none() {
            problems.push(format!("slot {name} leaves at no place {:?}", egress.place));
        }
        if egress.filling.as_deref().is_some_and(|s| !has_slot(s)) {
            problems.push(format!("slot {name} fills an unknown slot"));
        }
    }
    if (kind == SlotKind::Token) != slot.token.is_some() {
        problems.push(format!("slot {name} must say where its token is, or is none"));
    }
    if let Some(token) = &slot.token {
        if !token.value.starts_with('/') || !token.expires_in.starts_with('/') {
            problems.push(format!("slot {name} finds its token by no JSON pointers"));
        }
        if !manifest.operations.iter().any(|ability| ability.operation == "fetch-keys") {
            problems.push(format!("slot {name} needs an operation fetch-keys"));
        }
    }
    if let Some(trust) = &slot.trust
        && (!has_slot(&trust.by) || trust.names.is_empty() || trust.by == *name)
    {
        problems.push(format!("slot {name} trusts no one by that"));
    }
    let vouches = manifest
        .slots
        .iter()
        .any(|other| other.trust.as_ref().is_some_and(|trust| trust.by == *name));
    // What it can seal it can open as well, and so vouch for a key of its own.
    if vouches && slot.uses.iter().any(|text| text.starts_with("seal ")) {
        problems.push(format!("slot {name} vouches for others, so it may not seal"));
    }
}

fn fits(kind: SlotKind, use_: &Use) -> bool {
    let symmetric = use_.algorithm.is_symmetric();
    match kind {
        SlotKind::Secret | SlotKind::SecretHex | SlotKind::SecretBase64 => symmetric,
        SlotKind::PrivateKey => !symmetric && use_.verb == Verb::Sign,
        SlotKind::PublicKeys | SlotKind::Certificates => {
            !symmetric && matches!(use_.verb, Verb::Verify | Verb::Seal)
        }
        SlotKind::Token => false,
    }
}

fn check_method(method: &Method, problems: &mut Problems) {
    let id = &method.id;
    for surface in &method.surfaces {
        if !SURFACES.contains(&surface.as_str()) {
            problems.push(format!("method {id} has an unknown surface {surface:?}"));
        }
    }
    for input in &method.inputs {
        check_input(&format!("method {id}: input"), input, problems);
    }
    for currency in &method.currencies {
        let code = &currency.code;
        let known = code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
        if !known {
            problems.push(format!("method {id} takes no currency {code:?}"));
        }
        let (least, most) = (currency.min_minor, currency.max_minor);
        let range = least.unwrap_or(1) >= 0 && least.unwrap_or(1) <= most.unwrap_or(i64::MAX);
        if currency.step_minor < 1 || !range {
            problems.push(format!("method {id} has impossible amounts of {code}"));
        }
    }
}

/// A private field goes under a provider's public key and nowhere else: without one it would be asked for in vain.
fn check_private(manifest: &Manifest, method: &Method, problems: &mut Problems) {
    let seals = |text: &String| text.starts_with("seal rsa-");
    let sealed = manifest.slots.iter().any(|slot| slot.uses.iter().any(seals));
    if method.inputs.iter().any(|input| input.kind == PRIVATE) && !sealed {
        let id = &method.id;
        problems.push(format!("method {id} takes private fields, and no slot seals them"));
    }
}

fn check_ability(manifest: &Manifest, ability: &Ability, problems: &mut Problems) {
    let name = &ability.operation;
    if !OPERATIONS.contains(&name.as_str()) {
        problems.push(format!("unknown operation {name:?}"));
    }
    if ability.calls.len() > MOST || ability.schedule_ms.len() > MOST {
        problems.push(format!("operation {name} has too long a list"));
    }
    for accepted in &ability.accepts {
        if !ACCEPTS.contains(&accepted.as_str()) {
            problems.push(format!("operation {name} accepts no {accepted:?}"));
        }
    }
    for call in &ability.calls {
        match manifest.origins.iter().find(|o| o.name == call.origin) {
            None => {
                let origin = &call.origin;
                problems.push(format!("operation {name} calls an unknown origin {origin:?}"));
            }
            Some(origin) if origin.purpose == "browser" => {
                let origin = &call.origin;
                problems.push(format!("operation {name}: origin {origin} is for payers alone"));
            }
            Some(_) => {}
        }
        if !HTTP_METHODS.contains(&call.method.as_str()) {
            problems.push(format!("operation {name} calls with no method {:?}", call.method));
        }
        let rooted = call.path.is_empty() || call.path == "*" || call.path.starts_with('/');
        if !rooted || call.path.contains(['?', '#', '\\']) {
            problems.push(format!("operation {name} calls no path {:?}", call.path));
        }
        if call.field.as_ref().is_some_and(|(field, _)| field.is_empty()) {
            problems.push(format!("operation {name} pins a field without a name"));
        }
    }
}

fn check_bills(manifest: &Manifest, problems: &mut Problems) {
    for bill in &manifest.bills {
        let id = &bill.id;
        if !PERIODS.contains(&bill.period.as_str()) {
            problems.push(format!("bill {id} has no period {:?}", bill.period));
        }
        if !ARRIVALS.contains(&bill.arrival.as_str()) {
            problems.push(format!("bill {id} has no arrival {:?}", bill.arrival));
        }
        if bill.zone.is_empty() || bill.charset.is_empty() {
            problems.push(format!("bill {id} names no zone or no charset"));
        }
    }
    let fetched = manifest.bills.iter().any(|bill| bill.arrival != "upload");
    if fetched && !manifest.operations.iter().any(|a| a.operation == "bill") {
        problems.push("bills, and no operation bill".into());
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
pub(crate) mod tests;
