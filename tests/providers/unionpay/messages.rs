//! Notifications: what is refused and why.

use serde_json::json;
use tollgate_tests::reply::text;

use super::{paid, paid_in_silence, world};
use crate::stage;

/// Row 22 among them: a certificate in the message counts by its chain **and** its name. That of a merchant comes from the same
/// authority, and one of somebody's own making bears the right name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_as_agreed_is_refused() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("forge", json!({}), "signature"),
        ("merchant_certificate", json!({}), "not UnionPay's"),
        ("self_signed", json!({}), "not UnionPay's"),
        ("unsigned", json!({}), "signature"),
        ("other_version", json!({}), "version"),
        ("other_method", json!({ "value": "11" }), "signMethod"),
        ("other_method", json!({ "value": "12" }), "signMethod"),
        ("duplicate_field", json!({}), "txnAmt"),
        ("truth", json!({ "remove": ["orderId"] }), "orderId"),
        ("truth", json!({ "remove": ["queryId"] }), "queryId"),
        ("truth", json!({ "remove": ["txnAmt"] }), "txnAmt"),
        ("truth", json!({ "remove": ["bizType"] }), "bizType"),
        ("truth", json!({ "set": { "bizType": "000301" } }), "bizType"),
        ("truth", json!({ "set": { "txnSubType": "03" } }), "txnSubType"),
        ("truth", json!({ "set": { "accessType": "1" } }), "accessType"),
        ("truth", json!({ "set": { "currencyCode": "840" } }), "currencyCode"),
        ("truth", json!({ "set": { "txnAmt": "12.50" } }), "txnAmt"),
    ] {
        stage::refused(&world, &payment, kind, &more, reason).await;
    }
    assert_eq!(world.calls(&payment, "query").await, 0, "nobody asks because of a forgery");
    assert_eq!(world.notify(&payment, "truth").await["status"], 200);
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

/// Rows 1 and 2: signed by UnionPay, about another merchant or of another amount.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_but_not_ours_pays_nothing() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (kind, more, reason) in [
        ("other_merchant", json!({}), "mer_id"),
        ("wrong_amount", json!({ "value": "1" }), "amount"),
        ("wrong_amount", json!({}), "amount"),
    ] {
        stage::refused(&world, &payment, kind, &more, reason).await;
    }
}

/// Row 30: the certificate in the message has line ends that belong to what is signed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_ends_that_were_made_alike_break_the_signature() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    let mut draft = world.draft(&payment, "truth").await;
    let honest = text(&draft, "message").to_owned();
    assert!(honest.contains("%0A"), "the certificate has lines");
    let other = if honest.contains("%0D%0A") {
        honest.replace("%0D%0A", "%0A")
    } else {
        honest.replace("%0A", "%0D%0A")
    };
    draft["message"] = json!(other);
    assert_eq!(world.deliver(&draft).await.status, 400);
    assert_eq!(world.payment(&payment).await["state"], "pending");
    draft["message"] = json!(honest);
    assert_eq!(world.deliver(&draft).await.status, 200);
    world.payment_until(&payment, "succeeded").await;
}

/// Row 29: a message about a void (31) tells of money that went back, and is no second word about the payment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_that_was_made_at_unionpay_is_a_refund() {
    let world = world().await;
    let payment = paid(&world).await;
    world.lose_notifications().await;
    let path = format!("trades/{}/refunds", text(&payment, "reference"));
    world.control(&path, json!({ "amount": "12.50", "reference": "VOIDEDTHERE1" })).await;
    assert_eq!(world.payment(&payment).await["refunded"], 0);
    let void = json!({ "set": { "txnType": "31" } });
    assert_eq!(world.notify_with(&payment, "refund_notice", void).await["status"], 200);
    let now = world.payment(&payment).await;
    assert_eq!((&now["state"], &now["refunded"]), (&json!("succeeded"), &json!(1250)), "{now}");
    assert_eq!(world.order_of(&payment).await["state"], "refunded");
}

/// Row 24: A6 is success with a flaw, and a message again is one change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_with_a_flaw_is_a_success_told_once() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    assert_eq!(world.notify(&payment, "code").await["status"], 200);
    world.payment_until(&payment, "succeeded").await;
    stage::told_often(&world, &payment, 20).await;
    let events = world.events(&payment).await;
    assert_eq!(events, ["order.created", "payment.succeeded", "order.paid"]);
}
