//! A shop ends an order, and has the provider end what may still take money. UnionPay and PayPal end nothing for a shop:
//! what ends there is in [`super::endings`].

use serde_json::json;
use tollgate_tests::reply::text;

use super::{ALIPAY, ASKING, Provider, STRIPE, WECHAT_PAY, all_died};
use crate::books;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_that_was_cut_off_ends_closed_or_paid_on_both_sides() {
    closed(ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_at_wechat_pay_ends_closed_or_paid_on_both_sides() {
    closed(WECHAT_PAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_at_stripe_ends_closed_or_paid_on_both_sides() {
    closed(STRIPE).await;
}

async fn closed(provider: Provider) {
    let mut scene = provider.scene().await;
    let mut died = Vec::new();
    for (index, (point, nth)) in provider.asking().into_iter().enumerate() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, provider.method).await;
        if provider.shows_page {
            scene.world.payer_opens(&payment).await;
        }
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
    all_died("a close", &died, &ASKING);
}
