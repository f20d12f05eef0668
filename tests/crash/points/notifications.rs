//! A provider notifies: its message is kept, looked into by asking, and answered once that is written.

use tollgate_tests::shim::Point;

use super::{ALIPAY, EACH_KIND, PAYPAL, Provider, STRIPE, UNIONPAY, WECHAT_PAY, all_died};
use crate::books;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_applied_once_however_often_the_process_dies_over_it() {
    notified(ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_of_wechat_pay_is_applied_once() {
    notified(WECHAT_PAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_of_unionpay_is_applied_once() {
    notified(UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_stripe_is_applied_once() {
    notified(STRIPE).await;
}

/// An approval is told, and the money is taken because of it: once, wherever that was cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_of_paypal_is_applied_once() {
    notified(PAYPAL).await;
}

async fn notified(provider: Provider) {
    let mut scene = provider.scene().await;
    let mut died = Vec::new();
    for (point, nth) in provider.questioning() {
        let order = scene.world.order(1250).await;
        let payment = scene.world.pay(&order, provider.method).await;
        scene.kill_at((point, nth));
        scene.world.payer_pays(&payment).await;
        scene.program.may_die().await;
        if scene.revive().await {
            died.push((point, nth));
        }
        scene.world.payment_until(&payment, "succeeded").await;
        let mut wanted = vec!["order.created", "payment.succeeded", "order.paid"];
        if provider.takes {
            wanted.insert(1, "payment.approved");
        }
        assert_eq!(scene.world.events(&order).await, wanted, "{point:?} {nth}");
    }
    books::settle(&scene.world).await;
    books::agree(&scene.world).await;
    all_died("a notification", &died, &[&EACH_KIND[..], &[Point::AfterAnswering]].concat());
    let asked = died.iter().filter(|(at, _)| *at == Point::AfterAsking).count() as u64;
    assert_eq!(asked, provider.questions, "each question was cut off");
}
