//! What lies on the disk: for its owner alone, and worth nothing without the key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tollgate::config::{Config, Given};
use tollgate::server;
use tollgate_tests::reply::text;
use tollgate_tests::world::World;

use crate::canary;
use crate::needles::{Needles, of_private_key};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The folder may be another's who lets everybody look into it: what the gateway makes there is its own.
#[tokio::test]
async fn the_database_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(folder.path().to_owned()),
        ..Given::default()
    };
    let running = server::start(Config::check(given).unwrap()).await.unwrap();
    for name in ["tollgate.db", "tollgate.db-wal", "tollgate.db-shm", "sealing.key"] {
        assert_eq!(mode(&folder.path().join(name)), 0o600, "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn data_is_for_its_owner_alone() {
    let world = World::start().await;
    world.account().await;
    let data = world.data();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("bills")), 0o700);
    assert_eq!(mode(&data.join("sealing.key")), 0o600);
    assert!(data.join("tollgate.db").is_file());
}

/// A data folder as a thief would have it: a world's, and what is to be found in it.
async fn loot() -> (World, Value, Needles) {
    let mut world = World::start().await;
    let account = world.account().await;
    let credentials = world.credentials("account");
    let needles = Needles::of(&of_private_key(text(&credentials["secrets"], "app-private-key")));
    world.stop_gateway().await;
    (world, account, needles)
}

/// Starts a gateway in a data folder and tries to pay; tells everything that it said. It must not have worked.
async fn tries(world: &World, account: &Value) -> String {
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(world.data()),
        plugins: Some(tollgate_tests::place::plugins()),
        simulators: Some(true),
        ..Given::default()
    };
    let running = match server::start(Config::check(given).unwrap()).await {
        Ok(running) => running,
        Err(error) => return one_line(format!("{error:#}")),
    };
    let client = |path: &str, body: Value| {
        let request = world.client.post(format!("{}{path}", running.url)).bearer_auth(&world.key);
        request.json(&body).send()
    };
    let order = json!({ "number": "T1", "amount": 1250, "currency": "CNY", "subject": "Tea" });
    let order: Value = client("/v1/orders", order).await.unwrap().json().await.unwrap();
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "account_id": account["id"], "method": "page" });
    let reply = client(&path, body).await.unwrap();
    let status = reply.status().as_u16();
    let said = reply.text().await.unwrap();
    assert!(status >= 500, "{status} {said}");
    running.stop().await;
    said
}

fn one_line(text: String) -> String {
    assert!(!text.is_empty() && !text.contains('\n'), "{text}");
    text
}

#[tokio::test]
async fn a_database_without_its_key_opens_nothing() {
    let (world, account, needles) = loot().await;
    fs::remove_file(world.data().join("sealing.key")).unwrap();
    let said = tries(&world, &account).await;
    assert!(said.contains("sealing key") && said.contains("is missing"), "{said}");
    assert!(!world.data().join("sealing.key").exists(), "no other key takes its place");
    needles.absent("the answer", said);
    for (name, bytes) in canary::files(&world) {
        needles.absent(&name, bytes);
    }
}

#[tokio::test]
async fn another_key_opens_nothing_and_says_so() {
    let (world, account, needles) = loot().await;
    fs::write(world.data().join("sealing.key"), "5a".repeat(32)).unwrap();
    let said = tries(&world, &account).await;
    assert!(said.contains("sealing key") && said.contains("not the one"), "{said}");
    needles.absent("the answer", &said);
    assert!(!said.contains("5a5a5a"), "{said}");
}

#[tokio::test]
async fn what_is_no_key_stops_the_start_with_one_line() {
    let (world, account, _) = loot().await;
    for wrong in ["", "canary-canary", "5a5a", &"zz".repeat(32)] {
        fs::write(world.data().join("sealing.key"), wrong).unwrap();
        let said = tries(&world, &account).await;
        assert!(said.contains("sealing key") && said.contains("64 hex digits"), "{said}");
        assert!(wrong.is_empty() || !said.contains(wrong), "{said}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_not_opened() {
    let mut world = World::start().await;
    for _ in 0..20 {
        world.order(1250).await;
    }
    world.stop_gateway().await;
    // Everything from the log into the file itself.
    world.write("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let file = world.data().join("tollgate.db");
    let mut bytes = fs::read(&file).unwrap();
    // The heads of pages, but for the first: a page that says it is of no kind.
    for page in (4096..bytes.len()).step_by(4096) {
        bytes[page] ^= 0x5a;
    }
    fs::write(&file, bytes).unwrap();
    let given = Given {
        listen: Some("127.0.0.1:0".to_owned()),
        data: Some(world.data()),
        plugins: Some(tollgate_tests::place::plugins()),
        ..Given::default()
    };
    let refused = server::start(Config::check(given).unwrap()).await.err().unwrap();
    let line = one_line(format!("{refused:#}"));
    assert!(line.contains("damaged"), "{line}");
}
