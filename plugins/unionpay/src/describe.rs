//! Who this plugin is and what it asks for: the only calls that its keys can ever be used for.

use tollgate_sdk::contract::provider::{
    Ability, BillKind, Call, Currency, Input, Manifest, Method, Origin, Slot, Trust,
};
use tollgate_sdk::manifest::{FOR_EVER_MS, HOUR_MS, input, seconds};

use crate::bill_request::{self, SETTLEMENT};
use crate::gateway::{MERCHANT_CERTIFICATE, MERCHANT_KEY};
use crate::money::MAX_MINOR;
use crate::reply::{CERTIFICATE, ROOTS};
use crate::{card, certificates, pay, query, refund};

/// UnionPay wants to be asked for its encryption certificate once a day.
const REFRESH_MS: u64 = 24 * HOUR_MS;

/// The manifest.
pub fn describe() -> Manifest {
    Manifest {
        id: "unionpay".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        name: "UnionPay".to_owned(),
        description: "UnionPay's gateway payments, acp 5.1.0, signed by certificate".to_owned(),
        settings: vec![Input {
            pattern: Some("^[0-9A-Za-z]{15}$".to_owned()),
            ..input("mer_id", "Merchant number", "text", true, "15 digits")
        }],
        slots: slots(),
        origins: origins(),
        methods: methods(),
        operations: operations(),
        bills: vec![BillKind {
            id: SETTLEMENT.to_owned(),
            name: "Settled transactions of a day".to_owned(),
            period: "day".to_owned(),
            // The clearing day runs from 23:00 to 23:00 in China, where clocks are at +08:00.
            zone: "+09:00".to_owned(),
            arrival: "pull".to_owned(),
            // At ten the next morning.
            ready_after_hours: 11,
            history_days: None,
            // Fields have widths in bytes: nothing may be decoded before they are cut.
            charset: "bytes".to_owned(),
        }],
        refund_window_days: Some(330),
        extra: Vec::new(),
    }
}

fn slots() -> Vec<Slot> {
    let slot = |input: Input, uses: &[&str], trust: Option<Trust>| Slot {
        input,
        uses: uses.iter().map(|verb| (*verb).to_owned()).collect(),
        egress: Vec::new(),
        token: None,
        trust,
        extra: Vec::new(),
    };
    let key = "From the merchant's .pfx, as PEM";
    let own = "From the same .pfx: requests name its serial number";
    let roots = "acp_prod_root.cer and acp_prod_middle.cer, one behind the other";
    let messages = "Nothing to fill in: UnionPay sends its certificate with each message";
    let sealing = "acp_prod_enc.cer, where the shop brings the payer's card: it is sealed to it, or to the newer one that \
                   UnionPay hands over";
    let trust = Trust {
        by: ROOTS.to_owned(),
        // Merchants' certificates come from the same authority: the chain alone says nothing.
        names: vec!["041@*@中国银联股份有限公司@*".to_owned()],
        sandbox_names: vec!["041@*@00040000:SIGN@*".to_owned()],
        refresh_ms: None,
    };
    let refreshed = Trust { refresh_ms: Some(REFRESH_MS), ..trust.clone() };
    vec![
        slot(
            input(MERCHANT_KEY, "Merchant private key", "private-key", true, key),
            &["sign rsa-pkcs1-sha256"],
            None,
        ),
        slot(
            input(MERCHANT_CERTIFICATE, "Merchant certificate", "certificates", true, own),
            &[],
            None,
        ),
        slot(input(ROOTS, "UnionPay root and middle", "certificates", true, roots), &[], None),
        slot(
            input(CERTIFICATE, "UnionPay certificate", "certificates", false, messages),
            &["verify rsa-pkcs1-sha256"],
            Some(trust),
        ),
        slot(
            input(card::SEALING, "UnionPay encryption certificate", "certificates", false, sealing),
            &["seal rsa-pkcs1"],
            Some(refreshed),
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
    vec![
        // The payer's page is at the same address: the calls of `pay` say which.
        origin("gateway", "https://gateway.95516.com", "https://gateway.test.95516.com"),
        origin("file", "https://filedownload.95516.com", "https://filedownload.test.95516.com"),
    ]
}

fn methods() -> Vec<Method> {
    let method = |id: &str, name: &str, surface: &str, inputs: Vec<Input>| Method {
        id: id.to_owned(),
        name: name.to_owned(),
        surfaces: vec![surface.to_owned()],
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
        method("page", "UnionPay", "desktop", card::inputs()),
        method("wap", "UnionPay", "phone", card::inputs()),
        method("app", "UnionPay app", "app", Vec::new()),
    ]
}

fn operations() -> Vec<Ability> {
    let call = |origin: &str, path: &str| Call {
        origin: origin.to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        field: None,
    };
    let of_type = |path: &str, kind: &str| Call {
        field: Some(("txnType".to_owned(), kind.to_owned())),
        ..call("gateway", path)
    };
    let ability = |operation: &str, calls: Vec<Call>, repeat_ms: Option<u64>| Ability {
        operation: operation.to_owned(),
        calls,
        by_our_ref: true,
        repeat_ms,
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    };
    vec![
        ability("pay", vec![of_type(pay::FRONT, "01"), of_type(pay::APP, "01")], Some(2 * HOUR_MS)),
        Ability {
            schedule_ms: seconds(&[5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21600]),
            ..ability("query-payment", vec![of_type(query::PATH, "00")], Some(FOR_EVER_MS))
        },
        Ability {
            accepts: vec!["partial".to_owned(), "several".to_owned()],
            // Asked for again under its number and time, it is answered as a duplicate.
            ..ability("refund", vec![of_type(refund::PATH, "04")], Some(20 * HOUR_MS))
        },
        Ability {
            schedule_ms: seconds(&[5, 30, 120, 600, 3600, 21600, 86400]),
            ..ability("query-refund", vec![of_type(query::PATH, "00")], Some(FOR_EVER_MS))
        },
        ability("bill", vec![call("file", bill_request::PATH)], Some(FOR_EVER_MS)),
        ability(
            "fetch-keys",
            vec![of_type(certificates::PATH, certificates::KIND)],
            Some(FOR_EVER_MS),
        ),
        ability("notice", Vec::new(), Some(FOR_EVER_MS)),
    ]
}
