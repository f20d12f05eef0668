//! What the provider answers, taken by its raw bytes or not at all.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

async fn paid_in_silence(world: &World) -> Value {
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_not_the_providers_word_is_none() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    for (verb, more) in [
        ("bad_signature", json!({})),
        ("unsigned", json!({})),
        ("html", json!({})),
        ("error_500", json!({})),
        ("drop", json!({})),
        ("system_error", json!({})),
        ("system_error", json!({ "value": "done" })),
        // An error reply may have no signature, and is never a final state.
        ("refuse", json!({ "value": "isv.invalid-signature" })),
        ("wrong_amount", json!({ "value": "0.01" })),
        ("wrong_amount", json!({})),
        ("set", json!({ "set": { "out_trade_no": "another" } })),
    ] {
        world.fault("query", verb, more.clone()).await;
        let problem = world.sync(&payment).await.refused(503, "unavailable");
        assert!(text(&problem, "detail").starts_with("no answer"), "{verb}: {problem}");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb} {more}");
        world.forget("faults").await;
    }
    // Two of them were signed, and disagreed with what we know: somebody has to look.
    let told = ["order.created", "payment.conflict", "payment.conflict"];
    assert_eq!(world.events(&payment).await, told);
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unsigned_refusal_is_no_refusal() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    world.fault("query", "refuse", json!({ "value": "ACQ.TRADE_NOT_EXIST" })).await;
    world.fault("query", "unsigned", json!({})).await;
    world.sync(&payment).await.refused(503, "unavailable");
    // Signed, it says that nothing is there: which proves nothing before anybody has scanned.
    world.fault("query", "refuse", json!({ "value": "ACQ.TRADE_NOT_EXIST" })).await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "pending");
    assert_eq!(world.order_of(&payment).await["state"], "open");
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

/// Slashes, escapes, emoji, a member that is called like the signature: signed as written, so it must be checked as
/// written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_bytes_are_what_is_signed() {
    for (name, value) in [
        ("store_name", "a/b \\ \"c\" {d} 🍵"),
        ("store_name", "}, \"sign\": \"AAAA\""),
        ("sign", "an inner member of this name"),
        ("alipay_trade_query_response", "{\"code\":\"10000\"}"),
        ("subject", "+ %2B & = ÿ \u{2028}"),
    ] {
        let world = World::start().await;
        let payment = paid_in_silence(&world).await;
        world.fault("query", "set", json!({ "set": { name: value } })).await;
        let now = world.sync(&payment).await.ok();
        assert_eq!(
            (&now["state"], &now["taken"]),
            (&json!("succeeded"), &json!(1250)),
            "{name} {value}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_for_a_state_that_nobody_knows_change_nothing() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    for status in ["TRADE_PENDING", "", "success", "TRADE_SUCCES"] {
        world.fault("query", "lie_status", json!({ "value": status })).await;
        let reply = world.sync(&payment).await;
        assert!(matches!(reply.status, 200 | 503), "{status}: {}", reply.text);
        assert_eq!(world.payment(&payment).await["state"], "pending", "{status}");
    }
    assert_eq!(world.events(&payment).await, ["order.created"]);
}

/// Every exchange is kept with what was sent and answered, and with nothing secret in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_exchange_is_on_record_without_secrets() {
    let world = World::start().await;
    let payment = paid_in_silence(&world).await;
    world.sync(&payment).await.ok();
    world.refund(&payment, "R-1", 250).await.ok();
    let records = world
        .select("SELECT operation || ' ' || record FROM exchanges ORDER BY created_at, id")
        .await;
    let of = |operation: &str| records.iter().filter(|row| row.starts_with(operation)).count();
    assert_eq!((of("query-payment"), of("refund")), (1, 1), "{records:#?}");
    let secret =
        world.credentials("account")["secrets"]["app-private-key"].as_str().unwrap().to_owned();
    assert!(records.iter().all(|row| !row.contains(&secret[..64])), "the key is in a record");
    let query = records.iter().find(|row| row.starts_with("query-payment")).unwrap();
    assert!(query.contains("TRADE_SUCCESS") && query.contains("alipay.trade.query"), "{query}");
}
