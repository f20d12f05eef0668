//! The settlement file: base64, zlib and zip around lines of fixed widths, with planted differences.

use serde_json::json;

use super::{METHOD, paid, world};
use crate::stage::{self, Planted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_reconciles_and_each_difference_is_found() {
    let ghost = json!({ "op": "add_row", "value": "3.00", "reference": "GHOSTORDER" });
    let cases: [Planted<'_>; 5] = [
        (None, 2, &[]),
        (Some(json!({ "op": "change_amount", "value": "12.51" })), 1, &["amount"]),
        (Some(json!({ "op": "drop_row" })), 1, &["missing_there"]),
        (Some(ghost), 2, &["missing_here"]),
        (Some(json!({ "op": "duplicate_row" })), 2, &["duplicate"]),
    ];
    stage::finds_what_is_planted(world, METHOD, &cases).await;
}

/// The clearing day ends at 23:00: what is paid later is in the next day's file, and missed by no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_late_in_the_evening_is_in_the_file_of_the_next_day() {
    let world = world().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let evening = world.days_ago(2).await;
    // It was noon of the clearing day, eleven in China, and now it is 23:20.
    world.simulator.clock().move_books((12 * 60 + 20) * 60_000);
    let next = world.today().await;
    assert_ne!(evening, next);
    paid(&world).await;
    for (day, matched) in [(&evening, 0), (&next, 1)] {
        let done = world.reconcile(&account, day).await;
        let found = world.discrepancies(&done).await;
        assert_eq!((&done["matched"], found), (&json!(matched), vec![]), "{day}: {done}");
    }
}

/// Row 29: 31 is a void, and gives back as 04 does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_void_is_a_refund_by_another_name() {
    let world = world().await;
    let (account, payment, day) = stage::a_day(&world, METHOD).await;
    let refund = world.trade(&payment).await["refunds"][0]["reference"].clone();
    let edit = json!({
        "op": "change_status", "value": "31",
        "reference": payment["reference"], "refund_reference": refund,
    });
    world.control("bill-edits", edit).await;
    let done = world.reconcile(&account, &day).await;
    let found = world.discrepancies(&done).await;
    assert_eq!((&done["matched"], found), (&json!(2), vec![]), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    stage::waits_for_its_bill(&world().await, METHOD).await;
}

/// The text for people is no settlement, nor is an empty zip: neither says that nothing was settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_without_the_file_of_good_transactions_is_no_bill() {
    // Deflated, in base64: a zip with nothing in it, and one with `RD261124_700000000000001` alone.
    let (empty, text_alone) = (
        "eNoL8GZlY8AAAA3zAKc=",
        "eNoL8GZmEWGAAEWGNa2LRJiALBCWAOIgFyMzQ0Mjk3hzA2RgyMsV4M3IJMKMWycMNDAy4DEnwJuVDSTPCIRuQNoCrAcAZu4RgA==",
    );
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    for (content, reason) in [(empty, "the zip is empty"), (text_alone, "rows is missing")] {
        world.fault("bill", "set", json!({ "set": { "fileContent": content } })).await;
        let made = stage::bill(&world, &account, &day).await;
        assert_eq!((&made["state"], &made["rows"]), (&json!("rejected"), &json!(0)), "{made}");
        assert!(made["reason"].as_str().unwrap_or_default().contains(reason), "{made}");
    }
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(2)), "{made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_same_day_of_another_year_is_refused() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    // UnionPay is told a month and a day. Where it has not come to that day, it means last year's.
    world.days_ago(1).await;
    let body = json!({ "account_id": account["id"], "period": day });
    let made = world.post("/v1/bills", body).await.ok();
    assert_ne!(made["state"], "ready", "{made}");
    let reason = made["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&format!("not the file of {day}")), "{made}");
}
