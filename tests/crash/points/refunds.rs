//! A shop gives money back.

use serde_json::json;
use tollgate_tests::{shop, until};

use super::{ALIPAY, EACH_KIND, PAYPAL, Provider, STRIPE, UNIONPAY, WECHAT_PAY, all_died, paid};
use crate::books;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once() {
    refunded(ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once_by_wechat_pay() {
    refunded(WECHAT_PAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once_by_unionpay() {
    refunded(UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once_by_stripe() {
    refunded(STRIPE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_paid_out_once_by_paypal() {
    refunded(PAYPAL).await;
}

async fn refunded(provider: Provider) {
    let mut scene = provider.scene().await;
    let mut died = Vec::new();
    for (point, nth) in provider.asking() {
        let payment = paid(&scene, provider).await;
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
    all_died("a refund", &died, &EACH_KIND);
}
