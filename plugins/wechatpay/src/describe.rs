//! Who this plugin is and what it asks for: the only calls that its keys can ever be used for.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Input, Manifest, Method, Origin, Slot, Trust,
};
use tollgate_sdk::manifest::{FOR_EVER_MS, HOUR_MS, input, seconds};

use crate::certificates::{self, API_V3_KEY, CERTIFICATES, PUBLIC_KEYS};
use crate::gateway::MERCHANT_KEY;
use crate::money::MAX_MINOR;
use crate::{bill_request, close, pay, query, refund, refund_query};

/// Platform certificates are to be fetched again at least every twelve hours.
const REFRESH_MS: u64 = 12 * HOUR_MS;

/// The manifest.
pub fn describe() -> Manifest {
    Manifest {
        id: "wechatpay".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "WeChat Pay".to_owned(),
        description: "WeChat Pay's API v3 for direct merchants".to_owned(),
        settings: settings(),
        slots: slots(),
        origins: origins(),
        methods: methods(),
        operations: operations(),
        bills: vec![BillKind {
            id: bill_request::TRADE.to_owned(),
            name: "Trades of a day".to_owned(),
            period: "day".to_owned(),
            zone: "+08:00".to_owned(),
            arrival: "pull".to_owned(),
            ready_after_hours: 10,
            history_days: Some(90),
            charset: "utf-8".to_owned(),
        }],
        refund_window_days: Some(365),
        extra: Vec::new(),
    }
}

fn settings() -> Vec<Input> {
    let shaped = |pattern: &str, input: Input| Input { pattern: Some(pattern.to_owned()), ..input };
    let serial = "Of the merchant's own API certificate, 40 hexadecimal digits";
    vec![
        shaped(
            "^wx[0-9a-zA-Z]{8,30}$",
            input("appid", "App ID", "text", true, "Of the account, mini program or app"),
        ),
        shaped("^[0-9]{8,32}$", input("mchid", "Merchant number", "text", true, "Digits")),
        shaped(
            "^[0-9A-F]{1,40}$",
            input("merchant_serial", "Certificate serial", "text", true, serial),
        ),
    ]
}

fn slot(input: Input, uses: &[&str], trust: Option<Trust>) -> Slot {
    Slot {
        input,
        uses: uses.iter().map(|verb| (*verb).to_owned()).collect(),
        egress: Vec::new(),
        token: None,
        trust,
        extra: Vec::new(),
    }
}

fn slots() -> Vec<Slot> {
    let own = "apiclient_key.pem";
    let v3 = "32 characters, set by the merchant";
    let bare = "pub_key.pem behind its id and a colon: PUB_KEY_ID_...:";
    let fetched = "Filled by itself; only for a merchant without a public key";
    let verify = ["verify rsa-pkcs1-sha256"];
    // What was sealed with the merchant's own secret is the platform's: nobody else has that.
    let trust = Trust {
        by: API_V3_KEY.to_owned(),
        names: vec!["*".to_owned()],
        sandbox_names: Vec::new(),
        refresh_ms: Some(REFRESH_MS),
    };
    vec![
        slot(
            input(MERCHANT_KEY, "Merchant private key", "private-key", true, own),
            &["sign rsa-pkcs1-sha256"],
            None,
        ),
        slot(input(API_V3_KEY, "API v3 key", "secret", true, v3), &["open aes-256-gcm"], None),
        slot(
            input(PUBLIC_KEYS, "WeChat Pay public key", "public-keys", false, bare),
            &verify,
            None,
        ),
        slot(
            input(CERTIFICATES, "Platform certificates", "certificates", false, fetched),
            &verify,
            Some(trust),
        ),
    ]
}

fn origins() -> Vec<Origin> {
    let origin = |name: &str, purpose: &str, live: &str| Origin {
        name: name.to_owned(),
        purpose: purpose.to_owned(),
        live: Some(live.to_owned()),
        // There is no sandbox of API v3.
        sandbox: None,
    };
    vec![
        origin("api", "call", "https://api.mch.weixin.qq.com"),
        origin("h5", "browser", "https://wx.tenpay.com"),
    ]
}

fn methods() -> Vec<Method> {
    let method = |id: &str, name: &str, surface: &str| Method {
        id: id.to_owned(),
        name: name.to_owned(),
        surfaces: vec![surface.to_owned()],
        currencies: vec![Currency {
            code: "CNY".to_owned(),
            min_minor: Some(1),
            max_minor: Some(MAX_MINOR),
            step_minor: 1,
        }],
        inputs: Vec::new(),
        extra: Vec::new(),
    };
    vec![
        method("native", "WeChat Pay", "desktop"),
        // Wants the payer's address (`payer_ip`), and a payer in an app his id there (`payer_id`).
        method("h5", "WeChat Pay", "phone"),
        method("jsapi", "WeChat Pay", "in-app-browser"),
        method("app", "WeChat Pay app", "app"),
    ]
}

fn operations() -> Vec<Ability> {
    let call = |method: &str, path: &str| Call {
        origin: "api".to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        field: None,
    };
    let ability = |operation: &str, calls: Vec<Call>, repeat_ms: u64| Ability {
        operation: operation.to_owned(),
        calls,
        by_our_ref: true,
        repeat_ms: Some(repeat_ms),
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    };
    let orders = pay::PATHS.iter().map(|(_, path)| call("POST", path)).collect();
    vec![
        ability("pay", orders, 2 * HOUR_MS),
        Ability {
            // An order is there as soon as it was asked for.
            absent_after_ms: Some(HOUR_MS),
            schedule_ms: seconds(&[5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600]),
            ..ability("query-payment", vec![call("GET", query::PATH)], FOR_EVER_MS)
        },
        Ability {
            accepts: vec!["unpaid".to_owned()],
            ..ability("close", vec![call("POST", close::PATH)], FOR_EVER_MS)
        },
        Ability {
            accepts: vec!["partial".to_owned(), "several".to_owned()],
            ..ability("refund", vec![call("POST", refund::PATH)], FOR_EVER_MS)
        },
        Ability {
            // Whether it is there or not: asking for it again under its own number does no harm.
            schedule_ms: seconds(&[5, 20, 60, 300, 1800, 3600, 21600, 86400]),
            ..ability("query-refund", vec![call("GET", refund_query::PATH)], FOR_EVER_MS)
        },
        ability(
            "bill",
            vec![call("GET", bill_request::PATH), call("GET", bill_request::DOWNLOAD)],
            FOR_EVER_MS,
        ),
        ability("fetch-keys", vec![call("GET", certificates::PATH)], FOR_EVER_MS),
        ability("notice", Vec::new(), FOR_EVER_MS),
    ]
}
