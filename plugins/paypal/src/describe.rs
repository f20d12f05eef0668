//! Who this plugin is and what it asks for: the only calls that its keys can ever be used for.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Egress, Manifest, Method, Origin, Slot, Token,
};
use tollgate_sdk::manifest::{FOR_EVER_MS, HOUR_MS, input, seconds};

use crate::bill_request::{self, TRANSACTIONS};
use crate::money::CURRENCIES;
use crate::pay::ORDERS;
use crate::reading::VERIFY;
use crate::token::{self, CLIENT_SECRET, TOKEN};
use crate::{dispute_query, refund, refund_query};

/// The manifest.
pub fn describe() -> Manifest {
    let webhook = "PayPal's id of the webhook that has the account's notification address";
    let merchant = "If it is given, an order that pays another merchant is refused";
    Manifest {
        id: "paypal".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "PayPal".to_owned(),
        description: "PayPal's wallet, Orders v2".to_owned(),
        settings: vec![
            input("client_id", "Client ID", "text", true, "Of the REST app"),
            input("webhook_id", "Webhook ID", "text", true, webhook),
            input("merchant_id", "Merchant ID", "text", false, merchant),
        ],
        slots: slots(),
        origins: origins(),
        methods: methods(),
        operations: operations(),
        bills: vec![BillKind {
            id: TRANSACTIONS.to_owned(),
            name: "Transactions of a day".to_owned(),
            period: "day".to_owned(),
            zone: "+00:00".to_owned(),
            arrival: "pull".to_owned(),
            // They lag up to three hours.
            ready_after_hours: 4,
            history_days: Some(3 * 365),
            // A page is one line, however long.
            charset: "bytes".to_owned(),
        }],
        refund_window_days: Some(180),
        extra: Vec::new(),
    }
}

fn slots() -> Vec<Slot> {
    let slot = |name: &str, label: &str, kind: &str, filling: Option<&str>, help: &str| Slot {
        input: input(name, label, kind, kind == "secret", help),
        uses: Vec::new(),
        egress: vec![Egress {
            origin: "api".to_owned(),
            place: "header authorization".to_owned(),
            filling: filling.map(str::to_owned),
        }],
        token: None,
        trust: None,
        extra: Vec::new(),
    };
    let fetched = "Filled by itself";
    vec![
        slot(CLIENT_SECRET, "Client secret", "secret", Some(TOKEN), "Of the REST app"),
        Slot {
            token: Some(Token {
                value: "/access_token".to_owned(),
                expires_in: "/expires_in".to_owned(),
            }),
            ..slot(TOKEN, "Access token", "token", None, fetched)
        },
    ]
}

fn origins() -> Vec<Origin> {
    let origin = |name: &str, purpose: &str, live: &str, sandbox: &str| Origin {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        live: Some(live.to_owned()),
        sandbox: Some(sandbox.to_owned()),
    };
    vec![
        origin("api", "call", "https://api-m.paypal.com", "https://api-m.sandbox.paypal.com"),
        origin("page", "browser", "https://www.paypal.com", "https://www.sandbox.paypal.com"),
    ]
}

fn methods() -> Vec<Method> {
    let currencies = CURRENCIES.iter().map(|taken| Currency {
        code: taken.code.to_owned(),
        min_minor: None,
        max_minor: None,
        step_minor: taken.step(),
    });
    vec![Method {
        id: "wallet".to_owned(),
        name: "PayPal".to_owned(),
        surfaces: ["desktop", "phone"].map(str::to_owned).to_vec(),
        currencies: currencies.collect(),
        inputs: Vec::new(),
        extra: Vec::new(),
    }]
}

fn operations() -> Vec<Ability> {
    let call = |method: &str, path: &str| Call {
        origin: "api".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        field: None,
    };
    let ability = |operation: &str, method: &str, path: &str, repeat_ms: u64| Ability {
        operation: operation.to_owned(),
        calls: vec![call(method, path)],
        // There is no way to ask by our own numbers; a repeat under the same id gives the same order or refund.
        by_our_ref: false,
        repeat_ms: Some(repeat_ms),
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    };
    let below = |rest: &str| format!("{ORDERS}/{rest}");
    vec![
        // Ids of orders are remembered for six hours, those of refunds for 45 days.
        ability("pay", "POST", ORDERS, 5 * HOUR_MS),
        ability("complete", "POST", &below("*/capture"), 5 * HOUR_MS),
        Ability {
            schedule_ms: seconds(&[5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600]),
            ..ability("query-payment", "GET", &below("*"), FOR_EVER_MS)
        },
        Ability {
            accepts: vec!["partial".to_owned(), "several".to_owned()],
            ..ability("refund", "POST", refund::PATH, 44 * 24 * HOUR_MS)
        },
        Ability {
            schedule_ms: seconds(&[5, 60, 300, 3600, 21600, 86400]),
            ..ability("query-refund", "GET", refund_query::PATH, FOR_EVER_MS)
        },
        ability("query-dispute", "GET", dispute_query::PATH, FOR_EVER_MS),
        ability("bill", "GET", bill_request::PATH, FOR_EVER_MS),
        ability("fetch-keys", "POST", token::PATH, FOR_EVER_MS),
        ability("notice", "POST", VERIFY, FOR_EVER_MS),
    ]
}
