//! Balance transactions: fees and nets, pages, and planted differences.

use serde_json::{Value, json};
use tollgate_tests::{World, until};

use super::{paid, world};

async fn a_day(world: &World) -> (Value, Value, String) {
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let day = world.days_ago(1).await;
    let payment = paid(world).await;
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    world.refund_until(&refund, "succeeded").await;
    (account, payment, day)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_reconciles_and_each_difference_is_found() {
    for (edit, matched, kinds) in [
        (None, 2, &[] as &[&str]),
        (Some(json!({ "op": "change_amount", "value": "12.51" })), 1, &["amount"]),
        (Some(json!({ "op": "drop_row" })), 1, &["missing_there"]),
        (Some(json!({ "op": "duplicate_row" })), 2, &["duplicate"]),
    ] {
        let world = world().await;
        let (account, payment, day) = a_day(&world).await;
        if let Some(mut edit) = edit.clone() {
            edit["reference"] = payment["reference"].clone();
            world.control("bill-edits", edit).await;
        }
        let done = world.reconcile(&account, &day).await;
        let found = world.discrepancies(&done).await;
        let told: Vec<&str> = found.iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(told, kinds, "{edit:?}: {found:?}");
        assert_eq!(done["matched"], matched, "{edit:?}: {done}");
    }
}

/// More rows than a page holds, planted in the ledger: each is read once, whatever page it is on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let world = world().await;
    let (account, _, day) = a_day(&world).await;
    let trades: Vec<Value> = (0..250)
        .map(|number| json!({ "reference": format!("PLANTED{number:04}"), "amount": "1.00" }))
        .collect();
    world.control("seed", json!({ "trades": trades })).await;
    let made =
        world.post("/v1/bills", json!({ "account_id": account["id"], "period": day })).await.ok();
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(252)), "{made}");
    assert_eq!(world.simulated("calls").await["bill"], 3, "a hundred a page");
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(2), &json!(250)), "{done}");
}

/// A row that cannot be read costs no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_leaves_the_others_readable() {
    let world = world().await;
    let (account, _, day) = a_day(&world).await;
    let set = json!({ "/data/0/amount": "much" });
    world.fault("bill", "set", json!({ "set": set })).await;
    let body = json!({ "account_id": account["id"], "period": day });
    let made = world.post("/v1/bills", body).await.ok();
    assert_eq!(made["rows"], 1, "{made}");
    let bad = world.select("SELECT CAST(count(*) AS TEXT) FROM bad_lines").await;
    assert_eq!(bad, ["1"]);
}

/// A page begins behind the last id of the one before: what comes in at the head meanwhile shifts nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_grows_while_it_is_read_has_each_row_once() {
    let world = world().await;
    let (account, _, day) = a_day(&world).await;
    let plant = async |prefix: &str, count: u64, time: &str| {
        let trades: Vec<Value> = (0..count)
            .map(|number| {
                json!({
                    "reference": format!("{prefix}{number:04}"), "amount": "1.00",
                    "paid_at": format!("{day}T{time}Z"),
                })
            })
            .collect();
        world.control("seed", json!({ "trades": trades })).await;
    };
    plant("PLANTED", 150, "13:00:00").await;
    world.fault("bill", "delay", json!({ "ms": 1_500, "times": 2 })).await;
    let body = json!({ "account_id": account["id"], "period": day });
    let more = async {
        until("the second page asked for", async || {
            (world.simulated("calls").await["bill"] == 2).then_some(())
        })
        .await;
        plant("LATE", 30, "14:00:00").await;
    };
    let (made, ()) = tokio::join!(world.post("/v1/bills", body), more);
    let made = made.ok();
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(152)), "{made}");
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(2), &json!(150)), "{done}");
}
