//! PayPal's published messages through the compiled component: how it is asked about a webhook, what a webhook says, and a page
//! of transactions. Sources: `plugins/paypal/vectors/README.md`.

use serde_json::Value;
use tollgate_plugin::contract::{
    Authority, Body, Event, HttpResponse, Money, Reading, RefundNews, RefundStatus, RowKind,
    Subject,
};

use crate::bench::{Bench, Parsed, pairs};

const VERIFY: &str = include_str!("../../../plugins/paypal/vectors/verify-webhook-signature.json");
const WEBHOOKS: &str = include_str!("../../../plugins/paypal/vectors/webhooks.json");
const TRANSACTIONS: &[u8] = include_bytes!("../../../plugins/paypal/vectors/transactions.json");
/// 2016-02-18T20:01:35Z, when the published webhook was sent.
const SENT_MS: i64 = 1_455_825_695_000;
const DAY_MS: i64 = 86_400_000;

fn bench() -> Bench {
    let settings = [("client_id", "nobody"), ("webhook_id", "1JE4291016473214C")];
    let origins = [("api", "https://api.example"), ("page", "https://page.example")];
    Bench::of("paypal", &[("client-secret", "of nobody")], &settings, &origins)
}

fn published() -> Value {
    serde_json::from_str(VERIFY).unwrap()
}

fn headers(published: &Value) -> Vec<(String, String)> {
    let named = [
        ("paypal-auth-algo", "auth_algo"),
        ("paypal-cert-url", "cert_url"),
        ("paypal-transmission-id", "transmission_id"),
        ("paypal-transmission-sig", "transmission_sig"),
        ("paypal-transmission-time", "transmission_time"),
    ];
    pairs(&named.map(|(header, member)| (header, published[member].as_str().unwrap())))
}

fn verdict(word: &str) -> HttpResponse {
    let body = format!("{{\"verification_status\":\"{word}\"}}").into_bytes();
    HttpResponse { status: 200, headers: Vec::new(), body }
}

/// What a body says once PayPal has confirmed its signature.
async fn event(bench: &Bench, body: &str) -> Event {
    let published = published();
    let answer = Some((Vec::new(), verdict("SUCCESS")));
    let called = bench.read(&headers(&published), body.as_bytes(), SENT_MS, answer).await;
    let Ok(Reading::Events((_, events))) = called.answer else { panic!("{:?}", called.answer) };
    let [event] = events.as_slice() else { panic!("{events:?}") };
    event.clone()
}

/// From the headers and the body of the published example comes the published request, and the body stands in it byte for byte.
#[tokio::test]
async fn paypal_is_asked_as_its_own_example_asks() {
    let bench = bench();
    let published = published();
    // As no writer of ours would write it.
    let body = serde_json::to_string_pretty(&published["webhook_event"]).unwrap();
    let called = bench.read(&headers(&published), body.as_bytes(), SENT_MS, None).await;
    let Ok(Reading::Ask((request, state))) = called.answer else { panic!("{:?}", called.answer) };
    let url = "https://api.example/v1/notifications/verify-webhook-signature";
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", url));
    let Body::Bytes(sent) = request.body else { panic!("{:?}", request.body) };
    let sent = String::from_utf8(sent).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&sent).unwrap(), published);
    assert!(sent.contains(&body), "{sent}");

    let told = async |word: &str| {
        let answer = Some((state.clone(), verdict(word)));
        bench.read(&headers(&published), body.as_bytes(), SENT_MS, answer).await.answer
    };
    assert_eq!(told("FAILURE").await.unwrap_err().code, "signature");
    let Ok(Reading::Events((_, events))) = told("SUCCESS").await else { panic!("no event") };
    assert_eq!(events[0].fact.about, Subject::Other("ignored".to_owned()));
}

#[tokio::test]
async fn the_published_webhook_is_good_for_days_and_no_longer() {
    let bench = bench();
    let published = published();
    let body = published["webhook_event"].to_string();
    for (after_ms, is_asked) in [
        (-300_000, true),
        (-301_000, false),
        (3 * DAY_MS, true),
        (4 * DAY_MS, true),
        (4 * DAY_MS + 1_000, false),
    ] {
        let at = SENT_MS + after_ms;
        let answer = bench.read(&headers(&published), body.as_bytes(), at, None).await.answer;
        assert_eq!(matches!(answer, Ok(Reading::Ask(_))), is_asked, "{after_ms}");
        if !is_asked {
            assert_eq!(answer.unwrap_err().code, "signature", "{after_ms}");
        }
    }
}

/// The refund was made on PayPal's pages: it has no number of ours, and its payment is found by the capture.
#[tokio::test]
async fn a_published_refund_is_a_hint_about_its_capture() {
    let file: Value = serde_json::from_str(WEBHOOKS).unwrap();
    let event = event(&bench(), file["refunded"].as_str().unwrap()).await;
    let about = Subject::Refund(RefundNews {
        status: RefundStatus::Succeeded,
        refund_ref: None,
        provider_refund_ref: Some("1Y107995YT783435V".to_owned()),
    });
    assert_eq!(event.fact.about, about);
    assert_eq!(event.fact.provider_ref.as_deref(), Some("0JF852973C016714D"));
    assert_eq!((event.fact.amount, event.authority), (None, Authority::Hint));
    assert_eq!(event.dedupe_key, "WH-1GE84257G0350133W-6RW800890C634293G");
}

/// One captured signature fits both bodies, and so neither may say how much was paid.
#[tokio::test]
async fn bodies_of_one_checksum_say_the_same_which_is_nothing() {
    let bench = bench();
    let file: Value = serde_json::from_str(WEBHOOKS).unwrap();
    let bodies = file["same-checksum"].as_array().unwrap();
    let mut facts = Vec::new();
    for body in bodies {
        facts.push(event(&bench, body.as_str().unwrap()).await.fact);
    }
    let [honest, forged] = facts.as_slice() else { panic!("{facts:?}") };
    assert_eq!(honest, forged);
    assert_eq!(honest.amount, None);
}

#[tokio::test]
async fn a_page_of_transactions_is_read_in_the_sandbox() {
    let usd = |minor| Money { minor, currency: "USD".to_owned(), exponent: 2 };
    let Parsed { rows, bad, .. } = bench().parse("transactions", TRANSACTIONS).await;
    let [payment, refund] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((payment.kind, &payment.gross), (RowKind::Payment, &usd(46_500)));
    assert_eq!((&payment.fee, &payment.net), (&Some(usd(1379)), &Some(usd(45_121))));
    assert_eq!(payment.payment_ref.as_deref(), Some("T1"));
    assert_eq!((refund.kind, &refund.gross), (RowKind::Refund, &usd(-400)));
    assert_eq!(refund.refund_ref.as_deref(), Some("R1"));
    assert_eq!(refund.provider_ref, payment.provider_ref);
    assert_eq!(bad, [3], "one bad row costs no other");
}
