//! A provider with every operation that the gateway knows, and a slot that only verifies.

use tollgate_sdk::contract::provider::{Ability, BillKind, Call, Input, Manifest, Slot};

/// The slot whose secret the messages are signed with.
pub const SECRET: &str = "word";

/// The slot of the provider's public key, to which a card is sealed.
pub const SEALING: &str = "sealing";
/// The method that takes a card's number, and that number's name.
pub const CARD: &str = "card";
pub const NUMBER: &str = "card_number";

/// For how long a refund may be repeated.
const REPEAT_MS: u64 = 3_600_000;

/// The manifest.
pub fn describe() -> Manifest {
    let mut manifest = tollgate_test_base::describe("puppet", &["page", CARD]);
    manifest.slots = vec![
        slot(SECRET, "secret", true, "verify hmac-sha256"),
        slot(SEALING, "public-keys", false, "seal rsa-oaep-sha1"),
    ];
    manifest.methods[1].inputs = vec![card()];
    let calls = ["pay", "query-payment", "close", "refund", "query-refund", "bill"];
    manifest.operations = calls.iter().map(|name| ability(name)).collect();
    manifest.operations.push(Ability { calls: Vec::new(), ..ability("notice") });
    manifest.bills = vec![BillKind {
        id: "day".to_owned(),
        name: "A day".to_owned(),
        period: "day".to_owned(),
        zone: "+00:00".to_owned(),
        arrival: "pull".to_owned(),
        ready_after_hours: 0,
        history_days: None,
        charset: "utf-8".to_owned(),
    }];
    manifest
}

fn input(name: &str, kind: &str, required: bool) -> Input {
    Input {
        name: name.to_owned(),
        label: name.to_owned(),
        kind: kind.to_owned(),
        required,
        pattern: None,
        help: String::new(),
    }
}

fn card() -> Input {
    Input { pattern: Some("[0-9]{13,19}".to_owned()), ..input(NUMBER, "private", true) }
}

fn slot(name: &str, kind: &str, required: bool, used: &str) -> Slot {
    Slot {
        input: input(name, kind, required),
        uses: vec![used.to_owned()],
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}

fn ability(operation: &str) -> Ability {
    Ability {
        operation: operation.to_owned(),
        calls: vec![Call {
            origin: "gateway".to_owned(),
            method: "POST".to_owned(),
            path: format!("/{operation}"),
            field: None,
        }],
        by_our_ref: true,
        repeat_ms: (operation == "refund").then_some(REPEAT_MS),
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    }
}
