//! A loop, a memory bomb and a component that traps: each is stopped within its limits, told as what it is, put into
//! quarantine when it keeps on, and not noticed by its neighbour.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::world::World;

use crate::stage;

/// Failures in a row after which the gateway lets a plugin rest.
const FAILURES: usize = 5;

async fn account(world: &World, plugin: &str) -> Value {
    stage::account(world, plugin, "http://127.0.0.1:9", json!({})).await
}

/// A payment that came to nothing, in no more than so much time, and why.
async fn failed(world: &World, account: &Value, within: Duration) -> String {
    let started = Instant::now();
    let payment = stage::pay(world, account, "page").await;
    assert!(started.elapsed() < within, "it took {:?}", started.elapsed());
    assert_eq!(payment["state"], "failed", "{payment}");
    assert_eq!(payment["failure"]["code"], "plugin", "{payment}");
    assert_eq!(payment["action"]["kind"], "none", "{payment}");
    text(&payment["failure"], "message").to_owned()
}

/// Fails until it is in quarantine, where it is refused at once; why is for those who look at the plugins.
async fn misbehaves(plugin: &str, within: Duration, reason: &str) {
    let (world, _plugins) = stage::world(&["alipay", plugin]).await;
    let account = account(&world, plugin).await;
    for _ in 0..FAILURES {
        let told = failed(&world, &account, within).await;
        assert!(told.contains(reason), "{told}");
    }
    let told = failed(&world, &account, Duration::from_millis(500)).await;
    assert!(told.contains("quarantine"), "{told}");
    let records = "SELECT record FROM exchanges WHERE operation = 'pay' ORDER BY id";
    let traps: Vec<Value> = world
        .select(records)
        .await
        .iter()
        .map(|it| serde_json::from_str::<Value>(it).unwrap()["trap"].clone())
        .collect();
    // The last call was not made.
    assert_eq!(traps.len(), FAILURES, "{traps:?}");
    assert!(traps.iter().all(|trap| trap.as_str().unwrap().contains(reason)), "{traps:?}");
    let listed = world.get("/v1/plugins").await.ok();
    let row = listed["data"].as_array().unwrap().iter().find(|row| row["id"] == plugin).unwrap();
    let requests = &row["health"][0];
    assert_eq!(requests["failed"], FAILURES, "{requests}");
    assert!(text(requests, "quarantine").contains(reason), "{requests}");
    // Its neighbour has noticed nothing.
    world.account().await;
    let order = world.order(1250).await;
    let accounts = world.get("/v1/accounts").await.ok();
    let own =
        accounts["data"].as_array().unwrap().iter().find(|row| row["plugin"] == "alipay").unwrap();
    let body = json!({ "account_id": own["id"], "method": "page" });
    let paid = world.post(&format!("/v1/orders/{}/payments", text(&order, "id")), body).await.ok();
    assert_eq!(paid["state"], "pending", "{paid}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_never_returns_is_ended_by_its_deadline() {
    misbehaves("loop", Duration::from_secs(5), "ran out of time").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_all_memory_is_refused_it() {
    misbehaves("memory", Duration::from_secs(5), "ran out of memory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_traps_takes_nobody_with_it() {
    misbehaves("trap", Duration::from_secs(5), "trapped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_go_on_while_a_neighbour_hangs() {
    let (world, _plugins) = stage::world(&["alipay", "loop"]).await;
    let (own, hanging) = (world.account().await, account(&world, "loop").await);
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let hang = world.post(&path, json!({ "account_id": hanging["id"], "method": "page" }));
    let neighbour = async {
        // Until the loop runs.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let started = Instant::now();
        let payment = stage::pay(&world, &own, "page").await;
        assert_eq!(payment["state"], "pending", "{payment}");
        started.elapsed()
    };
    let started = Instant::now();
    let ((hung, whole), took) = tokio::join!(async { (hang.await, started.elapsed()) }, neighbour);
    assert_eq!(hung.ok()["state"], "failed");
    assert!(took < whole, "a payment waited {took:?} for a plugin that hung {whole:?}");
}
