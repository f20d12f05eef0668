//! A provider with every operation that the gateway knows, and a slot that only verifies.

use tollgate_sdk::contract::provider::{Ability, BillKind, Call, Input, Manifest, Slot};

/// The slot whose secret the messages are signed with.
pub const SECRET: &str = "word";

/// For how long a refund may be repeated.
const REPEAT_MS: u64 = 3_600_000;

/// The manifest.
pub fn describe() -> Manifest {
    let mut manifest = tollgate_test_base::describe("puppet", &["page"]);
    manifest.slots = vec![slot()];
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

fn slot() -> Slot {
    Slot {
        input: Input {
            name: SECRET.to_owned(),
            label: SECRET.to_owned(),
            kind: "secret".to_owned(),
            required: true,
            pattern: None,
            help: String::new(),
        },
        uses: vec!["verify hmac-sha256".to_owned()],
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
