//! Balance transactions: fees and nets, pages, and planted differences.

use serde_json::{Value, json};

use super::{METHOD, world};
use crate::stage::{self, Planted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_reconciles_and_each_difference_is_found() {
    let cases: [Planted<'_>; 4] = [
        (None, 2, &[]),
        (Some(json!({ "op": "change_amount", "value": "12.51" })), 1, &["amount"]),
        (Some(json!({ "op": "drop_row" })), 1, &["missing_there"]),
        (Some(json!({ "op": "duplicate_row" })), 2, &["duplicate"]),
    ];
    stage::finds_what_is_planted(world, METHOD, &cases).await;
}

/// More rows than a page holds, planted in the ledger: each is read once, whatever page it is on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_several_pages_is_read_to_its_end() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    stage::plant(&world, "PLANTED", 250, None).await;
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(252)), "{made}");
    assert_eq!(world.simulated("calls").await["bill"], 3, "a hundred a page");
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(2), &json!(250)), "{done}");
}

/// A row that cannot be read costs no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_leaves_the_others_readable() {
    stage::loses_one_bad_row_alone(&world().await, METHOD, "/data/0/amount").await;
}

/// A page begins behind the last id of the one before: what comes in at the head meanwhile shifts nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_grows_while_it_is_read_has_each_row_once() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    let plant = async |prefix: &str, count: u64, time: &str| {
        stage::plant(&world, prefix, count, Some(&format!("{day}T{time}Z"))).await;
    };
    plant("PLANTED", 150, "13:00:00").await;
    let more = plant("LATE", 30, "14:00:00");
    let made = stage::bill_while(&world, &account, &day, more).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(152)), "{made}");
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(2), &json!(150)), "{done}");
}

/// More pages than a thousand: a large merchant's day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_more_than_a_thousand_pages_is_read_to_its_end() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    stage::plant(&world, "PLANTED", 1_000, None).await;
    world.control("special/page_rows", json!({ "most": 1 })).await;
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(1_002)), "{made}");
}

/// Of adjustments only what a dispute moved is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adjustment_is_a_dispute_where_it_came_from_one() {
    let world = world().await;
    let (account, payment, day) = stage::a_day(&world, METHOD).await;
    let refund = world.trade(&payment).await["refunds"][0]["reference"].clone();
    let edit = json!({
        "op": "change_status", "value": "adjustment",
        "reference": payment["reference"], "refund_reference": refund,
    });
    world.control("bill-edits", edit).await;
    let disputed = stage::paid(&world, METHOD).await;
    world.lose_notifications().await;
    world.act(&disputed, "dispute").await;
    world.reconcile(&account, &day).await;
    let disputes = world.get("/v1/disputes").await.ok();
    let of: Vec<&Value> = disputes["data"].as_array().unwrap().iter().collect();
    assert_eq!(of.len(), 1, "{disputes}");
    assert_eq!(of[0]["payment_id"], disputed["id"], "{disputes}");
    let kinds = "SELECT kind FROM statement_rows WHERE raw LIKE 'adjustment%' ORDER BY kind";
    assert_eq!(world.select(kinds).await, ["adjustment", "chargeback"]);
}

/// What a bank took back is told in the payment's currency, whatever the account is settled in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reversal_is_counted_in_the_payments_currency() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    let set = json!({ "/data/0/type": "payment_failure_refund", "/data/0/currency": "eur" });
    world.fault("bill", "set", json!({ "set": set })).await;
    stage::bill(&world, &account, &day).await;
    let row = "SELECT currency || ' ' || CAST(gross AS TEXT) || ' ' || net_currency FROM statement_rows \
               WHERE kind = 'reversal'";
    assert_eq!(world.select(row).await, ["USD -250 EUR"]);
}

/// An account that is settled in a currency that is not taken here has no line that can be read: that is no bill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_of_which_nothing_can_be_read_is_refused() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    let set = json!({ "/data/0/currency": "aed", "/data/1/currency": "aed" });
    world.fault("bill", "set", json!({ "set": set })).await;
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!(made["state"], "rejected", "{made}");
    assert!(made["reason"].as_str().is_some_and(|why| why.contains("currency")), "{made}");
}
