//! Who this plugin is and what it asks for: the only calls that its keys can ever be used for.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Input, Manifest, Method, Origin, Slot, Trust,
};
use tollgate_sdk::manifest::{FOR_EVER_MS, HOUR_MS, input, required_if, required_unless, seconds};

use crate::bill_request::{self, BILL_URL};
use crate::certificates::{ALIPAY_CERTIFICATE, ALIPAY_KEY, ALIPAY_ROOT, APP_CERTIFICATE, DOWNLOAD};
use crate::close::CLOSE;
use crate::gateway::APP_KEY;
use crate::money::MAX_MINOR;
use crate::pay::{APP, PAGE, PRECREATE, WAP};
use crate::query::QUERY;
use crate::refund::REFUND;
use crate::refund_query::REFUND_QUERY;

/// Alipay forgets an unpaid trade after 15 days at the latest.
const TRADE_LIFE_MS: u64 = 15 * 24 * HOUR_MS;

/// The manifest.
pub fn describe() -> Manifest {
    Manifest {
        id: "alipay".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "Alipay".to_owned(),
        description: "Alipay's gateway, version 1, signed with RSA2".to_owned(),
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
            history_days: None,
            charset: "gbk".to_owned(),
        }],
        // It depends on the merchant's product: Alipay refuses what comes too late.
        refund_window_days: None,
        extra: Vec::new(),
    }
}

fn page_mode() -> Input {
    let help = "How the browser goes to Alipay: `form` (posted, the default) or `redirect`";
    Input {
        pattern: Some("^(form|redirect)$".to_owned()),
        ..input("page_mode", "Page mode", "text", false, help)
    }
}

fn settings() -> Vec<Input> {
    vec![
        Input {
            pattern: Some("^[0-9]{16}$".to_owned()),
            ..input("app_id", "App ID", "text", true, "16 digits, from Alipay's open platform")
        },
        Input {
            pattern: Some("^2088[0-9]{12}$".to_owned()),
            ..input("seller_id", "Seller ID (PID)", "text", true, "16 digits that begin with 2088")
        },
        page_mode(),
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
    let app_key = "PKCS#8 or PKCS#1, PEM or bare base64";
    let bare = "For public-key mode: the key that Alipay shows for the app, not the app's own";
    let app = "For certificate mode: appCertPublicKey_*.crt; filling it chooses that mode";
    let alipay = "For certificate mode: alipayCertPublicKey_RSA2.crt";
    let root = "For certificate mode: alipayRootCert.crt, as it is";
    let verify = ["verify rsa-pkcs1-sha256"];
    // Merchants hold certificates of the same authority, so the chain alone says nothing: the name must be Alipay's.
    let trust = Trust {
        by: ALIPAY_ROOT.to_owned(),
        names: vec!["支付宝(中国)网络技术有限公司*".to_owned()],
        sandbox_names: Vec::new(),
        refresh_ms: None,
    };
    vec![
        slot(
            input(APP_KEY, "App private key", "private-key", true, app_key),
            &["sign rsa-pkcs1-sha256"],
            None,
        ),
        required_unless(
            slot(input(ALIPAY_KEY, "Alipay public key", "public-keys", false, bare), &verify, None),
            &[APP_CERTIFICATE, ALIPAY_CERTIFICATE],
        ),
        slot(input(APP_CERTIFICATE, "App certificate", "certificates", false, app), &[], None),
        slot(
            input(ALIPAY_CERTIFICATE, "Alipay certificate", "certificates", false, alipay),
            &verify,
            Some(trust),
        ),
        required_if(
            slot(input(ALIPAY_ROOT, "Alipay roots", "certificates", false, root), &[], None),
            APP_CERTIFICATE,
        ),
    ]
}

fn origins() -> Vec<Origin> {
    let origin = |name: &str, live: &str, sandbox: &str| Origin {
        name: name.to_owned(),
        purpose: "call".to_owned(),
        live: Some(live.to_owned()),
        sandbox: Some(sandbox.to_owned()),
    };
    let (live, sandbox) =
        ("https://openapi.alipay.com", "https://openapi-sandbox.dl.alipaydev.com");
    // Alipay writes bill links with plain http; nothing secret goes there.
    let bill = "http://dwbillcenter.alipay.com";
    vec![
        // The payer's pages are at the same address: the calls of `pay` say which.
        origin("gateway", live, sandbox),
        origin("bill", bill, bill),
    ]
}

fn methods() -> Vec<Method> {
    let method = |id: &str, name: &str, surfaces: &[&str], inputs: Vec<Input>| Method {
        id: id.to_owned(),
        name: name.to_owned(),
        surfaces: surfaces.iter().map(|surface| (*surface).to_owned()).collect(),
        currencies: vec![Currency {
            code: "CNY".to_owned(),
            min_minor: Some(1),
            max_minor: Some(MAX_MINOR),
            step_minor: 1,
        }],
        inputs,
        extra: Vec::new(),
    };
    vec![
        method("page", "Alipay", &["desktop"], vec![page_mode()]),
        method("wap", "Alipay", &["phone"], vec![page_mode()]),
        method("app", "Alipay app", &["app"], Vec::new()),
        method("qr", "Alipay QR code", &["desktop"], Vec::new()),
    ]
}

fn at_gateway(verb: &str, method: &str) -> Call {
    Call {
        origin: "gateway".to_owned(),
        method: verb.to_owned(),
        path: "/gateway.do".to_owned(),
        field: Some(("method".to_owned(), method.to_owned())),
    }
}

fn operations() -> Vec<Ability> {
    let ability = |operation: &str, calls: Vec<Call>, repeat_ms: u64| Ability {
        operation: operation.to_owned(),
        calls,
        by_our_ref: true,
        repeat_ms: Some(repeat_ms),
        // A trade exists only once the payer has scanned or logged in.
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    };
    let post = |method: &str| vec![at_gateway("POST", method)];
    let fetch_bill = Call {
        origin: "bill".to_owned(),
        method: "GET".to_owned(),
        path: "*".to_owned(),
        field: None,
    };
    let mut pay = vec![at_gateway("POST", PRECREATE), at_gateway("POST", APP)];
    for page in [PAGE, WAP] {
        pay.extend([at_gateway("POST", page), at_gateway("GET", page)]);
    }
    let mut bill = post(BILL_URL);
    bill.push(fetch_bill);
    vec![
        ability("pay", pay, 2 * HOUR_MS),
        Ability {
            schedule_ms: seconds(&[5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600]),
            ..ability("query-payment", post(QUERY), FOR_EVER_MS)
        },
        Ability {
            accepts: vec!["unpaid".to_owned()],
            ..ability("close", post(CLOSE), TRADE_LIFE_MS)
        },
        Ability {
            accepts: vec!["partial".to_owned(), "several".to_owned()],
            ..ability("refund", post(REFUND), FOR_EVER_MS)
        },
        Ability {
            // Alipay wants ten seconds between a refund and the question after it.
            schedule_ms: seconds(&[10, 20, 60, 300, 1800, 3600, 21600, 86400]),
            ..ability("query-refund", post(REFUND_QUERY), FOR_EVER_MS)
        },
        ability("bill", bill, FOR_EVER_MS),
        ability("fetch-keys", post(DOWNLOAD), FOR_EVER_MS),
        ability("notice", Vec::new(), FOR_EVER_MS),
    ]
}
