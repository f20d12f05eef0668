//! The published messages of WeChat Pay through the compiled component and the host's own keys: what its native tests read,
//! the sandbox reads too, and a changed byte is refused. Sources: `plugins/wechatpay/vectors/README.md`.

use serde_json::Value;
use tollgate_plugin::contract::{
    HttpResponse, Money, NextAction, Operation, Outcome, PayRequest, Payment, PaymentStatus,
    Progress, Reading, RefundStatus, RowKind, Subject,
};

use crate::bench::{Bench, Parsed, pairs};

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

fn bench() -> Bench {
    let public = format!("{KEY_ID}:{}", PUBLIC_KEY.trim());
    let secrets = [
        ("merchant-private-key", MERCHANT_KEY),
        ("api-v3-key", "53D67FCB97E68F9998CBD17ED7A8D1E2"),
        ("wechatpay-public-key", public.as_str()),
    ];
    let settings = [
        ("appid", "wx55955316af4ef13"),
        ("mchid", "1600314069"),
        ("merchant_serial", "25F8AA5452D55497C24BA57DC81B1E5915DC2E77"),
    ];
    let origins = [("api", "https://api.example"), ("h5", "https://h5.example")];
    Bench::of("wechatpay", &secrets, &settings, &origins)
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
        bench.plugin.interpret(bench.context(NOW_MS), &bench.keys, &order, Vec::new(), reply)
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
        let (headers, body) = message(file);
        let called = bench.read(&headers, &body, NOW_MS, None).await;
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
    let (headers, honest) = message(NOTIFICATION);
    for at in [0, 100, 400] {
        let mut changed = honest.clone();
        changed[at] ^= 1;
        let called = bench.read(&headers, &changed, NOW_MS, None).await;
        assert!(!called.signature_held(), "{at}");
        assert_eq!(called.answer.unwrap_err().code, "signature", "{at}");
    }
    let called = bench.read(&headers, &honest, NOW_MS + 300_001, None).await;
    assert_eq!(called.answer.unwrap_err().code, "signature");
}

#[tokio::test]
async fn the_published_bill_is_read_in_the_sandbox() {
    let Parsed { rows, bad, summary } = bench().parse("trade", BILL).await;
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(rows.len(), 3);
    for row in &rows {
        assert_eq!((row.kind, &row.gross), (RowKind::Payment, &cny(1)));
    }
    assert_eq!(summary.totals[0].count, Some(3));
    assert_eq!(summary.totals[1].gross, Some(cny(3)));
}
