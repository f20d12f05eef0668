//! Successes that are undone: a new fact beside the old one, told once.

use serde_json::json;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_is_reversed_stays_paid_and_says_so() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("query-payment", "status=failed&reason=returned");
    let reply = puppet.says(&payment, "status=failed").await;
    assert_eq!(reply.status, 200);
    let now = puppet.world.payment(&payment).await;
    assert_eq!((&now["state"], &now["taken"]), (&json!("succeeded"), &json!(1000)), "{now}");
    assert_eq!(now["reversed"], 1000, "{now}");
    assert!(now["reversed_at"].is_string(), "{now}");
    let order = puppet.world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!(1000)), "{order}");
    assert_eq!(order["reversed"], 1000, "{order}");
    // Told again, asked again, paid again in an old message: nothing new.
    for old in ["status=failed", "status=succeeded&amount=1000", "status=pending"] {
        assert_eq!(puppet.says(&payment, old).await.status, 200, "{old}");
    }
    puppet.world.sync(&payment).await.ok();
    let wanted = ["order.created", "payment.succeeded", "order.paid", "payment.reversed"];
    assert_eq!(puppet.world.events(&payment).await, wanted);
    puppet.world.refund(&payment, "R-1", 1).await.refused(409, "refund-exceeds-payment");
}

/// A failed try, then a success, and the message about the failure comes last: the provider is asked, and denies it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_failure_reverses_nothing() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    let asked = puppet.asked("query-payment");
    assert_eq!(puppet.says(&payment, "status=failed").await.status, 200);
    assert_eq!(puppet.asked("query-payment"), asked + 1);
    let now = puppet.world.payment(&payment).await;
    assert_eq!((&now["state"], &now["reversed"]), (&json!("succeeded"), &json!(0)), "{now}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_reversed_is_with_the_merchant_again() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    puppet.answers("refund", "status=succeeded");
    let refund = puppet.world.refund(&payment, "R-1", 1000).await.ok();
    assert_eq!(puppet.world.order_of(&payment).await["state"], "refunded");
    puppet.answers("query-refund", "status=failed&reason=account+closed");
    let news = format!("about=refund&status=failed&refund_ref={}", text(&refund, "reference"));
    for _ in 0..2 {
        assert_eq!(puppet.says(&payment, &news).await.status, 200);
    }
    let now = puppet.world.refund_now(&refund).await;
    assert_eq!(now["state"], "succeeded", "{now}");
    assert!(now["reversed_at"].is_string(), "{now}");
    let paid = puppet.world.payment(&payment).await;
    assert_eq!((&paid["refunded"], &paid["refund_reserved"]), (&json!(0), &json!(0)), "{paid}");
    let order = puppet.world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["refunded"]), (&json!("paid"), &json!(0)), "{order}");
    let events = puppet.world.events(&payment).await;
    assert_eq!(events.iter().filter(|kind| *kind == "refund.reversed").count(), 1, "{events:?}");
    // It can be given back once more, and the sum that the provider told before is of the first time.
    let again = puppet.world.refund(&payment, "R-2", 1000).await.ok();
    assert_eq!(again["state"], "succeeded");
    puppet.answers("query-payment", "status=succeeded&refunded=1000");
    puppet.world.sync(&payment).await.ok();
    let list = puppet.world.get(&format!("/v1/refunds?payment_id={}", text(&payment, "id"))).await;
    assert_eq!(list.ok()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_tells_of_a_reversal_too() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    let ours = text(&payment, "reference");
    let row = format!("kind=reversal&payment_ref={ours}&gross=-1000&at=2026-11-22T10:00:00Z");
    puppet.answers("bill", &row);
    for _ in 0..2 {
        puppet.world.reconcile(&puppet.account, "2026-11-22").await;
    }
    let now = puppet.world.payment(&payment).await;
    assert_eq!((&now["state"], &now["reversed"]), (&json!("succeeded"), &json!(1000)), "{now}");
    let events = puppet.world.events(&payment).await;
    assert_eq!(events.iter().filter(|kind| *kind == "payment.reversed").count(), 1, "{events:?}");
}
