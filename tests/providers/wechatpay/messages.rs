//! Notifications: what is refused and why, and what the provider hears.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

use super::{paid_in_silence, with, world};
use crate::stage;

async fn refused(world: &World, payment: &Value, kind: &str, more: &Value, reason: &str) {
    let answer = world.notify_with(payment, kind, more.clone()).await;
    let status = answer["status"].as_u64().unwrap();
    assert!((400..600).contains(&status), "{kind} {more}: {answer}");
    assert!(text(&answer, "body").contains("FAIL"), "{kind} {more}: {answer}");
    let told = world.reason().await;
    assert!(told.contains(reason), "{kind} {more}: {told}");
    assert_eq!(world.payment(payment).await["state"], "pending", "{kind} {more}");
    assert_eq!(world.order_of(payment).await["state"], "open", "{kind} {more}");
}

/// Rows 16 to 19: a stale or future time, an unknown serial, the provider's own probe, and never a 200 for any of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_as_agreed_is_refused() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("forge", json!({}), "signature"),
        ("unsigned", json!({}), "missing"),
        ("probe", json!({}), "base64"),
        ("other_serial", json!({ "value": "PUB_KEY_ID_0000000000000000000001" }), "public key"),
        ("stale", json!({ "value": "301" }), "300 s"),
        ("stale", json!({ "value": "-310" }), "300 s"),
        ("other_algorithm", json!({}), "algorithm"),
        ("truth", json!({ "remove": ["mchid"] }), "mchid"),
        ("truth", json!({ "remove": ["appid"] }), "appid"),
        ("truth", json!({ "remove": ["out_trade_no"] }), "out_trade_no"),
        ("truth", json!({ "remove": ["amount"] }), "amount"),
    ] {
        refused(&world, &payment, kind, &more, reason).await;
    }
    assert_eq!(world.calls(&payment, "query").await, 0, "nobody asks because of a forgery");
    let honest = world.notify(&payment, "truth").await;
    assert_eq!(
        (&honest["status"], &honest["body"]),
        (&json!(200), &json!("{\"code\":\"SUCCESS\"}"))
    );
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

/// Row 19: while we cannot keep what it says, the provider does not hear that it was taken, and says it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_of_our_own_is_no_success() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    world.write("ALTER TABLE notifications RENAME TO lost").await;
    let answer = world.notify(&payment, "truth").await;
    let status = answer["status"].as_u64().unwrap();
    assert!((500..600).contains(&status), "{answer}");
    assert!(!text(&answer, "body").contains("SUCCESS"), "{answer}");
    assert_eq!(world.payment(&payment).await["state"], "pending");
    world.write("ALTER TABLE lost RENAME TO notifications").await;
    assert_eq!(world.notify(&payment, "truth").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
}

/// Rows 1 and 2: signed by the platform, about another app or merchant, or of another amount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_but_not_ours_pays_nothing() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("other_app", json!({}), "appid"),
        ("other_merchant", json!({}), "mchid"),
        ("wrong_amount", json!({ "value": "1" }), "amount"),
        ("wrong_amount", json!({}), "amount"),
    ] {
        refused(&world, &payment, kind, &more, reason).await;
    }
}

/// Row 14: the signature covers the bytes. The same JSON with one space more is another message.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_was_written_anew_is_refused() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    let mut draft = world.draft(&payment, "truth").await;
    let honest = text(&draft, "message").to_owned();
    let parsed: Value = serde_json::from_str(&honest).unwrap();
    let anew = serde_json::to_string_pretty(&parsed).unwrap();
    draft["message"] = json!(anew);
    assert_eq!(world.deliver(&draft).await.status, 401);
    assert_eq!(world.payment(&payment).await["state"], "pending");
    draft["message"] = json!(honest);
    assert_eq!(world.deliver(&draft).await.status, 200);
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

/// Row 15: no address and no `Host` is trusted; everything here comes from loopback, and is refused all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_header_buys_nothing() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for host in ["localhost", "127.0.0.1"] {
        let mut draft = world.draft(&payment, "unsigned").await;
        draft["headers"].as_array_mut().unwrap().push(json!(["host", host]));
        assert_eq!(world.deliver(&draft).await.status, 401, "{host}");
    }
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

/// Row 5: one event over and over, in every order, is one change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_comes_again_changes_nothing_more() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    stage::told_often(&world, &payment, 20).await;
    let events = world.events(&payment).await;
    assert_eq!(events, ["order.created", "payment.succeeded", "order.paid"]);
}

/// Row 19: the status decides, so what we could not do is a 5xx, whatever the body says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_confirmed_yet_is_to_be_sent_again() {
    let world = with(Setup { call_ms: 4_000, confirm_ms: 300, ..Setup::default() }).await;
    let payment = paid_in_silence(&world).await;
    world.fault("query", "delay", json!({ "ms": 2_000 })).await;
    let answer = world.notify(&payment, "truth").await;
    assert_eq!(answer["status"], 503, "{answer}");
    assert!(text(&answer, "body").contains("FAIL"), "{answer}");
    world.payment_until(&payment, "succeeded").await;
}
