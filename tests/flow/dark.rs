//! A provider that is dark for days: nobody gives up, nobody storms it, and all is known soon after it is back.

use serde_json::{Value, json};
use tollgate::flows::due;
use tollgate_tests::reply::text;
use tollgate_tests::{Still, World};

const DAY_MS: i64 = 86_400_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_dark_days_end_with_everything_known() {
    let mut world = World::start().await;
    let refunded = world.paid(1_000).await;
    world.lose_notifications().await;
    world.fault("refund", "lose_reply", json!({})).await;
    let refund = world.refund(&refunded, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown");
    let order = world.order(1_250).await;
    let payment = world.pay(&order, "page").await;
    world.payer_pays(&payment).await;
    world.fault("any", "drop", json!({ "times": 0 })).await;

    let still = Still::after(&mut world).await;
    world.forget("calls").await;
    still.live(&world, 10 * DAY_MS).await;
    let open =
        "SELECT state FROM payments WHERE succeeded_at IS NULL UNION ALL SELECT state FROM refunds";
    assert_eq!(world.select(open).await, ["pending", "unknown"]);
    let parked = "SELECT kind FROM jobs WHERE parked_at IS NOT NULL";
    assert_eq!(world.select(parked).await, Vec::<String>::new());
    let kinds = "SELECT kind FROM jobs WHERE kind LIKE 'query%' ORDER BY kind";
    assert_eq!(world.select(kinds).await, ["query_payment", "query_refund"]);
    let asked = "SELECT CAST(asked AS TEXT) FROM payments WHERE succeeded_at IS NULL \
                 UNION ALL SELECT CAST(asked AS TEXT) FROM refunds";
    for asked in world.select(asked).await {
        let asked: i64 = asked.parse().unwrap();
        assert!((15..=35).contains(&asked), "{asked} questions in ten days");
    }

    world.forget("faults").await;
    still.live(&world, DAY_MS * 11 / 10).await;
    let known = "SELECT state FROM payments UNION ALL SELECT state FROM refunds";
    assert_eq!(world.select(known).await, ["succeeded"; 3]);
    assert_eq!(world.select("SELECT state FROM orders WHERE state = 'open'").await.len(), 0);
    let trade: Value = world.trade(&refunded).await;
    let parts = trade["refunds"].as_array().unwrap();
    assert_eq!(parts.len(), 1, "given back once: {}", text(&trade, "reference"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dark_provider_is_probed_and_not_stormed() {
    let mut world = World::start().await;
    world.account().await;
    world.lose_notifications().await;
    let mut payments = Vec::new();
    for _ in 0..20 {
        let order = world.order(1_000).await;
        let payment = world.pay(&order, "page").await;
        world.payer_pays(&payment).await;
        payments.push(payment);
    }
    world.fault("any", "drop", json!({ "times": 0 })).await;
    let still = Still::after(&mut world).await;
    let asked = "SELECT CAST(count(*) AS TEXT) FROM exchanges WHERE operation = 'query-payment'";
    let before: i64 = world.select(asked).await[0].parse().unwrap();
    still.live(&world, 120_000).await;
    let calls = world.select(asked).await[0].parse::<i64>().unwrap() - before;
    // One by one they would be asked about at least four times each in two minutes.
    assert!((6..=16).contains(&calls), "{calls} calls in two dark minutes");

    world.forget("faults").await;
    still.live(&world, 600_000).await;
    let left = "SELECT id FROM payments WHERE state <> 'succeeded'";
    assert_eq!(world.select(left).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_that_a_late_worker_got_is_kept_and_told_once() {
    let mut world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1_000, "page").await;
    let still = Still::after(&mut world).await;
    still.pass(&world, 60_000);
    let late = still.claim().await.jobs.remove(0);
    still.pass(&world, 61_000);
    let heir = still.claim().await.jobs.remove(0);
    assert_eq!((late.id, late.fence + 1), (heir.id, heir.fence));

    let count = "SELECT CAST(asked AS TEXT) FROM payments";
    let asked = world.select(count).await;

    // Nobody has paid: what the late one does not know is not put off in its name.
    due::run(&still.gateway, &late).await.unwrap();
    let job = "SELECT fence || CASE WHEN leased_until > 0 THEN ' held ' ELSE ' free ' END || coalesce(reason, '') \
               FROM jobs WHERE kind = 'query_payment'";
    assert_eq!(world.select(job).await, [format!("{} held ", heir.fence)]);
    assert_eq!(world.select(count).await, asked);

    world.payer_pays(&payment).await;
    due::run(&still.gateway, &late).await.unwrap();
    assert_eq!(world.select("SELECT state FROM payments").await, ["succeeded"]);
    due::run(&still.gateway, &heir).await.unwrap();
    let told = "SELECT kind FROM events ORDER BY id";
    assert_eq!(world.select(told).await, ["order.created", "payment.succeeded", "order.paid"]);
    assert_eq!(world.select("SELECT id FROM jobs WHERE kind <> 'daily_bills'").await.len(), 0);
    assert_eq!(text(&payment, "state"), "pending");
}
