//! Methods that take days: the session is complete long before it shows whether the money comes.

use serde_json::{Value, json};
use tollgate_tests::World;

use super::{METHOD, world};

/// A payment whose payer is done, while the money is on its way.
async fn underway(world: &World) -> Value {
    let payment = world.pay(&world.order(1250).await, METHOD).await;
    world.act(&payment, "slow").await;
    world.acknowledged(&payment).await;
    assert_eq!(world.payment(&payment).await["state"], "pending");
    assert_eq!(world.sync(&payment).await.ok()["state"], "pending");
    payment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_takes_days_comes() {
    let world = world().await;
    let payment = underway(&world).await;
    // The merchant cannot end what is on its way.
    assert_eq!(world.close(&world.order_of(&payment).await).await.status, 409);
    world.act(&payment, "slow_succeeds").await;
    let paid = world.payment_until(&payment, "succeeded").await;
    assert_eq!(paid["taken"], 1250, "{paid}");
    assert_eq!(world.order_of(&payment).await["state"], "paid");
}

/// The session stays complete and unpaid for ever: what its intent says ends the payment, and the payer may begin another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_does_not_come_ends_the_payment() {
    let world = world().await;
    let payment = underway(&world).await;
    world.act(&payment, "slow_fails").await;
    let failed = world.payment_until(&payment, "failed").await;
    assert_eq!(failed["failure"]["provider_message"], "The payment failed.", "{failed}");
    world.acknowledged(&payment).await;
    let order = world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("open"), &json!(0)), "{order}");
    let second = world.pay(&order, METHOD).await;
    world.payer_pays(&second).await;
    world.payment_until(&second, "succeeded").await;
    assert_eq!(world.order_of(&payment).await["state"], "paid");
}

/// Nobody tells of the failure: a question finds it, and the merchant can close the order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_does_not_come_is_found_by_asking() {
    let world = world().await;
    let payment = underway(&world).await;
    world.lose_notifications().await;
    world.act(&payment, "slow_fails").await;
    assert_eq!(world.payment(&payment).await["state"], "pending");
    let closed = world.close(&world.order_of(&payment).await).await.ok();
    assert_eq!(closed["state"], "closed", "{closed}");
    assert_eq!(world.payment(&payment).await["state"], "failed");
}
