//! Stripe's published messages through the compiled component and the host's own keys: what holds is read, and a changed byte is
//! refused. Sources: `plugins/stripe/vectors/README.md`.

use serde_json::Value;
use tollgate_plugin::contract::{
    Authority, Event, Money, PaymentStatus, Reading, RefundStatus, RowKind, Subject,
};

use crate::bench::{Bench, Parsed, pairs};

const EVENTS: &str = include_str!("../../../plugins/stripe/vectors/events.json");
const BALANCE: &[u8] = include_bytes!("../../../plugins/stripe/vectors/balance.json");

fn file() -> Value {
    serde_json::from_str(EVENTS).unwrap()
}

fn bench() -> Bench {
    let file = file();
    let secret = file["secret"].as_str().unwrap();
    let secrets = [("secret-key", "sk_test_of_nobody"), ("webhook-secret", secret)];
    Bench::of("stripe", &secrets, &[], &[("api", "https://api.example")])
}

fn message(name: &str) -> (String, String, i64) {
    let file = file();
    let told = |member: &str| file["events"][name][member].as_str().unwrap().to_owned();
    (told("stripe-signature"), told("body"), file["received"].as_i64().unwrap() * 1000)
}

async fn event(bench: &Bench, name: &str) -> Event {
    let (signature, body, at) = message(name);
    let headers = pairs(&[("stripe-signature", &signature)]);
    let called = bench.read(&headers, body.as_bytes(), at, None).await;
    assert!(called.signature_held(), "{name}");
    let Ok(Reading::Events((_, events))) = called.answer else { panic!("{:?}", called.answer) };
    let [event] = events.as_slice() else { panic!("{events:?}") };
    event.clone()
}

/// The published signature holds; what it is of is no whole event, and that is found out only after.
#[tokio::test]
async fn the_published_signature_holds_and_no_other() {
    let bench = bench();
    let (signature, body, at) = message("signature");
    for (signature, body, at, holds) in [
        (signature.clone(), body.clone(), at, true),
        (signature.clone(), body.clone(), at + 300_000, true),
        (signature.clone(), body.clone(), at + 301_000, false),
        (signature.clone(), body.clone(), at - 301_000, false),
        (signature.clone(), body.replace("evt_test_1", "evt_test_2"), at, false),
        (signature.clone(), format!("{body}\n"), at, false),
        (signature.replace("v1=ca", "v1=cb"), body.clone(), at, false),
        (signature.replace("v1=", "v0="), body.clone(), at, false),
    ] {
        let headers = pairs(&[("stripe-signature", &signature)]);
        let called = bench.read(&headers, body.as_bytes(), at, None).await;
        assert_eq!(called.signature_held(), holds, "{signature} {body} {at}");
        let expected = if holds { "protocol" } else { "signature" };
        assert_eq!(called.answer.unwrap_err().code, expected, "{signature} {body} {at}");
    }
}

#[tokio::test]
async fn events_about_published_objects_are_read_in_the_sandbox() {
    let bench = bench();
    // Somebody else's session on the same account names no payment of ours.
    let stranger = event(&bench, "session").await;
    assert_eq!(stranger.fact.about, Subject::Other("ignored".to_owned()));

    let paid = event(&bench, "paid").await;
    assert_eq!(paid.fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(paid.fact.payment_ref.as_deref(), Some("TP0000000000000000000001"));
    assert_eq!(paid.fact.provider_ref.as_deref(), Some("pi_1MoS6fLgUG5tbmjca6AdBPsl"));
    assert_eq!(paid.fact.amount, Some(money(1250, "USD")));
    assert_eq!((paid.fact.live, &*paid.dedupe_key), (Some(false), "evt_paid"));
    assert_eq!(paid.authority, Authority::Authoritative);

    let failed = event(&bench, "refund-failed").await;
    let Subject::Refund(news) = &failed.fact.about else { panic!("{failed:?}") };
    assert_eq!(news.status, RefundStatus::Failed);
    assert_eq!(news.refund_ref.as_deref(), Some("R1"));
    assert_eq!(news.provider_refund_ref.as_deref(), Some("re_1Nispe2eZvKYlo2Cd31jOCgZ"));
    assert_eq!(failed.fact.reason.as_deref(), Some("expired_or_canceled_card"));
    assert_eq!(failed.fact.amount, Some(money(1000, "USD")));
}

fn money(minor: i64, currency: &str) -> Money {
    Money { minor, currency: currency.to_owned(), exponent: 2 }
}

#[tokio::test]
async fn a_published_page_of_the_balance_is_read_in_the_sandbox() {
    let Parsed { rows, bad, .. } = bench().parse("balance", BALANCE).await;
    let [transfer, charge] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((transfer.kind, &transfer.gross), (RowKind::Payout, &money(-400, "USD")));
    assert_eq!(transfer.at.as_deref(), Some("2023-03-05T19:17:24Z"));
    assert_eq!((charge.kind, &charge.gross), (RowKind::Payment, &money(1000, "EUR")));
    let settled = (charge.fee.clone(), charge.net.clone());
    assert_eq!(settled, (Some(money(62, "USD")), Some(money(1038, "USD"))));
    assert_eq!(charge.payment_ref.as_deref(), Some("T1"));
    assert_eq!(bad, [3], "one bad row costs no other");
}
