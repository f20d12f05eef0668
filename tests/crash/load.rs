//! Stopped, or killed, while many pay at once: what was acknowledged is there, and nothing happens twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join, join_all};
use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop};

use crate::books;
use crate::program::{Program, Scene};

/// Shops at once.
const SHOPS: usize = 12;

/// What a shop was told before the gateway went away.
#[derive(Default)]
pub struct Told {
    orders: Vec<Value>,
    payments: Vec<Value>,
    refunds: Vec<Value>,
}

/// Many shops at once, as they see it.
#[derive(Default)]
pub struct Rush {
    over: AtomicBool,
    paying: AtomicUsize,
}

impl Rush {
    /// Lets it go on for a while, and on a slow machine until so many payments more were begun.
    pub async fn goes_on(&self, time: Duration, payments: usize) {
        let before = self.paying.load(Ordering::Relaxed);
        tokio::time::sleep(time).await;
        for _ in 0..600 {
            if self.paying.load(Ordering::Relaxed) - before >= payments {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("fewer than {payments} payments were begun in a minute");
    }

    /// Tells the shops to stop.
    pub fn ends(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Orders, pays, has it paid, and gives a part back, again and again until the rush is over.
pub async fn shop(world: &World, url: &str, rush: &Rush) -> Told {
    let mut told = Told::default();
    while !rush.over.load(Ordering::Relaxed) {
        let order = json!({
            "number": shop::number("L"), "amount": 1250, "currency": "CNY", "subject": "Green tea",
        });
        let Some(order) = accepted(world, url, "/v1/orders", &order).await else { continue };
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        told.orders.push(order);
        let Some(payment) =
            accepted(world, url, &path, &json!({ "method": "qr", "surface": "desktop" })).await
        else {
            continue;
        };
        told.payments.push(payment.clone());
        rush.paying.fetch_add(1, Ordering::Relaxed);
        if !payment["action"].is_object() {
            continue;
        }
        world.payer_pays(&payment).await;
        let refund = json!({
            "payment_id": payment["id"], "number": shop::number("LR"), "amount": 250,
        });
        for _ in 0..5 {
            if let Some(refund) = accepted(world, url, "/v1/refunds", &refund).await {
                told.refunds.push(refund);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    told
}

async fn accepted(world: &World, url: &str, path: &str, body: &Value) -> Option<Value> {
    let url = format!("{url}{path}");
    let request = world.client.post(url).bearer_auth(&world.key).json(body);
    let Ok(response) = request.send().await else {
        tokio::time::sleep(Duration::from_millis(20)).await;
        return None;
    };
    let yes = response.status().is_success();
    let answer = response.json().await.ok()?;
    yes.then_some(answer)
}

/// Everything that was acknowledged is there, and the books agree, once what was cut off has been taken up.
pub async fn kept(world: &World, told: &[Told]) {
    world.write("UPDATE jobs SET due_at = 0, leased_until = 0 WHERE kind <> 'end_order'").await;
    books::settle(world).await;
    for told in told {
        for order in &told.orders {
            world.order_of(order).await;
        }
        for payment in &told.payments {
            assert_eq!(world.payment(payment).await["reference"], payment["reference"]);
        }
        for refund in &told.refunds {
            assert_eq!(world.refund_now(refund).await["amount"], refund["amount"]);
        }
    }
    books::agree(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_cuts_nothing_off() {
    under_load(async |program| {
        let ended = program.terminate().await;
        assert!(ended.success(), "{ended}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_under_load_loses_nothing_that_was_acknowledged() {
    under_load(async |program| program.kill().await).await;
}

async fn under_load(end: impl AsyncFnOnce(&mut Program)) {
    let mut scene = Scene::start().await;
    let rush = Rush::default();
    let (world, program) = (&scene.world, &mut scene.program);
    let ending = async {
        rush.goes_on(Duration::from_secs(2), SHOPS).await;
        end(program).await;
        rush.ends();
        program.relaunch(world).await;
    };
    let shops = (0..SHOPS).map(|_| shop(world, &world.url, &rush));
    let (told, ()) = join(join_all(shops), ending).await;
    kept(&scene.world, &told).await;
}
