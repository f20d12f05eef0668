//! Replies: a lie, a broken signature or none moves nothing, and what is not known is asked about.

use serde_json::json;

use tollgate_tests::{Setup, World};

use super::{METHOD, paid_in_silence, with, world};
use crate::stage;

/// Row 16, the other direction, among them: a reply that was signed long ago is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_not_the_providers_word_is_no_answer() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (verb, more) in [
        ("bad_signature", json!({})),
        ("unsigned", json!({})),
        ("stale", json!({ "value": "310" })),
        ("stale", json!({ "value": "-310" })),
        ("wrong_amount", json!({})),
        ("wrong_amount", json!({ "value": "1" })),
        ("set", json!({ "set": { "out_trade_no": "another" } })),
        ("set", json!({ "set": { "mchid": "1000000001" } })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("drop", json!({})),
        ("system_error", json!({})),
        ("refuse", json!({ "value": "FREQUENCY_LIMITED" })),
    ] {
        world.fault("query", verb, more.clone()).await;
        world.sync(&payment).await.refused(503, "unavailable");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb} {more}");
        world.forget("faults").await;
    }
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

/// What became of an order that was asked for without hearing the answer, a query tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_an_answer_is_unknown_and_can_be_paid_yet() {
    let world = world().await;
    world.fault("pay", "lose_reply", json!({})).await;
    let payment = world.pay(&world.order(1250).await, METHOD).await;
    assert_eq!(payment["action"]["kind"], "none", "{payment}");
    assert_ne!(payment["state"], "failed", "{payment}");
    world.act(&payment, "pay").await;
    world.sync(&payment).await.ok();
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_once_whatever_becomes_of_the_answer() {
    let world = with(Setup { call_ms: 1_000, ..Setup::default() }).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_provider_refuses_frees_its_amount() {
    stage::frees_what_is_refused(&world().await, METHOD, "NOT_ENOUGH").await;
}
