//! Idempotency keys: Stripe keeps what it answered under one, its own errors too. A lost answer is repeated under the same key;
//! another is taken only once Stripe has answered for good and then says that nothing was done.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, until};

use super::{METHOD, paid, world};

/// The keys under which an operation was sent, in order.
async fn keys(world: &World, operation: &str) -> Vec<String> {
    let sql = format!("SELECT record FROM exchanges WHERE operation = '{operation}' ORDER BY id");
    let key = |record: &String| {
        let record: Value = serde_json::from_str(record).unwrap();
        let headers = record["request"]["headers"].as_array().unwrap().clone();
        let found = headers.iter().find(|header| header[0] == "idempotency-key");
        found.map(|header| header[1].as_str().unwrap().to_owned())
    };
    world.select(&sql).await.iter().filter_map(key).collect()
}

async fn asked_again(world: &World, refund: &Value) -> Value {
    let before = world.simulated("calls").await["refund_query"].as_u64().unwrap_or(0);
    world.make_due("query_refund").await;
    until("a question", async || {
        (world.simulated("calls").await["refund_query"].as_u64() > Some(before)).then_some(())
    })
    .await;
    world.idle().await;
    world.refund_now(refund).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_gets_past_an_error_that_stripe_keeps() {
    let world = world().await;
    world.fault("pay", "system_error", json!({})).await;
    let payment = world.pay(&world.order(1250).await, METHOD).await;
    assert_eq!(payment["state"], "unknown", "{payment}");
    let again = until("a page to pay on", async || {
        world.make_due("query_payment").await;
        let now = world.payment(&payment).await;
        (now["action"]["kind"] == "redirect").then_some(now)
    })
    .await;
    let reference = text(&payment, "reference");
    let wanted = [format!("{reference}-pay"), format!("{reference}-1-pay")];
    assert_eq!(keys(&world, "pay").await, wanted);
    world.payer_pays(&again).await;
    world.payment_until(&payment, "succeeded").await;
}

/// Something may come of an error for an hour yet: until then the key stays, and after it a refund that is nowhere is asked for
/// under another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_gets_past_an_error_that_stripe_keeps() {
    let world = world().await;
    let payment = paid(&world).await;
    world.fault("refund", "system_error", json!({})).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    for _ in 0..2 {
        assert_eq!(asked_again(&world, &refund).await["state"], "unknown");
    }
    let first = format!("{}-refund", text(&refund, "reference"));
    assert_eq!(keys(&world, "refund").await, [&*first, &*first, &*first]);
    world.write("UPDATE tries SET spent_from = 0").await;
    assert_eq!(asked_again(&world, &refund).await["state"], "succeeded");
    let second = format!("{}-1-refund", text(&refund, "reference"));
    assert_eq!(keys(&world, "refund").await, [&*first, &*first, &*first, &*second]);
    assert_eq!(world.trade(&payment).await["refunds"].as_array().unwrap().len(), 1);
}

/// The first sending may be under way however long nobody answers, and whatever a list does not show yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_repeated_under_its_key() {
    let world = world().await;
    let payment = paid(&world).await;
    for (verb, more) in [
        ("drop", json!({ "times": 3 })),
        ("error_500", json!({ "times": 3 })),
        ("html", json!({ "times": 3 })),
    ] {
        world.fault("refund", verb, more).await;
        let before = keys(&world, "refund").await.len();
        let refund = world.refund(&payment, &format!("R-{verb}"), 100).await.ok();
        until("the refund done", async || {
            (asked_again(&world, &refund).await["state"] == "succeeded").then_some(())
        })
        .await;
        let sent = keys(&world, "refund").await;
        let key = format!("{}-refund", text(&refund, "reference"));
        assert_eq!(sent[before..], [&*key, &*key, &*key, &*key], "{verb}");
    }
    assert_eq!(world.trade(&payment).await["refunded"], "3.00");
}

/// Stripe did it and answered with an error of its own: the question finds it, and no other key is ever taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_behind_an_error_is_done_once() {
    let world = world().await;
    let payment = paid(&world).await;
    world.lose_notifications().await;
    world.fault("refund", "system_error", json!({ "value": "done" })).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown", "{refund}");
    world.write("UPDATE tries SET spent_from = 0").await;
    assert_eq!(asked_again(&world, &refund).await["state"], "succeeded");
    assert_eq!(keys(&world, "refund").await.len(), 1);
    assert_eq!(world.select("SELECT CAST(number AS TEXT) FROM tries").await, ["0"]);
    assert_eq!(world.trade(&payment).await["refunded"], "4.00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_gets_past_what_stripe_keeps() {
    let world = world().await;
    for (verb, more) in
        [("system_error", json!({})), ("refuse", json!({ "value": "lock_timeout" }))]
    {
        let payment = world.pay(&world.order(1250).await, METHOD).await;
        world.payer_opens(&payment).await;
        world.fault("close", verb, more).await;
        assert_eq!(world.close(&world.order_of(&payment).await).await.status, 409, "{verb}");
        let closed = world.close(&world.order_of(&payment).await).await.ok();
        assert_eq!(closed["state"], "closed", "{verb}: {closed}");
        assert_eq!(world.trade(&payment).await["status"], "canceled", "{verb}");
    }
}
