//! A disk that is full, or that loses what it was told to keep: nothing is acknowledged that is not durable, no provider
//! is asked on the strength of it, and when the disk is well again the gateway goes on.

use serde_json::json;
use tollgate_tests::{Reply, shop, until};

use crate::books;
use crate::program::Scene;

/// What breaks.
#[derive(Clone, Copy, Debug)]
enum Breakage {
    Full,
    Fsync,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_order_and_asks_no_provider() {
    breaks(Breakage::Full).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_could_not_be_made_durable_is_not_acknowledged() {
    breaks(Breakage::Fsync).await;
}

async fn breaks(breakage: Breakage) {
    let mut scene = Scene::start().await;
    let before = scene.world.order(1250).await;
    let payment = scene.world.pay(&before, "qr").await;
    scene.world.payer_pays(&payment).await;
    scene.world.payment_until(&payment, "succeeded").await;
    scene.world.idle().await;
    let asked = scene.world.calls(&payment, "refund").await;
    match breakage {
        Breakage::Full => scene.program.board.fill_disk(),
        Breakage::Fsync => scene.program.board.fail_fsyncs(1_000),
    }
    let order = json!({
        "number": shop::number("D"), "amount": 990, "currency": "CNY", "subject": "Green tea",
    });
    let refund = json!({
        "payment_id": payment["id"], "number": shop::number("DR"), "amount": 100,
    });
    for (path, body) in [("/v1/orders", &order), ("/v1/refunds", &refund)] {
        let answer = refusal(&scene, path, body).await;
        assert!(answer.is_none_or(|answer| answer.status >= 500), "{breakage:?} {path}");
    }
    assert_eq!(
        scene.world.calls(&payment, "refund").await,
        asked,
        "no money moved on a lost intent"
    );
    scene.program.board.clear();
    if !scene.program.lives() {
        scene.program.relaunch(&scene.world).await;
    }
    let made = until("an order after the disk is well", async || {
        scene.attempt("/v1/orders", &order).await
    })
    .await;
    assert_eq!(scene.world.events(&made).await, ["order.created"]);
    let given_back = scene.world.post("/v1/refunds", refund).await.ok();
    scene.world.refund_until(&given_back, "succeeded").await;
    // What the disk holds is what was acknowledged, and no more.
    scene.revive().await;
    assert_eq!(scene.world.order_of(&before).await["state"], "partially_refunded");
    assert_eq!(scene.world.order_of(&made).await["state"], "open");
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
}

/// What the gateway says, if it still says anything.
async fn refusal(scene: &Scene, path: &str, body: &serde_json::Value) -> Option<Reply> {
    let url = format!("{}{path}", scene.world.url);
    let request = scene.world.client.post(url).bearer_auth(&scene.world.key).json(body);
    Some(Reply::of(request.send().await.ok()?).await)
}
