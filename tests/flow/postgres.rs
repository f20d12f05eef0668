//! What only a server can do to a gateway: lose the answer to a commit, die, begin with several gateways at once, and have
//! a clock of its own. These tests start one whatever engine the others run on.

use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::SecretString;
use serde_json::json;
use tokio::sync::Barrier;
use tollgate::config::Database as Place;
use tollgate::store::{Store, StoreError, orders};
use tollgate_domain::ids::{MerchantId, OrderId};
use tollgate_tests::database::Storage;
use tollgate_tests::postgres::wire::{Cut, Wire};
use tollgate_tests::postgres::{Database, Server};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World, until};

async fn world() -> World {
    World::on(Storage::Server(Database::new().await), Setup::default()).await
}

/// A payment from order to refund while the wire breaks at every commit: each thing happens once, and whoever asked for
/// it hears so.
async fn story_over_a_breaking_wire(cut: Cut) {
    let database = Database::new().await;
    let wire = Wire::new(cut).await;
    let url = wire.url(&database);
    let world = World::on(Storage::Behind(database, url), Setup::default()).await;
    world.account().await;
    for amount in [1250, 990] {
        wire.break_at(6);
        let body = json!({ "number": format!("A-{amount}"), "amount": amount, "currency": "CNY", "subject": "Tea" });
        let made = world.post("/v1/orders", body).await;
        assert_eq!(made.status, 201, "a write that had happened was run again: {}", made.text);
        let payment = world.pay(&made.json, "page").await;
        world.payer_pays(&payment).await;
        world.payment_until(&payment, "succeeded").await;
        let refund = world.refund(&payment, &format!("R-{amount}"), amount).await;
        assert_eq!(refund.status, 201, "{}", refund.text);
        world.refund_until(&refund.json, "succeeded").await;
        until("the wire has broken each time", async || (wire.left() == 0).then_some(())).await;
        let events = ["order.created", "payment.succeeded", "order.paid", "refund.requested"];
        let told = world.events(&payment).await;
        assert_eq!(told[..4], events, "{told:?}");
        assert_eq!(told.iter().filter(|kind| *kind == "refund.succeeded").count(), 1, "{told:?}");
        assert_eq!(world.calls(&payment, "refund").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_has_happened_once() {
    story_over_a_breaking_wire(Cut::After).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_arrived_is_made_again() {
    story_over_a_breaking_wire(Cut::Before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_is_told_of_and_found_again() {
    let server = Server::start(&[]);
    server.run("CREATE DATABASE gate TEMPLATE template0").await;
    let world = World::on(Storage::Own(server.url("gate")), Setup::default()).await;
    world.account().await;
    let order = world.order(1250).await;
    server.crash();
    let asked = world.try_pay(&order, "page").await;
    assert_eq!(asked.header("retry-after"), "5");
    asked.refused(503, "unavailable");
    world.get("/readyz").await.refused(503, "unavailable");
    assert_eq!(world.get("/healthz").await.status, 200);
    assert_eq!(world.simulated("calls").await, json!({}), "the provider was asked");
    server.go_on();
    until("ready again", async || (world.get("/readyz").await.status == 200).then_some(())).await;
    let payment = world.pay(&order, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.events(&order).await, ["order.created", "payment.succeeded", "order.paid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_that_start_at_once_make_one_set_of_tables_and_one_merchant() {
    let database = Database::new().await;
    let (folder, url) = (tempfile::tempdir().unwrap(), database.url());
    std::fs::write(folder.path().join("sealing.key"), "7".repeat(64)).unwrap();
    let start = |number: usize| {
        let data = folder.path().join(number.to_string());
        let config = tollgate_tests::world::alone(data, &url, folder.path().join("sealing.key"));
        assert!(matches!(config.database, Place::Server(_)));
        tollgate::server::start(config)
    };
    let started = tokio::join!(start(0), start(1), start(2), start(3));
    let all = [started.0, started.1, started.2, started.3].map(Result::unwrap);
    assert_eq!(all.iter().filter(|one| one.api_key.is_some()).count(), 1);
    assert!(all.iter().all(|one| one.merchant_id == all[0].merchant_id));
    for one in all {
        one.stop().await;
    }
    // And one with another key, whose accounts the others could not open.
    let (data, key) = (folder.path().join("other"), folder.path().join("other.key"));
    let config = tollgate_tests::world::alone(data, &url, key);
    let refused = tollgate::server::start(config).await.err().unwrap();
    assert!(format!("{refused:#}").contains("sealing key"), "{refused:#}");
}

/// Due times are the database's: here its clock is an hour ahead of this machine's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_is_the_databases() {
    let database = Database::new().await;
    let world = World::on(Storage::Server(database), Setup::default()).await;
    let ahead = "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
         'SELECT pg_catalog.clock_timestamp() + interval ''1 hour'''";
    world.write(ahead).await;
    let name: String = world.select("SELECT CAST(current_database() AS TEXT)").await.concat();
    world.write(&format!("ALTER DATABASE {name} SET search_path = public, pg_catalog")).await;
    let second = world.replica().await.unwrap();
    let body = json!({ "number": "ahead", "amount": 1, "currency": "CNY", "subject": "Tea" });
    let order = world.post_at(&second.url, "/v1/orders", body).await.ok();
    let made = "SELECT CAST(created_at AS TEXT) FROM orders";
    let made: i64 = world.select(made).await.concat().parse().unwrap();
    let ahead_s = (made - world.now()) / 1_000_000;
    assert!((3_540..=3_600).contains(&ahead_s), "{ahead_s} s ahead: {}", text(&order, "id"));
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_sorts_otherwise_is_refused() {
    let server = Server::start(&[]);
    let made = "CREATE DATABASE words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'";
    server.run(made).await;
    let folder = tempfile::tempdir().unwrap();
    let (data, key) = (folder.path().join("data"), folder.path().join("sealing.key"));
    let config = tollgate_tests::world::alone(data, &server.url("words"), key);
    let refused = tollgate::server::start(config).await.err().unwrap();
    assert!(format!("{refused:#}").contains("LC_COLLATE"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_newer_version_are_refused() {
    let mut world = world().await;
    world.stop_gateway().await;
    world.write("INSERT INTO migrations (name, applied_at) VALUES ('9999_future', 0)").await;
    let (data, key) = (world.data(), world.data().join("sealing.key"));
    let config = tollgate_tests::world::alone(data, &world.storage.url().unwrap(), key);
    let refused = tollgate::server::start(config).await.err().unwrap();
    let line = format!("{refused:#}");
    assert!(line.contains("9999_future") && !line.contains('\n'), "{line}");
}

/// Two gateways' writes that hold an order each and want the other's: the database ends one, which is run again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writes_that_cross_both_end_and_happen_once() {
    let world = world().await;
    let (one, other) = (world.order(1250).await, world.order(990).await);
    let merchant: MerchantId =
        world.select("SELECT merchant_id FROM orders LIMIT 1").await.concat().parse().unwrap();
    let [one, other]: [OrderId; 2] = [&one, &other].map(|order| text(order, "id").parse().unwrap());
    world.write("CREATE TABLE crossings (n BIGINT NOT NULL)").await;
    let (runs, meeting) = (&AtomicUsize::new(0), &Barrier::new(2));
    let cross = |order: [OrderId; 2]| {
        let url = SecretString::from(world.storage.url().unwrap());
        async move {
            let store = Store::open_postgres(&url).await.unwrap();
            let first = &AtomicUsize::new(1);
            let write = store.write::<(), StoreError, _>(move |tx| {
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    orders::lock(tx.sql(), merchant, order[0]).await?;
                    if first.swap(0, Ordering::SeqCst) == 1 {
                        meeting.wait().await;
                    }
                    orders::lock(tx.sql(), merchant, order[1]).await?;
                    sqlx::query("INSERT INTO crossings VALUES (1)").execute(tx.sql()).await?;
                    Ok(())
                })
            });
            write.await.unwrap();
        }
    };
    tokio::join!(cross([one, other]), cross([other, one]));
    assert!(runs.load(Ordering::SeqCst) > 2, "they did not cross");
    let count = world.select("SELECT CAST(count(*) AS TEXT) FROM crossings").await;
    assert_eq!(count, ["2"]);
}
