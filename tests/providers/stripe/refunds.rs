//! Refunds: done at once, repeated without harm, made in the dashboard, and found to have failed later.

use serde_json::json;
use tollgate_tests::{World, until};

use super::{METHOD, paid, world};
use crate::stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_once_whatever_becomes_of_the_answer() {
    let world = world().await;
    world.lose_notifications().await;
    let faults = [
        ("lose_reply", json!({})),
        ("lose_reply", json!({ "ms": 3_000 })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("system_error", json!({ "value": "done" })),
        ("system_error", json!({})),
    ];
    let payment = async |world: &World| stage::found_paid(world, METHOD).await;
    stage::refunds_once(&world, payment, &faults, &["unknown"]).await;
}

/// `refund.failed` after success: the money did not go, which is a new fact and nobody's silent loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_turns_out_to_have_failed_is_taken_back() {
    let world = world().await;
    let payment = paid(&world).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(world.payment(&payment).await["refunded"], 400);
    world.act(&payment, "fail_refund").await;
    until("the reversal", async || (world.payment(&payment).await["refunded"] == 0).then_some(()))
        .await;
    let now = world.refund_now(&refund).await;
    assert!(now["reversed_at"].is_string(), "{now}");
    // What did not go can be asked for again.
    let again = world.refund(&payment, "R-2", 1250).await;
    assert!(again.status < 500, "{}", again.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_made_in_the_dashboard_is_found() {
    let world = world().await;
    let payment = paid(&world).await;
    let path = format!("trades/{}/refunds", payment["reference"].as_str().unwrap());
    world.control(&path, json!({ "amount": "3.00", "reference": "DASHBOARD" })).await;
    until("the money gone", async || {
        (world.payment(&payment).await["refunded"] == 300).then_some(())
    })
    .await;
    assert_eq!(world.order_of(&payment).await["state"], "partially_refunded");
    // It bears nothing of ours, and turns out to have failed: what it named was the payment.
    world.act(&payment, "fail_refund").await;
    until("its reversal", async || (world.payment(&payment).await["refunded"] == 0).then_some(()))
        .await;
    assert_eq!(world.sync(&payment).await.ok()["refunded"], 0);
    let whole = world.refund(&payment, "R-whole", 1250).await;
    assert!(whole.status < 300, "{}", whole.text);
}

/// Both rows are in the day's bill: what went out, and what came back of it. Neither is a difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_failed_is_no_difference_in_its_days_bill() {
    let world = world().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let payment = paid(&world).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    world.refund_until(&refund, "succeeded").await;
    world.act(&payment, "fail_refund").await;
    until("the reversal", async || (world.payment(&payment).await["refunded"] == 0).then_some(()))
        .await;
    let done = world.reconcile(&account, &world.today().await).await;
    let found = world.discrepancies(&done).await;
    assert_eq!(done["discrepancies"], 0, "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_stripe_refuses_frees_its_amount() {
    stage::frees_what_is_refused(&world().await, METHOD, "charge_disputed").await;
}
