//! Two accounts: keys, payments and messages of the one are nothing to the other.

use serde_json::{Value, json};
use tollgate_simulator::{Config, Simulator};
use tollgate_tests::reply::text;
use tollgate_tests::world::World;

use crate::stage;

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

/// A paid payment of account A whose notification is lost, and that notification.
async fn paid_through(world: &World, account: &Value) -> (Value, Value) {
    world.lose_notifications().await;
    let payment = stage::pay(world, account, "page").await;
    world.payer_pays(&payment).await;
    let draft = world.draft(&payment, "truth").await;
    (payment, draft)
}

/// Posts a notification at another account's address, which changes nothing.
async fn is_refused_at(world: &World, other: &Value, payment: &Value, draft: &Value) -> String {
    let asked = world.calls(payment, "query").await;
    let body = text(draft, "message");
    let reply = world.post_form(text(other, "notify_url"), FORM, body).await;
    assert_ne!(reply.text, "success");
    assert_eq!(world.payment(payment).await["state"], "pending");
    assert_eq!(world.calls(payment, "query").await, asked, "it was asked about");
    assert_eq!(world.kept().await.last().map(String::as_str), Some("rejected"));
    world.reason().await
}

#[tokio::test]
async fn a_message_for_one_account_is_nothing_to_another_with_the_same_keys() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let first = world.account().await;
    let mut credentials = world.credentials("account");
    credentials["name"] = json!("The other");
    let second = world.post("/v1/accounts", credentials).await.ok();
    let (payment, draft) = paid_through(&world, &first).await;
    let reason = is_refused_at(&world, &second, &payment, &draft).await;
    assert!(reason.contains("does not know"), "{reason}");
    // At its own address it is believed.
    let reply = world.post_form(text(&first, "notify_url"), FORM, text(&draft, "message")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
    assert_eq!(world.payment(&payment).await["state"], "succeeded");
}

#[tokio::test]
async fn one_accounts_keys_neither_sign_nor_verify_for_another() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let first = world.account().await;
    // Another Alipay, whose merchant has the same number and other keys.
    let other = Simulator::start(Config::default()).await.unwrap();
    let mut credentials = other.providers()[0]["account"].clone();
    credentials["name"] = json!("The other");
    let second = world.post("/v1/accounts", credentials.clone()).await.ok();
    let (payment, draft) = paid_through(&world, &first).await;
    let reason = is_refused_at(&world, &second, &payment, &draft).await;
    assert!(reason.contains("signature"), "{reason}");
    // What the second account's key signed, the first account's Alipay does not take.
    credentials["name"] = json!("Crossed");
    credentials["origins"] = world.credentials("account")["origins"].clone();
    let crossed = world.post("/v1/accounts", credentials).await.ok();
    let stranger = stage::pay(&world, &crossed, "qr").await;
    assert_ne!(stranger["state"], "pending", "{stranger}");
    assert_eq!(stranger["action"]["kind"], "none", "{stranger}");
    other.stop().await;
}
