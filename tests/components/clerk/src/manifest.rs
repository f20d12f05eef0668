//! A manifest with a token slot, refunds and a bill.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Egress, Input, Manifest, Slot, Token,
};

/// The manifest.
pub fn describe() -> Manifest {
    let mut manifest = tollgate_test_base::describe("clerk", &[tollgate_test_base::METHOD]);
    let mut word = slot("word", "secret");
    word.egress.push(to_gateway(Some("token")));
    let mut token = slot("token", "token");
    token.egress.push(to_gateway(None));
    token.token = Some(Token { value: "/token".to_owned(), expires_in: "/life".to_owned() });
    manifest.slots = vec![word, token];
    manifest.operations = vec![
        ability("pay", "POST", "/pay"),
        ability("query-payment", "POST", "/query"),
        ability("refund", "POST", "/refund"),
        ability("query-refund", "POST", "/query-refund"),
        ability("bill", "GET", "/bill.csv"),
        ability("fetch-keys", "POST", "/token"),
        ability("notice", "POST", "/verify"),
    ];
    manifest.bills = vec![BillKind {
        id: "day".to_owned(),
        name: "Payments of a day".to_owned(),
        period: "day".to_owned(),
        zone: "+00:00".to_owned(),
        arrival: "pull".to_owned(),
        ready_after_hours: 1,
        history_days: None,
        charset: "utf-8".to_owned(),
    }];
    manifest
}

fn slot(name: &str, kind: &str) -> Slot {
    Slot {
        input: Input {
            name: name.to_owned(),
            label: name.to_owned(),
            kind: kind.to_owned(),
            required: kind == "secret",
            pattern: None,
            help: String::new(),
        },
        uses: Vec::new(),
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}

fn to_gateway(filling: Option<&str>) -> Egress {
    Egress {
        origin: "gateway".to_owned(),
        place: "header authorization".to_owned(),
        filling: filling.map(str::to_owned),
    }
}

fn ability(operation: &str, method: &str, path: &str) -> Ability {
    Ability {
        operation: operation.to_owned(),
        calls: vec![Call {
            origin: "gateway".to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            field: None,
        }],
        by_our_ref: true,
        repeat_ms: Some(86_400_000),
        absent_after_ms: None,
        schedule_ms: vec![600_000],
        accepts: vec!["partial".to_owned(), "several".to_owned()],
    }
}
