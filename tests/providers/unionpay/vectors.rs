//! The published messages of UnionPay through the compiled component and the host's own keys: the chain of their certificate
//! is signed with SHA-1, as UnionPay's is, and a changed byte, another time or another root is refused. Sources:
//! `plugins/unionpay/vectors/README.md`.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_plugin::Called;
use tollgate_plugin::contract::{
    Event, Fault, HttpResponse, Money, NextAction, Operation, Outcome, PayRequest, Payment,
    PaymentStatus, Progress, Reading, Step, Subject,
};
use tollgate_sdk::form;

use crate::bench::Bench;

const MERCHANT_KEY: &str =
    include_str!("../../../plugins/unionpay/vectors/merchant-private-key.pem");
const MERCHANT: &str = include_str!("../../../plugins/unionpay/vectors/merchant-certificate.pem");
const ROOT: &str = include_str!("../../../plugins/unionpay/vectors/acp_test_root.cer");
const MIDDLE: &str = include_str!("../../../plugins/unionpay/vectors/acp_test_middle.cer");
const NOTIFICATION: &str = include_str!("../../../plugins/unionpay/vectors/notification.json");
const REPLY: &str = include_str!("../../../plugins/unionpay/vectors/query-reply.json");
const SIGNED: &str = include_str!("../../../plugins/unionpay/vectors/request.signed-text.txt");
const SIGNATURE: &str = include_str!("../../../plugins/unionpay/vectors/request.sign.b64");
/// 2022-09-11T04:20:00+08:00: the messages are fresh, and their certificate is good.
const NOW_MS: i64 = 1_662_841_200_000;
/// 2025-08-01: their certificate is not any more.
const LATER_MS: i64 = 1_753_977_600_000;

/// One whose account, in the sandbox, believes what these lead from.
fn bench(roots: &str) -> Bench {
    bench_in_mode(false, roots)
}

/// The same, live or not.
pub fn bench_in_mode(live: bool, roots: &str) -> Bench {
    let secrets = [
        ("merchant-private-key", MERCHANT_KEY),
        ("merchant-certificate", MERCHANT),
        ("unionpay-root", roots),
    ];
    let origins = [("gateway", "https://gateway.example"), ("file", "https://file.example")];
    Bench::in_mode(live, "unionpay", &secrets, &[("mer_id", "777290058167151")], &origins)
}

fn fields(file: &str) -> BTreeMap<String, String> {
    serde_json::from_str(file).unwrap()
}

async fn read(
    bench: &Bench,
    now_ms: i64,
    fields: &BTreeMap<String, String>,
) -> Called<Result<Reading, Fault>> {
    let form = form::encode(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    bench.read(&[], form.as_bytes(), now_ms, None).await
}

fn only_event(called: Called<Result<Reading, Fault>>) -> Event {
    match called.answer.unwrap() {
        Reading::Events((_, mut events)) if events.len() == 1 => events.remove(0),
        other => panic!("{other:?}"),
    }
}

fn payment(reference: &str) -> Payment {
    Payment {
        payment_ref: reference.to_owned(),
        provider_ref: None,
        method: "page".to_owned(),
        amount: Money { minor: 1, currency: "CNY".to_owned(), exponent: 2 },
        created_ms: NOW_MS,
        kept: Vec::new(),
    }
}

#[tokio::test]
async fn the_published_notification_is_read_in_the_sandbox() {
    let bench = bench(&format!("{ROOT}\n{MIDDLE}"));
    let called = read(&bench, NOW_MS, &fields(NOTIFICATION)).await;
    assert!(called.signature_held(), "the host saw the signature hold");
    let fact = only_event(called).fact;
    assert_eq!(fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(fact.payment_ref.as_deref(), Some("yansongda20220908132206"));
    assert_eq!(fact.provider_ref.as_deref(), Some("782209081322060674028"));
    assert_eq!(fact.amount, Some(payment("").amount));
}

#[tokio::test]
async fn nothing_else_than_the_published_notification_is_believed() {
    let bench = bench(&format!("{ROOT}\n{MIDDLE}"));
    let honest = fields(NOTIFICATION);
    for (name, value) in [("txnAmt", "2"), ("respCode", "A6"), ("reserved", "more")] {
        let mut changed = honest.clone();
        changed.insert(name.to_owned(), value.to_owned());
        let called = read(&bench, NOW_MS, &changed).await;
        assert!(!called.signature_held(), "{name}");
        assert_eq!(called.answer.unwrap_err().code, "signature", "{name}");
    }
    // The same bytes, when the certificate's time is over.
    let called = read(&bench, LATER_MS, &honest).await;
    assert_eq!(called.answer.unwrap_err().code, "signature");
    // A merchant's certificate hangs below the same middle authority, and is no root.
    let stranger = self::bench(MERCHANT);
    let called = read(&stranger, NOW_MS, &honest).await;
    assert!(!called.signature_held());
    assert_eq!(called.answer.unwrap_err().code, "signature");
}

#[tokio::test]
async fn the_published_answer_to_a_query_is_read_in_the_sandbox() {
    let bench = bench(&format!("{ROOT}\n{MIDDLE}"));
    // It was begun at 04:16:47, as its `txnTime` says.
    let begun = |created_ms: i64| {
        Operation::QueryPayment(Payment { created_ms, ..payment("pay20220911041647") })
    };
    let query = begun(NOW_MS - 193_000);
    let text = |fields: &BTreeMap<String, String>| {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&").into_bytes()
    };
    let answer = |body| HttpResponse { status: 200, headers: Vec::new(), body };
    let honest = fields(REPLY);
    let called = bench
        .plugin
        .interpret(bench.context(NOW_MS), &bench.keys, &query, Vec::new(), answer(text(&honest)))
        .await
        .unwrap();
    assert!(called.signature_held());
    let Ok(Progress::Done(Outcome::Report(report))) = called.answer else {
        panic!("{:?}", called.answer)
    };
    assert_eq!(report.fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(report.fact.provider_ref.as_deref(), Some("512209110416475616528"));

    let another = begun(NOW_MS);
    let called = bench
        .plugin
        .interpret(bench.context(NOW_MS), &bench.keys, &another, Vec::new(), answer(text(&honest)))
        .await
        .unwrap();
    assert_eq!(called.answer.unwrap_err().code, "protocol", "another time is another order");

    let mut changed = honest;
    changed.insert("origRespCode".to_owned(), "A6".to_owned());
    let called = bench
        .plugin
        .interpret(bench.context(NOW_MS), &bench.keys, &query, Vec::new(), answer(text(&changed)))
        .await
        .unwrap();
    assert!(!called.signature_held());
    assert_eq!(called.answer.unwrap_err().code, "signature");
}

/// Whether the published merchant's key signed the SHA-256 of this text, in hexadecimal, as 5.1.0 has it.
fn merchant_signed(text: &str, signature: &str) -> bool {
    let pem = MERCHANT_KEY.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let pair = KeyPair::from_pkcs8(&STANDARD.decode(pem).unwrap()).unwrap();
    let hex = hex::encode(digest(&SHA256, text.as_bytes()));
    let signature = STANDARD.decode(signature.trim()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
    key.verify(hex.as_bytes(), &signature).is_ok()
}

/// The published request and ours are signed alike: what holds for its text and signature holds for those of our form.
#[tokio::test]
async fn a_form_is_signed_as_the_published_request_is() {
    assert!(merchant_signed(SIGNED.trim_end(), SIGNATURE));
    let bench = bench(&format!("{ROOT}\n{MIDDLE}"));
    let order = order("T0000001");
    let called =
        bench.plugin.build(bench.context(NOW_MS), &bench.keys, &order, Vec::new()).await.unwrap();
    let Ok(Step::Done(Outcome::Report(report))) = called.answer else {
        panic!("{:?}", called.answer)
    };
    let NextAction::PostForm(form) = report.action else { panic!("{:?}", report.action) };
    let mut fields = BTreeMap::from_iter(form.fields);
    let signature = fields.remove("signature").unwrap();
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert!(merchant_signed(&pairs.join("&"), &signature), "{pairs:?}");
    assert_eq!(fields["certId"], "69903319369");
    assert_eq!(fields["txnTime"], "20220911042000");
}

/// Row 28: what UnionPay would not take as a number is refused before anybody is sent there.
#[tokio::test]
async fn a_number_that_unionpay_does_not_take_is_not_sent() {
    let bench = bench(&format!("{ROOT}\n{MIDDLE}"));
    let long = "T".repeat(33);
    for reference in ["T000-0001", "T000_0001", "T000001", "", long.as_str()] {
        let order = order(reference);
        let called = bench.plugin.build(bench.context(NOW_MS), &bench.keys, &order, Vec::new());
        let fault = called.await.unwrap().answer.unwrap_err();
        assert_eq!(fault.code, "invalid-request", "{reference}");
        assert!(fault.message.contains("orderId"), "{}", fault.message);
    }
}

fn order(reference: &str) -> Operation {
    Operation::Pay(PayRequest {
        payment: payment(reference),
        order_ref: "order-1".to_owned(),
        subject: "tea".to_owned(),
        description: None,
        items: Vec::new(),
        deliver_to: None,
        notify_url: "https://gateway.example/notify".to_owned(),
        return_url: "https://shop.example/back".to_owned(),
        cancel_url: None,
        payer_ip: None,
        payer_id: None,
        locale: None,
        expires_ms: NOW_MS + 3_600_000,
        manual_capture: false,
        private_fields: Vec::new(),
        extra: Vec::new(),
    })
}
