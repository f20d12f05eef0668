//! A provider that signs with a new certificate: the gateway fetches it, and believes it if the root vouches for it and it
//! bears the provider's name.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

const DOWNLOAD: &str = "alipay.open.app.alipaycert.download";

/// The gap after a try has just begun.
const NOT_SO_SOON: &str = "UPDATE key_fetches SET next_at = 4000000000000000";

/// A world with an account in certificate mode and a paid payment that nobody has told us of.
async fn start() -> (World, Value) {
    let world = World::start().await;
    world.post("/v1/accounts", world.credentials("certificate_account")).await.ok();
    world.lose_notifications().await;
    let payment = paid(&world).await;
    (world, payment)
}

async fn paid(world: &World) -> Value {
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&payment).await;
    world.stop_the_clock().await;
    payment
}

async fn rotate(world: &World, kind: &str) -> Value {
    world.control("special/certificate", json!({ "kind": kind })).await
}

async fn downloads(world: &World) -> u64 {
    world.simulated("calls").await[DOWNLOAD].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_by_a_new_certificate_is_believed_once_that_is_fetched() {
    let (mut world, payment) = start().await;
    rotate(&world, "honest").await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
    assert_eq!(downloads(&world).await, 1);
    let kept = world.select("SELECT slot FROM fetched_keys").await;
    assert_eq!(kept, ["alipay-certificate"]);
    let records = world.select("SELECT record FROM exchanges WHERE operation = 'fetch-keys'").await;
    assert!(records.len() == 1 && records[0].contains(DOWNLOAD), "{records:?}");
    // It stays, over a restart too, and what names no certificate is verified with it as well.
    let second = paid(&world).await;
    assert_eq!(world.sync(&second).await.ok()["state"], "succeeded");
    world.restart().await;
    let third = paid(&world).await;
    assert_eq!(world.notify(&third, "truth").await["body"], "success");
    assert_eq!(world.payment(&third).await["state"], "succeeded");
    assert_eq!(downloads(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_by_a_new_certificate_is_read_once_that_is_fetched() {
    let (world, payment) = start().await;
    let rotated = rotate(&world, "honest").await;
    let named = json!({ "set": { "alipay_cert_sn": rotated["alipay_cert_sn"] } });
    let answer = world.notify_with(&payment, "truth", named).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("success")));
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
    assert_eq!(downloads(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_root_or_name_is_not_believed() {
    for kind in ["foreign_root", "other_name"] {
        let (world, payment) = start().await;
        rotate(&world, kind).await;
        world.sync(&payment).await.refused(503, "unavailable");
        world.write(NOT_SO_SOON).await;
        for _ in 0..2 {
            world.sync(&payment).await.refused(503, "unavailable");
        }
        assert_eq!(downloads(&world).await, 1, "{kind}: not again and again");
        world.write("UPDATE key_fetches SET next_at = 0").await;
        world.sync(&payment).await.refused(503, "unavailable");
        assert_eq!(downloads(&world).await, 2, "{kind}: and not never again");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{kind}");
        assert!(world.select("SELECT slot FROM fetched_keys").await.is_empty(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_name_keys_do_not_keep_an_answers_own_from_being_fetched() {
    let (world, payment) = start().await;
    for number in 0..5 {
        let named = json!({ "set": { "alipay_cert_sn": format!("{number:032x}") } });
        let answer = world.notify_with(&payment, "forge", named).await;
        assert_ne!(answer["body"], "success", "{answer}");
        world.write(NOT_SO_SOON).await;
        world.stop_the_clock().await;
    }
    assert_eq!(downloads(&world).await, 1, "one look for all of them");
    let states = world.select("SELECT state FROM notifications ORDER BY received_at, id").await;
    assert_eq!(states[0], "rejected", "the provider has no such certificate");
    rotate(&world, "honest").await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
    assert_eq!(text(&world.payment(&payment).await, "state"), "succeeded");
    assert_eq!(downloads(&world).await, 2);
}

/// A crowd at two gateways meets the new certificate at once: neither storms the provider for it, and both believe it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_over_two_gateways_does_not_storm_for_a_new_certificate() {
    let (world, first) = start().await;
    let second = world.replica().await;
    let urls = [Some(world.url.clone()), second.as_ref().map(|second| second.url.clone())];
    let urls: Vec<String> = urls.into_iter().flatten().collect();
    let ask = |url: String, payment: Value| {
        let (world, path) = (&world, format!("/v1/payments/{}/sync", text(&payment, "id")));
        async move {
            // Who comes while another one fetches is told to come again.
            for _ in 0..100 {
                let reply = world.post_at(&url, &path, json!({})).await;
                if reply.status == 200 {
                    return reply.ok();
                }
                reply.refused(503, "unavailable");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            panic!("{url} never believes {payment}");
        }
    };
    let mut payments = vec![first];
    for _ in 0..5 {
        payments.push(paid(&world).await);
    }
    // Both know the account with its old certificate.
    for url in &urls {
        assert_eq!(ask(url.clone(), payments[0].clone()).await["state"], "succeeded");
    }
    rotate(&world, "honest").await;
    let crowd = payments[1..].iter().cycle().take(20).enumerate();
    let asked = crowd.map(|(at, payment)| ask(urls[at % urls.len()].clone(), payment.clone()));
    for now in join_all(asked).await {
        assert_eq!(now["state"], "succeeded", "{now}");
    }
    let count = downloads(&world).await;
    assert!((1..=2).contains(&count), "{count} downloads for twenty questions");
    let last = paid(&world).await;
    for url in &urls {
        assert_eq!(ask(url.clone(), last.clone()).await["state"], "succeeded");
    }
    assert_eq!(downloads(&world).await, count, "it is there, in both");
    if let Some(second) = second {
        second.stop().await;
    }
}
