//! An order is made: nobody but the disk and the shop is concerned.

use serde_json::json;
use tollgate_tests::shim::Point;
use tollgate_tests::shop;

use super::{all_died, local};
use crate::books;
use crate::program::Scene;

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
