//! A disk that is full, or that loses what it was told to keep: nothing is acknowledged that is not durable, no provider
//! is asked on the strength of it, and when the disk is well again the gateway goes on.

use std::process::Command;

use serde_json::json;
use tollgate_tests::database::{Storage, on_postgres};
use tollgate_tests::postgres::Server;
use tollgate_tests::{Reply, shop, until};

use crate::books;
use crate::program::Scene;
use tollgate_tests::shim::Board;

/// What breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Whose disk it is: the process's own, or that of a server of the test's own.
struct Disk(Option<(Server, Board)>);

impl Disk {
    fn new() -> Disk {
        Disk(on_postgres().then(|| {
            let mut server = Server::make(&[]);
            let board = Board::for_all(server.folder());
            let mut under_shim = Command::new("postgres");
            board.over(&mut under_shim);
            server.set(&under_shim);
            server.go_on();
            (server, board)
        }))
    }

    async fn scene(&self) -> Scene {
        let Some((server, _)) = &self.0 else { return Scene::start().await };
        server.run("CREATE DATABASE gate TEMPLATE template0").await;
        Scene::on(Storage::Own(server.url("gate"))).await
    }

    fn breaks(&self, scene: &Scene, breakage: Breakage) {
        let board = self.0.as_ref().map_or(&scene.program.board, |(_, board)| board);
        match breakage {
            Breakage::Full => board.fill_disk(),
            Breakage::Fsync => board.fail_fsyncs(1_000),
        }
    }

    /// The disk is well again. A server that gave up, as it must, is started by its operator.
    fn heals(&self, scene: &Scene) {
        match &self.0 {
            None => scene.program.board.clear(),
            Some((server, board)) => {
                board.clear();
                server.crash();
                server.go_on();
            }
        }
    }
}

async fn breaks(breakage: Breakage) {
    let disk = Disk::new();
    let mut scene = disk.scene().await;
    let before = scene.world.order(1250).await;
    let payment = scene.world.pay(&before, "qr").await;
    scene.world.payer_pays(&payment).await;
    scene.world.payment_until(&payment, "succeeded").await;
    scene.world.idle().await;
    let asked = scene.world.calls(&payment, "refund").await;
    disk.breaks(&scene, breakage);
    let order = json!({
        "number": shop::number("D"), "amount": 990, "currency": "CNY", "subject": "Green tea",
    });
    let refund = json!({
        "payment_id": payment["id"], "number": shop::number("DR"), "amount": 100,
    });
    for (path, body) in [("/v1/orders", &order), ("/v1/refunds", &refund)] {
        let answer = refusal(&scene, path, body).await;
        // A full disk may have room again in a moment; one that loses what it took ends the process.
        let is_right = match (&answer, breakage) {
            (Some(answer), Breakage::Full) if !on_postgres() => answer.status == 503,
            (answer, _) => answer.as_ref().is_none_or(|answer| answer.status >= 500),
        };
        assert!(is_right, "{breakage:?} {path} {answer:?}");
    }
    assert_eq!(
        scene.world.calls(&payment, "refund").await,
        asked,
        "no money moved on a lost intent"
    );
    if breakage == Breakage::Fsync && !on_postgres() {
        // Its connections end a little before it does.
        until("its end: the disk has lost a commit", async || {
            (!scene.program.lives()).then_some(())
        })
        .await;
    }
    disk.heals(&scene);
    if !scene.program.lives() {
        scene.program.relaunch(&scene.world).await;
    }
    let made = until("an order after the disk is well", async || {
        scene.attempt("/v1/orders", &order).await
    })
    .await;
    assert_eq!(scene.world.events(&made).await, ["order.created"]);
    let given_back = until("a refund", async || scene.attempt("/v1/refunds", &refund).await).await;
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
