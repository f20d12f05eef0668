//! A payment starts: the provider is asked for what the payer needs.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{shop, until};

use super::{ALIPAY, EACH_KIND, PAYPAL, Provider, STRIPE, UNIONPAY, WECHAT_PAY, all_died};
use crate::books;
use crate::program::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_cut_off_is_taken_up_with_its_reference() {
    start(ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_wechat_pay_that_was_cut_off_is_taken_up() {
    start(WECHAT_PAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_unionpay_that_was_cut_off_is_taken_up() {
    start(UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_stripe_that_was_cut_off_is_taken_up() {
    start(STRIPE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_at_paypal_that_was_cut_off_is_taken_up() {
    start(PAYPAL).await;
}

async fn start(provider: Provider) {
    let mut scene = provider.scene().await;
    let mut died = Vec::new();
    for (point, nth) in provider.asking() {
        let order = scene.world.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        scene.kill_at((point, nth));
        let body = json!({ "method": provider.asks, "surface": shop::surface(provider.asks) });
        let answered = scene.attempt(&path, &body).await;
        if scene.revive().await {
            died.push((point, nth));
        }
        let payment = one_payment(&scene, &order, provider).await;
        if let Some(answered) = answered {
            assert_eq!(answered["reference"], payment["reference"], "{point:?} {nth}");
        }
        scene.world.payer_pays(&payment).await;
        scene.hurry().await;
        scene.world.payment_until(&payment, "succeeded").await;
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died("a start", &died, &EACH_KIND);
}

/// The one payment of an order that the payer can pay: the one that was cut off, or a new one if there is none.
async fn one_payment(scene: &Scene, order: &Value, provider: Provider) -> Value {
    until("a payment to pay", async || {
        let now = scene.world.order_of(order).await;
        let payments = now["payments"].as_array().unwrap().clone();
        assert!(payments.len() <= 1, "{now}");
        match payments.into_iter().next() {
            None => {
                let made = scene.world.pay(order, provider.asks).await;
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
