//! What a payer may not be handed: the payment that nobody was told of has failed, and one that the provider was told of
//! may yet be paid.

use serde_json::json;
use tollgate_tests::World;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::shop::number;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_never_left_has_failed_and_makes_room_for_another() {
    let world = World::start().await;
    world.account().await;
    // In the form of a page it has room; in the text for an app each character is written as nine.
    let item = json!({ "name": "茶".repeat(250), "price": 10, "quantity": 1 });
    let body = json!({
        "number": number("L"), "amount": 400, "currency": "CNY", "subject": "Tea", "items": vec![item; 40],
    });
    let order = world.post("/v1/orders", body).await.ok();
    let payment = world.pay(&order, "app").await;
    assert_eq!(payment["state"], "failed", "{payment}");
    assert_eq!(payment["failure"]["code"], "refused", "{payment}");
    assert_eq!(payment["action"]["kind"], "none", "{payment}");
    assert_eq!(world.events(&order).await, ["order.created", "payment.failed"]);
    let other = world.pay(&order, "page").await;
    assert_eq!(other["state"], "pending", "{other}");
    world.payer_pays(&other).await;
    world.payment_until(&other, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_the_provider_has_stays_unknown() {
    let puppet = Puppet::start().await;
    puppet.answers("pay", &format!("status=pending&code={}", "x".repeat(3_000)));
    let order = puppet.world.order(1250).await;
    let payment = puppet.pay(&order).await;
    assert_eq!(payment["state"], "unknown", "{payment}");
    assert_eq!(payment["failure"]["code"], "refused", "{payment}");
    let another = puppet.world.try_pay(&order, "page").await;
    another.refused(409, "payment-open");
    puppet.succeeds(&payment).await;
}
