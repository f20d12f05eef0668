//! Transaction Search: fees, pages, how far it has come, and planted differences.

use serde_json::json;

use super::{METHOD, world};
use crate::stage::{self, Planted};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_reconciles_and_each_difference_is_found() {
    let cases: [Planted<'_>; 3] = [
        (None, 2, &[]),
        (Some(json!({ "op": "change_amount", "value": "12.51" })), 1, &["amount"]),
        (Some(json!({ "op": "drop_row" })), 1, &["missing_there"]),
    ];
    stage::finds_what_is_planted(world, METHOD, &cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_several_pages_is_read_to_its_end() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    stage::plant(&world, "PLANTED", 700, None).await;
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(702)), "{made}");
    assert_eq!(world.simulated("calls").await["bill"], 2, "five hundred a page");
}

/// PayPal lists no stretch of too many rows: then the day is asked for in shorter ones, and each row is there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_too_many_rows_is_read_by_stretches() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    for hour in 0..24 {
        let at = format!("{day}T{hour:02}:59:59.5Z");
        stage::plant(&world, &format!("H{hour:02}"), 20, Some(&at)).await;
    }
    world.control("special/most_rows", json!({ "rows": 100 })).await;
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(482)), "{made}");
    let once = "SELECT CAST(count(DISTINCT payment_ref) AS TEXT) FROM statement_rows WHERE kind = 'payment'";
    assert_eq!(world.select(once).await, ["481"]);
    let asked = world.simulated("calls").await["bill"].as_u64().unwrap();
    assert!((6..60).contains(&asked), "{asked} calls");
    // Nothing is shorter than a second.
    let day = world.days_ago(2).await;
    stage::plant(&world, "SECOND", 101, Some(&format!("{day}T12:00:00Z"))).await;
    let refused = stage::bill(&world, &account, &day).await;
    assert_eq!(refused["state"], "rejected", "{refused}");
    assert!(refused.to_string().contains("no second of so many"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_lags_behind_is_waited_for() {
    stage::waits_for_its_bill(&world().await, METHOD).await;
}

/// A page that lost its rows, or does not say how many there are, is no day on which nothing happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_without_its_rows_is_no_bill() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    for member in
        [json!("transaction_details"), json!("total_items"), json!("total_pages"), json!(null)]
    {
        world.fault("bill", "leave_out", json!({ "value": member })).await;
        let made = stage::bill(&world, &account, &day).await;
        assert_eq!((&made["state"], &made["rows"]), (&json!("not_ready"), &json!(0)), "{made}");
    }
    let made = stage::bill(&world, &account, &day).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("ready"), &json!(2)), "{made}");
}

/// A row that cannot be read costs no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_leaves_the_others_readable() {
    let amount = "/transaction_details/0/transaction_info/transaction_amount/value";
    stage::loses_one_bad_row_alone(&world().await, METHOD, amount).await;
}

/// Pages are counted off: a row that comes in while they are read shifts all behind it. Such a reading is worth nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_moves_while_it_is_read_is_read_anew() {
    let world = world().await;
    let (account, _, day) = stage::a_day(&world, METHOD).await;
    let plant = async |prefix: &str, count: u64, time: &str| {
        stage::plant(&world, prefix, count, Some(&format!("{day}T{time}Z"))).await;
    };
    plant("PLANTED", 700, "13:00:00").await;
    let one_more = plant("LATE", 1, "01:00:00");
    let made = stage::bill_while(&world, &account, &day, one_more).await;
    assert_eq!((&made["state"], &made["rows"]), (&json!("not_ready"), &json!(0)), "{made}");
    let again = stage::bill(&world, &account, &day).await;
    assert_eq!((&again["state"], &again["rows"]), (&json!("ready"), &json!(703)), "{again}");
}
