//! Refunds of captures: repeated without harm, and found where they were made elsewhere.

use serde_json::json;
use tollgate_tests::until;

use super::{METHOD, paid, world};
use crate::stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_once_whatever_becomes_of_the_answer() {
    let faults = [
        ("lose_reply", json!({})),
        ("lose_reply", json!({ "ms": 3_000 })),
        ("error_500", json!({})),
        ("system_error", json!({})),
    ];
    let any = ["unknown", "pending", "succeeded"];
    stage::refunds_once(&world().await, paid, &faults, &any).await;
}

/// `PAYMENT.REFUND.FAILED` after success: the money did not go, which is a new fact and nobody's silent loss.
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_made_on_paypals_pages_is_found() {
    let world = world().await;
    let payment = paid(&world).await;
    let path = format!("trades/{}/refunds", payment["reference"].as_str().unwrap());
    world.control(&path, json!({ "amount": "3.00", "reference": "PAGES" })).await;
    until("the money gone", async || {
        world.sync(&payment).await;
        (world.payment(&payment).await["refunded"] == 300).then_some(())
    })
    .await;
    assert_eq!(world.order_of(&payment).await["state"], "partially_refunded");
}

/// Such a refund has its payment's custom id: it is none of ours by that, and none is the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhook_and_report_tell_of_each_refund_made_on_paypals_pages() {
    let world = world().await;
    let (account, payment, day) = stage::a_day(&world, METHOD).await;
    let path = format!("trades/{}/refunds", payment["reference"].as_str().unwrap());
    for (number, back) in [("FIRST", 550), ("SECOND", 850)] {
        world.control(&path, json!({ "amount": "3.00", "reference": number })).await;
        until("the money gone", async || {
            (world.payment(&payment).await["refunded"] == back).then_some(())
        })
        .await;
    }
    world.acknowledged(&payment).await;
    let done = world.reconcile(&account, &day).await;
    let found = world.discrepancies(&done).await;
    assert_eq!((&done["matched"], &found), (&json!(4), &Vec::new()), "{done}");
    // The report has named them: one that fails is asked about by PayPal's number.
    world.act(&payment, "fail_refund").await;
    until("the reversal", async || {
        (world.payment(&payment).await["refunded"] == 550).then_some(())
    })
    .await;
    world.acknowledged(&payment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_paypal_refuses_frees_its_amount() {
    stage::frees_what_is_refused(&world().await, METHOD, "TRANSACTION_DISPUTED").await;
}
