//! Replacing the key that seals secrets, step by step, beside a gateway that works all the while.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate::config::{Config, Given, GivenKey};
use tollgate::server::{self, Running};
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;
use tollgate_tests::world::World;
use tollgate_tests::{Reply, place};

use crate::keys::tollgate;

/// A gateway on the world's folder, with this key and another one that opens too.
async fn start(world: &World, key: &Path, also: Option<&Path>) -> anyhow::Result<Running> {
    let file = |path: &Path| GivenKey { file: Some(path.to_owned()), ..GivenKey::default() };
    let also = also.map(|path| Box::new(file(path)));
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(world.data()),
        plugins: Some(place::plugins()),
        simulators: Some(true),
        key: Some(GivenKey { also, ..file(key) }),
        ..Given::default()
    };
    let mut config = Config::check(given).unwrap();
    config.folders.cache = place::shared("compiled");
    server::start(config).await
}

async fn post(world: &World, running: &Running, path: &str, once: &str, body: &Value) -> Reply {
    let request = world.client.post(format!("{}{path}", running.url)).bearer_auth(&world.key);
    let request = request.header("idempotency-key", once).json(body);
    Reply::of(request.send().await.unwrap()).await
}

/// Pays through an account, for which its keys must be open.
async fn pays(world: &World, running: &Running, account: &Value) {
    let order =
        json!({ "number": number("S"), "amount": 1250, "currency": "CNY", "subject": "Tea" });
    let order = post(world, running, "/v1/orders", &number("k"), &order).await.ok();
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "account_id": account["id"], "method": "page" });
    let payment = post(world, running, &path, &number("k"), &body).await.ok();
    assert_eq!(payment["state"], "pending", "{payment}");
}

fn reseal(world: &World, settings: &Path) -> Value {
    let settings = settings.to_str().unwrap();
    let output = tollgate(&world.data(), &["--json", "reseal", "--config", settings]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fault 56, attack 22: two generations of the sealing key, without an hour in which anything is closed.
#[tokio::test]
async fn the_sealing_key_is_replaced_while_the_gateway_works() {
    let mut world = World::start().await;
    let first = world.account().await;
    let body = json!({ "name": "till", "scopes": ["read"] });
    let told = world.post_once("/v1/keys", "told", &body).await;
    let endpoint = json!({ "url": "https://shop.invalid/hook", "kinds": ["never.told"] });
    world.post("/v1/webhook-endpoints", endpoint).await.ok();
    world.stop_gateway().await;
    let old = world.data().join("sealing.key");
    let new: PathBuf = world.folder.path().join("new.key");
    fs::write(&new, "5a".repeat(32)).unwrap();

    let error = start(&world, &new, None).await.err().unwrap();
    assert!(format!("{error:#}").contains("not the one"), "{error:#}");
    // Some replicas know of the new key before any seals with it.
    let running = start(&world, &old, Some(&new)).await.unwrap();
    pays(&world, &running, &first).await;
    running.stop().await;
    let running = start(&world, &new, Some(&old)).await.unwrap();
    pays(&world, &running, &first).await;
    let mut credentials = world.credentials("account");
    credentials["name"] = json!("Second");
    let second = post(&world, &running, "/v1/accounts", "second", &credentials).await.ok();
    assert_eq!(post(&world, &running, "/v1/keys", "told", &body).await.text, told.text);

    let settings = world.folder.path().join("settings.toml");
    let line = |path: &Path| format!("file = {:?}\n", path.to_str().unwrap());
    fs::write(&settings, format!("[key]\n{}[key.also]\n{}", line(&new), line(&old))).unwrap();
    let done = reseal(&world, &settings);
    assert_eq!(done["accounts"], 1, "the second was sealed with the new key: {done}");
    assert_eq!(done["endpoints"], 1, "{done}");
    assert!(done["answers"].as_u64().unwrap() >= 1, "{done}");
    assert_eq!(reseal(&world, &settings), json!({ "accounts": 0, "endpoints": 0, "answers": 0 }));
    pays(&world, &running, &first).await;
    running.stop().await;

    // The old key is nobody's any more.
    fs::remove_file(&old).unwrap();
    let running = start(&world, &new, None).await.unwrap();
    pays(&world, &running, &first).await;
    pays(&world, &running, &second).await;
    let again = post(&world, &running, "/v1/keys", "told", &body).await;
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&told.text, "true"));
    running.stop().await;
    let error = start(&world, &new, Some(&old)).await.err().unwrap();
    assert!(format!("{error:#}").contains("is missing"), "{error:#}");
}

/// Attack 22: without the key that sealed them, accounts stay as they are.
#[tokio::test]
async fn reseal_without_the_key_that_sealed_changes_nothing() {
    let world = World::start().await;
    world.account().await;
    let before = world.select("SELECT hex(secrets) FROM accounts").await;
    let settings = world.folder.path().join("settings.toml");
    let wrong = world.folder.path().join("wrong.key");
    fs::write(&wrong, "5a".repeat(32)).unwrap();
    fs::write(&settings, format!("[key]\nfile = {:?}\n", wrong.to_str().unwrap())).unwrap();
    let settings = settings.to_str().unwrap();
    let output = tollgate(&world.data(), &["--json", "reseal", "--config", settings]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("not the one"), "{said}");
    assert!(!said.contains("5a5a"), "{said}");
    assert_eq!(world.select("SELECT hex(secrets) FROM accounts").await, before);
}
