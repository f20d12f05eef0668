//! Who this plugin is and what it asks for: the only calls that its keys can ever be used for.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Egress, Manifest, Method, Origin, Slot,
};
use tollgate_sdk::manifest::{FOR_EVER_MS, HOUR_MS, input, seconds};

use crate::bill_request::{self, BALANCE};
use crate::gateway::SECRET_KEY;
use crate::money::CURRENCIES;
use crate::pay::{INTENTS, SESSIONS};
use crate::reading::WEBHOOK_SECRET;
use crate::refund::REFUNDS;

/// Stripe remembers an idempotency key for a day at least.
const KEY_LIFE_MS: u64 = 23 * HOUR_MS;

/// The manifest.
pub fn describe() -> Manifest {
    Manifest {
        id: "stripe".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "Stripe".to_owned(),
        description: "Stripe Checkout and PaymentIntents".to_owned(),
        settings: Vec::new(),
        slots: slots(),
        origins: origins(),
        methods: methods(),
        operations: operations(),
        bills: vec![BillKind {
            id: BALANCE.to_owned(),
            name: "Balance transactions of a day".to_owned(),
            period: "day".to_owned(),
            zone: "+00:00".to_owned(),
            arrival: "pull".to_owned(),
            ready_after_hours: 1,
            history_days: None,
            // A page is one line, however long.
            charset: "bytes".to_owned(),
        }],
        refund_window_days: None,
        extra: Vec::new(),
    }
}

fn slots() -> Vec<Slot> {
    let slot = |name: &str, label: &str, required: bool, help: &str| Slot {
        input: input(name, label, "secret", required, help),
        uses: Vec::new(),
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    };
    let key = "sk_... or, better, a restricted rk_... of the same mode";
    let hook = "whsec_... of the endpoint; while it is rolled, both";
    vec![
        Slot {
            egress: vec![Egress {
                origin: "api".to_owned(),
                place: "header authorization".to_owned(),
                filling: None,
            }],
            ..slot(SECRET_KEY, "Secret key", true, key)
        },
        Slot {
            uses: vec!["verify hmac-sha256".to_owned()],
            ..slot(WEBHOOK_SECRET, "Webhook secrets", true, hook)
        },
    ]
}

fn origins() -> Vec<Origin> {
    let origin = |name: &str, purpose: &str, address: &str| Origin {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        // One address for both: the key says which mode it is.
        live: Some(address.to_owned()),
        sandbox: Some(address.to_owned()),
    };
    vec![
        origin("api", "call", "https://api.stripe.com"),
        origin("checkout", "browser", "https://checkout.stripe.com"),
    ]
}

fn methods() -> Vec<Method> {
    let method = |id: &str, name: &str, surfaces: &[&str]| Method {
        id: id.to_owned(),
        name: name.to_owned(),
        surfaces: surfaces.iter().map(|surface| (*surface).to_owned()).collect(),
        currencies: CURRENCIES
            .iter()
            .map(|taken| Currency {
                code: taken.code.to_owned(),
                min_minor: None,
                max_minor: None,
                step_minor: taken.step(),
            })
            .collect(),
        inputs: Vec::new(),
        extra: Vec::new(),
    };
    vec![
        method("checkout", "Stripe", &["desktop", "phone"]),
        // Confirmed by Stripe's client library on the shop's own page.
        method("intent", "Stripe", &["app"]),
    ]
}

fn operations() -> Vec<Ability> {
    let call = |method: &str, path: &str| Call {
        origin: "api".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        field: None,
    };
    let below = |path: &str, rest: &str| format!("{path}/{rest}");
    let ability = |operation: &str, calls: Vec<Call>, repeat_ms: u64| Ability {
        operation: operation.to_owned(),
        calls,
        by_our_ref: true,
        repeat_ms: Some(repeat_ms),
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    };
    let lists = || vec![call("GET", SESSIONS), call("GET", INTENTS)];
    let mut query = lists();
    query.extend([call("GET", &below(SESSIONS, "*")), call("GET", &below(INTENTS, "*"))]);
    let mut close = lists();
    close.extend([
        call("POST", &below(SESSIONS, "*/expire")),
        call("POST", &below(INTENTS, "*/cancel")),
    ]);
    vec![
        ability("pay", vec![call("POST", SESSIONS), call("POST", INTENTS)], KEY_LIFE_MS),
        Ability {
            // What no list shows after the last try can have arrived was never made.
            absent_after_ms: Some(HOUR_MS),
            schedule_ms: seconds(&[5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600]),
            ..ability("query-payment", query, FOR_EVER_MS)
        },
        Ability { accepts: vec!["unpaid".to_owned()], ..ability("close", close, KEY_LIFE_MS) },
        Ability {
            accepts: vec!["partial".to_owned(), "several".to_owned()],
            ..ability("refund", vec![call("POST", REFUNDS)], KEY_LIFE_MS)
        },
        Ability {
            schedule_ms: seconds(&[5, 60, 300, 3600, 21600, 86400]),
            ..ability(
                "query-refund",
                vec![call("GET", REFUNDS), call("GET", &below(REFUNDS, "*"))],
                FOR_EVER_MS,
            )
        },
        ability("bill", vec![call("GET", bill_request::PATH)], FOR_EVER_MS),
        ability("notice", Vec::new(), FOR_EVER_MS),
    ]
}
