//! Row 17: keys by serial. Certificates are fetched when one is missed, several are held at once, and a merchant who changes
//! over gets a mix of both kinds.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::{Setup, World};

use super::paid_in_silence;

async fn certificates() -> World {
    let world = World::with(Setup { provider: "wechatpay", ..Setup::default() }).await;
    world.post("/v1/accounts", world.credentials("certificate_account")).await.ok();
    world
}

async fn fetched(world: &World) -> u64 {
    world.simulated("calls").await["certificates"].as_u64().unwrap_or(0)
}

async fn pay(world: &World) -> Value {
    let payment = world.pay(&world.order(1250).await, "native").await;
    world.payer_pays(&payment).await;
    payment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_certificate_is_fetched_and_believed_for_the_secret_that_sealed_it() {
    let mut world = certificates().await;
    let payment = pay(&world).await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(fetched(&world).await, 1, "fetched for the first reply, held for all that follow");
    world.restart().await;
    let again = pay(&world).await;
    world.payment_until(&again, "succeeded").await;
    assert_eq!(fetched(&world).await, 1, "it is kept over a restart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_fetched_when_it_is_missed_and_the_old_one_still_holds() {
    let world = certificates().await;
    let first = pay(&world).await;
    world.payment_until(&first, "succeeded").await;
    world.lose_notifications().await;
    let second = world.pay(&world.order(1250).await, "native").await;
    world.payer_pays(&second).await;
    world.stop_the_clock().await;
    let before = world.draft(&second, "truth").await;
    world.control("special/certificate", json!({})).await;
    world.write("UPDATE key_fetches SET next_at = 0").await;
    let after = world.draft(&second, "truth").await;
    assert_eq!(world.deliver(&after).await.status, 200, "signed by the new one");
    world.payment_until(&second, "succeeded").await;
    assert_eq!(fetched(&world).await, 2);
    assert_eq!(world.deliver(&before).await.status, 200, "signed by the old one");
}

/// A merchant who changes over asks for his public key to be used, and for weeks is told by certificates as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_with_a_public_key_is_told_by_certificates_too() {
    let world = super::world().await;
    let (first, second) = (paid_in_silence(&world).await, paid_in_silence(&world).await);
    let by_certificate = world.notify(&first, "by_certificate").await;
    assert_eq!(by_certificate["status"], 200, "{by_certificate}");
    world.payment_until(&first, "succeeded").await;
    assert_eq!(fetched(&world).await, 1);
    let by_key = world.notify(&second, "truth").await;
    assert_eq!(by_key["status"], 200, "{by_key}");
    world.payment_until(&second, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_serial_that_nobody_has_is_asked_for_once_and_refused() {
    let world = certificates().await;
    let first = pay(&world).await;
    world.payment_until(&first, "succeeded").await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "native").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    world.write("UPDATE key_fetches SET next_at = 0").await;
    for _ in 0..3 {
        let answer = world.notify_with(&payment, "other_serial", json!({ "value": "0BAD" })).await;
        assert!(answer["status"].as_u64().unwrap() >= 400, "{answer}");
    }
    assert_eq!(world.payment(&payment).await["state"], "pending");
    assert_eq!(fetched(&world).await, 2, "one refresh, not one a message");
}

/// One that is held is let go when its time is over, and not taken again from whoever hands it over, sealed as it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_counts_as_long_as_it_is_good() {
    let world = certificates().await;
    let first = pay(&world).await;
    world.payment_until(&first, "succeeded").await;
    world.lose_notifications().await;
    let (second, third) = (pay(&world).await, pay(&world).await);
    world.stop_the_clock().await;
    let renew = "UPDATE key_fetches SET next_at = 0";
    world.control("special/certificate", json!({ "life_s": 4 })).await;
    world.write(renew).await;
    let in_time = world.draft(&second, "truth").await;
    assert_eq!(world.deliver(&in_time).await.status, 200, "signed while it was good");
    world.payment_until(&second, "succeeded").await;
    world.stop_the_clock().await;
    assert_eq!(fetched(&world).await, 2);

    tokio::time::sleep(Duration::from_secs(5)).await;
    world.write(renew).await;
    let late = world.draft(&third, "truth").await;
    for _ in 0..2 {
        assert!(world.deliver(&late).await.status >= 400, "by the one whose time is over");
        assert_eq!(world.payment(&third).await["state"], "pending");
    }
    assert_eq!(fetched(&world).await, 3, "it was handed over again, and not believed");

    world.control("special/certificate", json!({})).await;
    world.write(renew).await;
    let honest = world.draft(&third, "truth").await;
    assert_eq!(world.deliver(&honest).await.status, 200, "by the one that came after it");
    world.payment_until(&third, "succeeded").await;
}
