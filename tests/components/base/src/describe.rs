//! The manifest that the components share: one signing key, one provider address, payments and their query.

use tollgate_sdk::contract::provider::{
    Ability, Call, Currency, Input, Manifest, Method, Origin, Slot,
};

/// The payment method of a component that has no others.
pub const METHOD: &str = "page";

/// The manifest, under this id and with these methods.
pub fn describe(id: &str, methods: &[&str]) -> Manifest {
    Manifest {
        id: id.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: id.to_owned(),
        description: "Misbehaves on purpose, for tests".to_owned(),
        settings: Vec::new(),
        slots: vec![slot()],
        origins: vec![origin()],
        methods: methods.iter().map(|id| method(id)).collect(),
        operations: vec![
            ability("pay", vec![call("/pay")]),
            ability("query-payment", vec![call("/pay")]),
            ability("notice", Vec::new()),
        ],
        bills: Vec::new(),
        refund_window_days: None,
        extra: Vec::new(),
    }
}

fn slot() -> Slot {
    Slot {
        input: Input {
            name: "key".to_owned(),
            label: "Key".to_owned(),
            kind: "private-key".to_owned(),
            required: false,
            pattern: None,
            help: String::new(),
        },
        uses: vec!["sign rsa-pkcs1-sha256".to_owned()],
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}

fn origin() -> Origin {
    let base = "https://provider.invalid";
    Origin {
        name: "gateway".to_owned(),
        purpose: "call".to_owned(),
        live: Some(base.to_owned()),
        sandbox: Some(base.to_owned()),
    }
}

fn method(id: &str) -> Method {
    Method {
        id: id.to_owned(),
        name: id.to_owned(),
        surfaces: vec!["desktop".to_owned()],
        currencies: vec![Currency {
            code: "CNY".to_owned(),
            min_minor: Some(1),
            max_minor: None,
            step_minor: 1,
        }],
        inputs: Vec::new(),
        extra: Vec::new(),
    }
}

fn call(path: &str) -> Call {
    Call {
        origin: "gateway".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        field: None,
    }
}

fn ability(operation: &str, calls: Vec<Call>) -> Ability {
    Ability {
        operation: operation.to_owned(),
        calls,
        by_our_ref: true,
        repeat_ms: None,
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    }
}
