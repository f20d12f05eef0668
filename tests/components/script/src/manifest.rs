//! Who it is and what it asks for.

use crate::Rules;
use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Input, Manifest, Method, Origin, Slot,
};

/// The slot of the key that signs calls.
pub const OURS: &str = "ours";
/// The slot of the key by which the provider's words are checked.
pub const THEIRS: &str = "theirs";
/// The setting that says which shop the account is.
pub const SHOP: &str = "shop";

const HOUR_MS: u64 = 3_600_000;
const FOR_EVER_MS: u64 = 10 * 365 * 24 * HOUR_MS;

/// The manifest.
pub fn describe<R: Rules>() -> Manifest {
    let base = "https://provider.invalid";
    Manifest {
        id: R::ID.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: R::ID.to_owned(),
        description: "Does what a simulation says".to_owned(),
        settings: vec![input(SHOP, "text")],
        slots: vec![slot(OURS, "sign hmac-sha256"), slot(THEIRS, "verify hmac-sha256")],
        origins: vec![Origin {
            name: "gateway".to_owned(),
            purpose: "call".to_owned(),
            live: Some(base.to_owned()),
            sandbox: Some(base.to_owned()),
        }],
        methods: vec![method()],
        operations: operations::<R>(),
        bills: vec![BillKind {
            id: "trades".to_owned(),
            name: "Trades of a day".to_owned(),
            period: "day".to_owned(),
            zone: "+08:00".to_owned(),
            arrival: "pull".to_owned(),
            ready_after_hours: 2,
            history_days: None,
            charset: "utf-8".to_owned(),
        }],
        refund_window_days: None,
        extra: Vec::new(),
    }
}

fn input(name: &str, kind: &str) -> Input {
    Input {
        name: name.to_owned(),
        label: name.to_owned(),
        kind: kind.to_owned(),
        required: true,
        pattern: None,
        help: String::new(),
    }
}

fn slot(name: &str, verb: &str) -> Slot {
    Slot {
        input: input(name, "secret"),
        uses: vec![verb.to_owned()],
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}

fn method() -> Method {
    Method {
        id: "page".to_owned(),
        name: "Page".to_owned(),
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

fn operations<R: Rules>() -> Vec<Ability> {
    let ability = |operation: &str, paths: &[(&str, &str)], repeat_ms: Option<u64>| Ability {
        operation: operation.to_owned(),
        calls: paths.iter().map(|(method, path)| call(method, path)).collect(),
        by_our_ref: true,
        repeat_ms,
        absent_after_ms: None,
        schedule_ms: vec![2_000, 10_000, 60_000, 300_000, 1_800_000, 7_200_000],
        accepts: Vec::new(),
    };
    let mut all = vec![
        ability("pay", &[("POST", "/pay"), ("GET", "/page/*")], Some(HOUR_MS)),
        ability("query-payment", &[("POST", "/query")], Some(FOR_EVER_MS)),
        ability("refund", &[("POST", "/refund")], Some(FOR_EVER_MS)),
        ability("bill", &[("POST", "/bill")], Some(FOR_EVER_MS)),
        ability("notice", &[], Some(FOR_EVER_MS)),
    ];
    if R::CLOSES {
        all.push(ability("close", &[("POST", "/close")], Some(FOR_EVER_MS)));
    }
    if R::TAKES {
        all.push(ability("complete", &[("POST", "/take")], Some(FOR_EVER_MS)));
    }
    if R::KNOWS_REFUNDS {
        all.push(ability("query-refund", &[("POST", "/refund-query")], Some(FOR_EVER_MS)));
    }
    all
}

fn call(method: &str, path: &str) -> Call {
    Call {
        origin: "gateway".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        field: None,
    }
}
