//! Codes: which end something, and which say that nobody knows yet.

use serde_json::json;
use tollgate_tests::{World, until};

use super::{METHOD, paid_in_silence, world};
use crate::stage;

/// Rows 23 and 26: 03, 04, 05 and 34 are no failure, and that a query worked does not say that its order was paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unclear_is_neither_paid_nor_failed() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for code in ["03", "04", "05", "34", "64"] {
        world.fault("query", "lie_status", json!({ "value": code })).await;
        world.sync(&payment).await;
        assert_eq!(world.payment(&payment).await["state"], "pending", "{code}");
        world.forget("faults").await;
        assert_eq!(world.order_of(&payment).await["state"], "open", "{code}");
    }
    for code in ["03", "04", "05", "06", "34"] {
        world.fault("query", "refuse", json!({ "value": code })).await;
        world.sync(&payment).await;
        assert_eq!(world.payment(&payment).await["state"], "pending", "{code} of the query itself");
        world.forget("faults").await;
    }
    // Row 24: done with a flaw is done.
    world.fault("query", "lie_status", json!({ "value": "A6" })).await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_paid_is_not_there_and_not_failed() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    for _ in 0..2 {
        world.sync(&payment).await;
        assert_eq!(world.payment(&payment).await["state"], "pending");
    }
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_not_the_providers_word_is_no_answer() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (verb, more) in [
        ("bad_signature", json!({})),
        ("unsigned", json!({})),
        ("wrong_amount", json!({})),
        ("set", json!({ "set": { "orderId": "ANOTHERORDER01" } })),
        ("set", json!({ "set": { "merId": "700000000000001" } })),
        ("set", json!({ "set": { "txnTime": "20200101000000" } })),
        ("set", json!({ "set": { "version": "5.0.0" } })),
        ("set", json!({ "set": { "signMethod": "11" } })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("drop", json!({})),
    ] {
        world.fault("query", verb, more.clone()).await;
        world.sync(&payment).await.refused(503, "unavailable");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb} {more}");
        world.forget("faults").await;
    }
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_once_whatever_becomes_of_the_answer() {
    let world = world().await;
    world.lose_notifications().await;
    let faults = [
        ("lose_reply", json!({})),
        ("error_500", json!({})),
        ("bad_signature", json!({})),
        ("system_error", json!({ "value": "done" })),
        ("system_error", json!({})),
    ];
    let payment = async |world: &World| stage::found_paid(world, METHOD).await;
    stage::refunds_once(&world, payment, &faults, &["unknown"]).await;
}

/// Row 23, of a refund: what is unclear is asked about, and the money goes back once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_of_which_nobody_can_say_yet_has_not_failed() {
    let world = world().await;
    world.lose_notifications().await;
    let codes = ["03", "04", "05", "34"];
    let faults = codes.map(|code| ("refuse", json!({ "value": code })));
    let payment = async |world: &World| stage::found_paid(world, METHOD).await;
    stage::refunds_once(&world, payment, &faults, &["unknown"]).await;
    let payment = stage::found_paid(&world, METHOD).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    for code in codes {
        let before = world.calls(&refund, "refund_query").await;
        world.fault("refund_query", "lie_status", json!({ "times": 0, "value": code })).await;
        until("the refund asked about", async || {
            world.make_due("query_refund").await;
            (world.calls(&refund, "refund_query").await > before).then_some(())
        })
        .await;
        let state = world.refund_now(&refund).await["state"].clone();
        assert!(["pending", "unknown"].contains(&state.as_str().unwrap()), "{code}: {state}");
        world.forget("faults").await;
    }
    until("the refund done", async || {
        world.make_due("query_refund").await;
        (world.refund_now(&refund).await["state"] == "succeeded").then_some(())
    })
    .await;
    assert_eq!(world.trade(&payment).await["refunded"], "4.00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_unionpay_refuses_frees_its_amount() {
    stage::frees_what_is_refused(&world().await, METHOD, "36").await;
}
