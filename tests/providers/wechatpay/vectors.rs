//! The published messages of WeChat Pay through the compiled component and the host's own keys: what its native tests read,
//! the sandbox reads too, and a changed byte is refused. Sources: `plugins/wechatpay/vectors/README.md`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use serde_json::Value;
use tollgate_plugin::contract::{
    BillRequest, BillRow, Channel, Context, HttpResponse, Inbound, Money, NextAction, Operation,
    Outcome, PayRequest, Payment, PaymentStatus, Progress, Reading, RefundStatus, RowKind, Subject,
};
use tollgate_plugin::{BillSink, BillSource, Keys, Limits, Plugin, Registry, RegistryConfig};
use tollgate_tests::place;

const MERCHANT_KEY: &str =
    include_str!("../../../plugins/wechatpay/vectors/wechatAppPrivateKey.pem");
const PUBLIC_KEY: &str =
    include_str!("../../../plugins/wechatpay/vectors/merchant-public-key.spki.b64");
const REPLY: &str = include_str!("../../../plugins/wechatpay/vectors/reply.json");
const NOTIFICATION: &str = include_str!("../../../plugins/wechatpay/vectors/notification.json");
const REFUND: &str = include_str!("../../../plugins/wechatpay/vectors/refund-notification.json");
const BILL: &[u8] = include_bytes!("../../../plugins/wechatpay/vectors/bill.csv");
const KEY_ID: &str = "PUB_KEY_ID_0000000000000000000000000001";
/// 2021-07-16T22:02:24+08:00, when the messages were fresh.
const NOW_MS: i64 = 1_626_444_144_000;

struct Bench {
    plugin: Arc<Plugin>,
    keys: Arc<Keys>,
    // The plugin runs on its registry's engine.
    _registry: Registry,
}

fn bench() -> Bench {
    let registry = Registry::open(RegistryConfig {
        folder: place::plugins(),
        cache: place::shared("compiled"),
        limits: Limits::default(),
        compiler: None,
        concurrency: 2,
    })
    .unwrap();
    let plugin = registry.get("wechatpay").unwrap();
    let secrets = [
        ("merchant-private-key", MERCHANT_KEY.to_owned()),
        ("api-v3-key", "53D67FCB97E68F9998CBD17ED7A8D1E2".to_owned()),
        ("wechatpay-public-key", format!("{KEY_ID}:{}", PUBLIC_KEY.trim())),
    ]
    .map(|(slot, text)| (slot.to_owned(), vec![SecretString::from(text)]));
    let keys = Arc::new(Keys::parse(plugin.manifest(), &BTreeMap::from(secrets)).unwrap());
    Bench { plugin, keys, _registry: registry }
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn context() -> Context {
    Context {
        now_ms: NOW_MS,
        nonce: "0123456789abcdefghijklmnopqrstuv".to_owned(),
        idempotency_key: "vector".to_owned(),
        trace_id: "vector".to_owned(),
        live: false,
        settings: pairs(&[
            ("appid", "wx55955316af4ef13"),
            ("mchid", "1600314069"),
            ("merchant_serial", "25F8AA5452D55497C24BA57DC81B1E5915DC2E77"),
        ]),
        origins: pairs(&[("api", "https://api.example"), ("h5", "https://h5.example")]),
        extra: Vec::new(),
    }
}

/// The signature headers and the body of a message in a file.
fn message(file: &str) -> (Vec<(String, String)>, Vec<u8>) {
    let file: Value = serde_json::from_str(file).unwrap();
    let told = |member: &str| file[member].as_str().unwrap();
    let headers = pairs(&[
        ("wechatpay-timestamp", told("timestamp")),
        ("wechatpay-nonce", told("nonce")),
        ("wechatpay-signature", told("signature")),
        ("wechatpay-serial", KEY_ID),
    ]);
    (headers, told("body").as_bytes().to_vec())
}

fn notice(file: &str) -> Inbound {
    let (headers, body) = message(file);
    Inbound {
        channel: Channel::Notification,
        method: "POST".to_owned(),
        url: "https://gateway.example/notify".to_owned(),
        query: String::new(),
        headers,
        body,
        received_ms: NOW_MS,
    }
}

fn order() -> Operation {
    Operation::Pay(PayRequest {
        payment: Payment {
            payment_ref: "T1".to_owned(),
            provider_ref: None,
            method: "h5".to_owned(),
            amount: cny(1),
            created_ms: NOW_MS,
            kept: Vec::new(),
        },
        order_ref: "order-1".to_owned(),
        subject: "tea".to_owned(),
        description: None,
        items: Vec::new(),
        deliver_to: None,
        notify_url: "https://gateway.example/notify".to_owned(),
        return_url: "https://shop.example/back".to_owned(),
        cancel_url: None,
        payer_ip: Some("203.0.113.7".to_owned()),
        payer_id: None,
        locale: None,
        expires_ms: NOW_MS + 3_600_000,
        manual_capture: false,
        private_fields: Vec::new(),
        extra: Vec::new(),
    })
}

fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

#[tokio::test]
async fn the_published_reply_is_believed_in_the_sandbox_and_no_other() {
    let bench = bench();
    let (headers, body) = message(REPLY);
    let reply = HttpResponse { status: 200, headers, body };
    let order = order();
    let read = |reply: HttpResponse| {
        bench.plugin.interpret(context(), &bench.keys, &order, Vec::new(), reply)
    };
    let called = read(reply.clone()).await.unwrap();
    assert!(called.signature_held(), "the host saw the signature hold");
    let Ok(Progress::Done(Outcome::Report(report))) = called.answer else {
        panic!("{:?}", called.answer)
    };
    let NextAction::Redirect(url) = report.action else { panic!("{:?}", report.action) };
    assert!(url.starts_with("https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?"), "{url}");

    let mut changed = reply;
    changed.body.push(b' ');
    let called = read(changed).await.unwrap();
    assert!(!called.signature_held());
    assert_eq!(called.answer.unwrap_err().code, "signature");
}

#[tokio::test]
async fn a_notice_is_opened_by_the_host_and_read_in_the_sandbox() {
    let bench = bench();
    for (file, about, amount) in
        [(NOTIFICATION, Some(PaymentStatus::Succeeded), 100), (REFUND, None, 40)]
    {
        let called =
            bench.plugin.read(context(), &bench.keys, notice(file), None, None).await.unwrap();
        assert!(called.signature_held());
        let Ok(Reading::Events((_, events))) = called.answer else { panic!("{:?}", called.answer) };
        let [event] = events.as_slice() else { panic!("{events:?}") };
        match (&event.fact.about, about) {
            (Subject::Payment(status), Some(expected)) => assert_eq!(*status, expected),
            (Subject::Refund(news), None) => assert_eq!(news.status, RefundStatus::Succeeded),
            other => panic!("{other:?}"),
        }
        assert_eq!(event.fact.payment_ref.as_deref(), Some("T1"));
        assert_eq!(event.fact.amount, Some(cny(amount)));
    }
}

/// The signature may hold by nothing but its own bytes, and the seal by nothing but the account's own secret.
#[tokio::test]
async fn a_changed_byte_of_a_notice_is_refused() {
    let bench = bench();
    for at in [0, 100, 400] {
        let mut changed = notice(NOTIFICATION);
        changed.body[at] ^= 1;
        let called = bench.plugin.read(context(), &bench.keys, changed, None, None).await.unwrap();
        assert!(!called.signature_held(), "{at}");
        assert_eq!(called.answer.unwrap_err().code, "signature", "{at}");
    }
    let late = Inbound { received_ms: NOW_MS + 300_001, ..notice(NOTIFICATION) };
    let called = bench.plugin.read(context(), &bench.keys, late, None, None).await.unwrap();
    assert_eq!(called.answer.unwrap_err().code, "signature");
}

struct File(&'static [u8]);

impl BillSource for File {
    fn read(&mut self, max: u32) -> Result<Vec<u8>, String> {
        let (piece, rest) = self.0.split_at(self.0.len().min(max as usize));
        self.0 = rest;
        Ok(piece.to_vec())
    }
}

#[derive(Clone, Default)]
struct Rows(Arc<Mutex<Vec<BillRow>>>);

impl BillSink for Rows {
    fn rows(&mut self, mut rows: Vec<BillRow>) -> Result<(), String> {
        self.0.lock().unwrap().append(&mut rows);
        Ok(())
    }

    fn bad_line(&mut self, line: u64, reason: String) {
        panic!("line {line}: {reason}");
    }
}

#[tokio::test]
async fn the_published_bill_is_read_in_the_sandbox() {
    let bench = bench();
    let bill = BillRequest {
        kind: "trade".to_owned(),
        period: "2021-01-28".to_owned(),
        ticket: Vec::new(),
    };
    let rows = Rows::default();
    let (source, sink) = (Box::new(File(BILL)), Box::new(rows.clone()));
    let called = bench
        .plugin
        .parse_bill(context(), bill, "bill.csv".to_owned(), source, sink)
        .await
        .unwrap();
    let summary = called.answer.unwrap();
    let rows = rows.0.lock().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows.iter() {
        assert_eq!((row.kind, &row.gross), (RowKind::Payment, &cny(1)));
    }
    assert_eq!(summary.totals[0].count, Some(3));
    assert_eq!(summary.totals[1].gross, Some(cny(3)));
}
