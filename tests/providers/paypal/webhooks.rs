//! Webhooks: PayPal itself says whether a signature holds, and what they tell is a hint all the same.

use serde_json::json;
use tollgate_tests::reply::text;

use super::{approved_in_silence, paid, world};
use crate::stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_paypal_does_not_confirm_is_refused() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    for (kind, more, reason) in [
        ("forge", json!({}), "signature"),
        ("unsigned", json!({}), "missing"),
        ("without", json!({ "value": "paypal-cert-url" }), "missing"),
        ("without", json!({ "value": "paypal-transmission-id" }), "missing"),
        ("rewritten", json!({}), "signature"),
        ("stale", json!({ "value": "345700" }), "4 days"),
        ("stale", json!({ "value": "-310" }), "4 days"),
        // Signed by PayPal, for the webhook of the other mode.
        ("live", json!({}), "signature"),
    ] {
        stage::refused(&world, &payment, kind, &more, reason).await;
    }
    assert_eq!(world.calls(&payment, "query").await, 0, "nobody asks because of a forgery");
    assert_eq!(world.notify(&payment, "truth").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_and_a_body_that_breaks_out_are_refused() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    let mut draft = world.draft(&payment, "truth").await;
    let honest = text(&draft, "message").to_owned();
    let doubled = format!("{honest},\"webhook_event\":{honest}");
    for message in [honest.replace("12.50", "12.51"), doubled, "{}".to_owned(), "[]".to_owned()] {
        draft["message"] = json!(message);
        assert_eq!(world.deliver(&draft).await.status, 400, "{message:.80}");
    }
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

/// PayPal repeats for three days, and may not sign a repeat anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_repeat_of_a_webhook_is_still_heard() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    let three_days = json!({ "value": "259200" });
    assert_eq!(world.notify_with(&payment, "stale", three_days).await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_read_by_nobody() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    stage::refuses_what_is_too_large(&world, &payment).await;
    assert!(world.simulated("calls").await["verify"].is_null(), "PayPal is not asked about it");
}

/// The app's other payments have webhooks too. What bears no reference of our shape is somebody else's, and taken; what bears
/// one that we do not know is to be said again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_about_an_unknown_order_invents_nothing() {
    let world = world().await;
    let payment = paid(&world).await;
    world.refund(&payment, "R-1", 250).await.ok();
    let before = world.events(&payment).await;
    let lost = "TNOBODYSPAYMENTATALL0001";
    for (kind, more, status) in [
        ("success", json!({ "set": { "custom_id": "ORDER-77", "id": "NOBODYSCAPTURE001" } }), 200),
        ("success", json!({ "set": { "id": "NOBODYSCAPTURE001" }, "remove": ["custom_id"] }), 200),
        ("denied", json!({ "set": { "custom_id": "77", "id": "NOBODYSCAPTURE001" } }), 200),
        ("success", json!({ "set": { "custom_id": lost, "id": "NOBODYSCAPTURE001" } }), 400),
        ("success", json!({ "set": { "custom_id": lost } }), 400),
    ] {
        let answer = world.notify_with(&payment, kind, more.clone()).await;
        assert_eq!(answer["status"], status, "{kind} {more}: {answer}");
    }
    let orders = world.get("/v1/orders").await.ok();
    assert_eq!(orders["data"].as_array().unwrap().len(), 1, "{orders}");
    assert_eq!(world.events(&payment).await, before);
}

/// PayPal publishes no shape for what it takes back, and one with few members for an approval that lapsed: of what can be read
/// we ask, and the rest is taken and left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_other_shapes_are_taken() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    let asked = async || world.calls(&payment, "query").await;
    assert_eq!(world.notify(&payment, "lapsed").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
    let before = asked().await;
    // The capture, where its refund is usual.
    let remove = json!({ "remove": ["custom_id"] });
    assert_eq!(world.notify_with(&payment, "taken_back", remove).await["status"], 200);
    assert_eq!(asked().await, before + 1);
    for kind in [
        "CHECKOUT.ORDER.APPROVED",
        "CHECKOUT.PAYMENT-APPROVAL.REVERSED",
        "PAYMENT.CAPTURE.REFUNDED",
        "PAYMENT.CAPTURE.REVERSED",
        "PAYMENT.REFUND.FAILED",
    ] {
        let answer = world.notify_with(&payment, "unknown", json!({ "value": kind })).await;
        assert_eq!(answer["status"], 200, "{kind}: {answer}");
    }
    assert_eq!(asked().await, before + 1, "there is nothing to ask about");
    assert_eq!(world.payment(&payment).await["refunded"], 0);
}

/// Even one that PayPal confirms only has us ask: amounts in it count for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_webhook_is_a_hint() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    world.stop_the_clock().await;
    // Signed, and a lie: nobody has approved anything.
    let lie = json!({ "set": { "status": "COMPLETED" } });
    assert_eq!(world.notify_with(&payment, "truth", lie).await["status"], 200);
    assert_eq!(world.payment(&payment).await["state"], "pending");
    assert_eq!(world.order_of(&payment).await["paid"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_again_and_out_of_order_change_nothing_more() {
    let world = world().await;
    let payment = paid(&world).await;
    world.acknowledged(&payment).await;
    stage::told_often(&world, &payment, 10).await;
    assert_eq!(world.notify(&payment, "denied").await["status"], 200);
    let events = world.events(&payment).await;
    assert_eq!(events.last().map(String::as_str), Some("order.paid"), "{events:?}");
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

/// What we have no use for is taken all the same; what PayPal cannot check now is to be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_webhooks_are_taken_and_unchecked_ones_come_again() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    assert_eq!(world.notify(&payment, "unknown").await["status"], 200);
    world.fault("verify", "error_500", json!({})).await;
    let answer = world.notify(&payment, "truth").await;
    assert!(answer["status"].as_u64().unwrap() >= 500, "{answer}");
    assert_eq!(world.payment(&payment).await["taken"], 0);
    world.forget("faults").await;
    assert_eq!(world.notify(&payment, "truth").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
}
