//! SIGKILL at every point at which something becomes durable, is sent, or arrives: after a restart, what was
//! acknowledged is there, what was not can be asked for again, and nothing has happened twice.

use serde_json::{Value, json};
use tollgate_tests::database::on_postgres;
use tollgate_tests::reply::text;
use tollgate_tests::{shop, until};

use crate::books;
use crate::program::Scene;
use tollgate_tests::shim::Point;

/// Around each commit: what makes it durable is the process's own on SQLite, and a statement away on Postgres.
fn commits() -> Vec<(Point, u64)> {
    if on_postgres() {
        let times = |point: Point, times: [u64; 3]| times.map(|nth| (point, nth));
        [
            times(Point::BeforeStatement, [2, 6, 11]),
            times(Point::AfterStatement, [4, 8, 14]),
            times(Point::AfterRows, [3, 7, 12]),
        ]
        .concat()
    } else {
        let points = [Point::BeforeCommit, Point::AfterCommit];
        points.into_iter().flat_map(|point| [1, 2, 3].map(|nth| (point, nth))).collect()
    }
}

/// Where to die while something is done that sends nothing.
fn local() -> Vec<(Point, u64)> {
    let mut points = commits();
    points.extend([(Point::BeforeAnswering, 1), (Point::AfterAnswering, 1)]);
    points
}

/// Where to die while a provider is asked: the same, and around the asking.
fn asking() -> Vec<(Point, u64)> {
    let mut points = local();
    points.extend([Point::BeforeAsking, Point::AfterAsking, Point::AfterHearing].map(|at| (at, 1)));
    points
}

/// How many named points must have killed the process in each phase: with six phases, 34 in all. Usually it is about 60 on
/// SQLite and 80 on Postgres; where writes share a commit, a third one never comes.
const LEAST_OF_AN_ORDER: usize = 4;
const LEAST: usize = 6;

/// Each of these must have killed the process once, or the suite tests nothing. Commits have another name on Postgres.
fn all_died(phase: &str, died: &[(Point, u64)], must: &[Point]) {
    for point in must {
        let point = match point {
            Point::BeforeCommit if on_postgres() => Point::BeforeStatement,
            Point::AfterCommit if on_postgres() => Point::AfterRows,
            same => *same,
        };
        assert!(died.iter().any(|(at, _)| *at == point), "{phase} was never killed at {point:?}");
    }
    let least = if must.contains(&Point::BeforeAsking) { LEAST } else { LEAST_OF_AN_ORDER };
    assert!(died.len() >= least, "{phase} was killed at {died:?} alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_made_once_or_not_at_all() {
    let mut scene = Scene::start().await;
    let mut died = Vec::new();
    for (point, nth) in local() {
        let body = json!({
            "number": shop::number("K"), "amount": 1250, "currency": "CNY", "subject": "Green tea",
        });
        scene.kill_at((point, nth));
        let answered = scene.attempt("/v1/orders", &body).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        let order = scene.world.post("/v1/orders", body).await.ok();
        if let Some(answered) = answered {
            assert_eq!(
                answered["id"], order["id"],
                "{point:?} {nth}: what was acknowledged is there"
            );
        }
        assert_eq!(scene.world.events(&order).await, ["order.created"], "{point:?} {nth}");
    }
    books::agree(&scene.world).await;
    all_died("an order", &died, &[Point::BeforeCommit, Point::AfterCommit, Point::BeforeAnswering]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_cut_off_is_taken_up_with_its_reference() {
    let mut scene = Scene::start().await;
    let mut died = Vec::new();
    for (point, nth) in asking() {
        let order = scene.world.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        scene.kill_at((point, nth));
        let body = json!({ "method": "qr", "surface": "desktop" });
        let answered = scene.attempt(&path, &body).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        let payment = one_payment(&scene, &order).await;
        if let Some(answered) = answered {
            assert_eq!(answered["reference"], payment["reference"], "{point:?} {nth}");
        }
        scene.world.payer_pays(&payment).await;
        scene.hurry().await;
        scene.world.payment_until(&payment, "succeeded").await;
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died(
        "a start",
        &died,
        &[
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeAsking,
            Point::AfterAsking,
            Point::AfterHearing,
            Point::BeforeAnswering,
        ],
    );
}

/// The one payment of an order that the payer can pay: the one that was cut off, or a new one if there is none.
async fn one_payment(scene: &Scene, order: &Value) -> Value {
    until("a payment to pay", async || {
        let now = scene.world.order_of(order).await;
        let payments = now["payments"].as_array().unwrap().clone();
        assert!(payments.len() <= 1, "{now}");
        match payments.into_iter().next() {
            None => {
                let made = scene.world.pay(order, "qr").await;
                assert_ne!(made["action"]["kind"], "none", "{made}");
                Some(made)
            }
            Some(payment) if payment["action"]["kind"] != "none" => Some(payment),
            Some(_) => {
                scene.hurry().await;
                None
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_applied_once_however_often_the_process_dies_over_it() {
    let mut scene = Scene::start().await;
    let mut died = Vec::new();
    for (point, nth) in asking() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, "qr").await;
        scene.kill_at((point, nth));
        scene.world.payer_pays(&payment).await;
        scene.program.may_die().await;
        if scene.revive().await {
            died.push((point, nth));
        }
        scene.world.payment_until(&payment, "succeeded").await;
        let wanted = ["order.created", "payment.succeeded", "order.paid"];
        assert_eq!(scene.world.events(&order).await, wanted, "{point:?} {nth}");
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died(
        "a notification",
        &died,
        &[
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeAsking,
            Point::AfterAsking,
            Point::AfterHearing,
            Point::BeforeAnswering,
            Point::AfterAnswering,
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once() {
    let mut scene = Scene::start().await;
    let mut died = Vec::new();
    for (point, nth) in asking() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, "qr").await;
        scene.world.payer_pays(&payment).await;
        scene.world.payment_until(&payment, "succeeded").await;
        let number = shop::number("KR");
        let body = json!({ "payment_id": payment["id"], "number": number, "amount": 500 });
        scene.kill_at((point, nth));
        let answered = scene.attempt("/v1/refunds", &body).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        let refund = scene.world.post("/v1/refunds", body).await.ok();
        if let Some(answered) = answered {
            assert_eq!(answered["id"], refund["id"], "{point:?} {nth}");
        }
        until("the refund done", async || {
            scene.hurry().await;
            let now = scene.world.refund_now(&refund).await;
            (now["state"] == "succeeded").then_some(())
        })
        .await;
        let trade = scene.world.trade(&payment).await;
        assert_eq!(trade["refunds"].as_array().unwrap().len(), 1, "{point:?} {nth}: {trade}");
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died(
        "a refund",
        &died,
        &[
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeAsking,
            Point::AfterAsking,
            Point::AfterHearing,
            Point::BeforeAnswering,
        ],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_cut_off_ends_closed_or_paid_on_both_sides() {
    let mut scene = Scene::start().await;
    let mut died = Vec::new();
    for (index, (point, nth)) in asking().into_iter().enumerate() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, "qr").await;
        scene.world.payer_opens(&payment).await;
        scene.kill_at((point, nth));
        let path = format!("/v1/orders/{}/close", text(&order, "id"));
        scene.attempt(&path, &json!({})).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        // Every other payer pays while the gateway is gone, if the provider still lets him.
        if index % 2 == 1 && scene.world.trade(&payment).await["closed_at"].is_null() {
            scene.world.act(&payment, "pay").await;
            scene.hurry().await;
            scene.world.order_until(&order, "paid").await;
        } else {
            scene.attempt(&path, &json!({})).await;
            scene.world.order_until(&order, "closed").await;
        }
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died("a close", &died, &[Point::BeforeAsking, Point::AfterAsking, Point::AfterHearing]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_that_was_cut_off_finds_the_same() {
    let mut scene = Scene::start().await;
    let account = scene.world.get("/v1/accounts").await.ok()["data"][0].clone();
    let mut died = Vec::new();
    for (point, nth) in asking() {
        // A day of its own for each: over the same bill and records a run writes nothing.
        let day = scene.world.days_ago(1).await;
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, "qr").await;
        scene.world.payer_pays(&payment).await;
        scene.world.payment_until(&payment, "succeeded").await;
        let body = json!({ "account_id": account["id"], "period": day });
        scene.kill_at((point, nth));
        scene.attempt("/v1/reconciliations", &body).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        let done = scene.world.reconcile(&account, &day).await;
        let result = json!([done["state"], done["matched"], done["discrepancies"]]);
        assert_eq!(result, json!(["done", 1, 0]), "{point:?} {nth}: {done}");
    }
    let twice =
        "SELECT CAST(count(*) AS TEXT) FROM payments WHERE bill_id IS NULL AND state = 'succeeded'";
    assert_eq!(scene.world.select(twice).await, ["0"], "each carries its bill");
    books::agree(&scene.world).await;
    all_died(
        "a reconciliation",
        &died,
        &[
            Point::BeforeCommit,
            Point::AfterCommit,
            Point::BeforeAsking,
            Point::AfterAsking,
            Point::AfterHearing,
            Point::BeforeAnswering,
        ],
    );
}
