//! The trade bill: fen and yuan, planted differences, and files that are not what their digest says.

use serde_json::json;

use super::{METHOD, world};
use crate::stage::{self, Planted};

/// Row 21: the API counts fen, the bill yuan. A day on which all is well has nothing to say; each planted difference is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_reconciles_to_the_fen_and_each_difference_is_found() {
    let ghost = json!({ "op": "add_row", "value": "3.00", "reference": "ghost" });
    let cases: [Planted<'_>; 5] = [
        (None, 2, &[]),
        (Some(json!({ "op": "change_amount", "value": "12.51" })), 1, &["amount"]),
        (Some(json!({ "op": "drop_row" })), 1, &["missing_there"]),
        (Some(ghost), 2, &["missing_here"]),
        (Some(json!({ "op": "duplicate_row" })), 2, &["duplicate"]),
    ];
    stage::finds_what_is_planted(world, METHOD, &cases).await;
}

/// The payer used a coupon of the merchant's: the order is paid whole, and what the merchant gets is less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_that_the_merchant_bears_is_in_no_net() {
    let world = world().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let day = world.days_ago(3).await;
    let payment = world.pay(&world.order(1000).await, METHOD).await;
    let coupon = json!({ "reference": payment["reference"], "value": "2.00" });
    world.control("special/coupon", coupon).await;
    world.payer_pays(&payment).await;
    assert_eq!(world.payment_until(&payment, "succeeded").await["taken"], 1000);
    let refund = world.refund(&payment, "R-1", 500).await.ok();
    world.refund_until(&refund, "succeeded").await;
    let done = world.reconcile(&account, &day).await;
    let found = world.discrepancies(&done).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(2), &json!(0)), "{found:?}");
    // 8.00 less 0.6 %, and the same share of the coupon in what went back.
    let rows = "SELECT CAST(gross AS TEXT) || ' ' || CAST(fee AS TEXT) || ' ' || CAST(net AS TEXT) \
                FROM statement_rows ORDER BY line";
    assert_eq!(world.select(rows).await, ["1000 5 795", "-500 0 -400"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_without_trades_has_a_bill_without_rows() {
    let world = world().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let day = world.days_ago(3).await;
    let done = world.reconcile(&account, &day).await;
    assert_eq!((&done["matched"], &done["discrepancies"]), (&json!(0), &json!(0)), "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_cut_off_or_lies_elsewhere_is_no_bill() {
    for (on, verb) in [("download", "truncate"), ("bill", "foreign_host"), ("download", "redirect")]
    {
        let world = world().await;
        let (account, _, day) = stage::a_day(&world, METHOD).await;
        world.fault(on, verb, json!({ "times": 0 })).await;
        let body = json!({ "account_id": account["id"], "period": day });
        let made = world.post("/v1/bills", body.clone()).await;
        assert_ne!(made.json["state"], "ready", "{verb}: {}", made.text);
        world.forget("faults").await;
        let done = world.reconcile(&account, &day).await;
        assert_ne!(done["discrepancies"], json!(1), "{verb}: {done}");
    }
}
