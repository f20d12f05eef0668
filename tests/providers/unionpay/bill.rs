//! The settlement file: base64, zlib and zip around lines of fixed widths, with planted differences.

use serde_json::json;

use super::{METHOD, world};
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_not_there_yet_is_waited_for() {
    stage::waits_for_its_bill(&world().await, METHOD).await;
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
