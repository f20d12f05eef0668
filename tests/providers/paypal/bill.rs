//! Transaction Search: fees, pages, how far it has come, and planted differences.

use serde_json::{Value, json};
use tollgate_tests::World;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_several_pages_is_read_to_its_end() {
    let world = world().await;
    let (account, _, day) = a_day(&world).await;
    let trades: Vec<Value> = (0..700)
        .map(|number| json!({ "reference": format!("PLANTED{number:04}"), "amount": "1.00" }))
        .collect();
    world.control("seed", json!({ "trades": trades })).await;
    let body = json!({ "account_id": account["id"], "period": day });
    let made = world.post("/v1/bills", body).await.ok();
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(702)), "{made}");
    assert_eq!(world.simulated("calls").await["bill"], 2, "five hundred a page");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_lags_behind_is_waited_for() {
    let world = world().await;
    let (account, _, day) = a_day(&world).await;
    world.control("settings", json!({ "bill_ready_at_once": false })).await;
    let body = json!({ "account_id": account["id"], "period": day });
    let made = world.post("/v1/bills", body).await.ok();
    assert_ne!(made["state"], "ready", "{made}");
}
