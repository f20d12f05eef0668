//! An order's time is over at a provider that ends nothing for a shop: it is asked once more, and what it has let lapse is
//! over here too, unless somebody paid.

use serde_json::Value;
use tollgate_tests::reply::text;
use tollgate_tests::shim::Point;

use super::{ASKING, PAYPAL, Provider, UNIONPAY, all_died, commits};
use crate::books;
use crate::program::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_time_is_over_at_unionpay_ends_expired_or_paid() {
    ended(UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_time_is_over_at_paypal_ends_expired_or_paid() {
    ended(PAYPAL).await;
}

async fn ended(provider: Provider) {
    let mut scene = provider.scene().await;
    scene.world.lose_notifications().await;
    let mut died = Vec::new();
    // Nobody asks for it, so nobody is answered.
    let points = commits().into_iter().chain(ASKING.map(|at| (at, 1)));
    for (index, (point, nth)) in points.enumerate() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, provider.method).await;
        scene.world.payer_opens(&payment).await;
        let pays = index % 2 == 1;
        scene.world.act(&payment, if pays { "pay" } else { "close" }).await;
        scene.kill_at((point, nth));
        run_out(&scene, &order).await;
        scene.program.may_die_at_work().await;
        if scene.revive().await {
            died.push((point, nth));
        }
        // Nobody waits for the lease of whoever died over it.
        let free = "UPDATE jobs SET due_at = 0, leased_until = 0 WHERE kind = 'end_order'";
        scene.world.write(free).await;
        scene.world.order_until(&order, if pays { "paid" } else { "expired" }).await;
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died(
        "an ending",
        &died,
        &[&ASKING[..], &[Point::BeforeCommit, Point::AfterCommit]].concat(),
    );
}

/// Time passes over an order and its payments, and the job that ends it is due.
async fn run_out(scene: &Scene, order: &Value) {
    let (id, past) = (text(order, "id"), scene.world.now() - 60_000_000);
    for (table, column) in [("orders", "id"), ("payments", "order_id")] {
        let update = format!("UPDATE {table} SET expires_at = {past} WHERE {column} = '{id}'");
        scene.world.write(&update).await;
    }
    scene.world.make_due("end_order").await;
}
