//! A day is reconciled: the provider's bill is fetched, read and compared.

use serde_json::json;

use super::{ALIPAY, EACH_KIND, PAYPAL, Provider, STRIPE, UNIONPAY, WECHAT_PAY, all_died, paid};
use crate::books;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_that_was_cut_off_finds_the_same() {
    reconciled(ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_with_wechat_pay_finds_the_same() {
    reconciled(WECHAT_PAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_with_unionpay_finds_the_same() {
    reconciled(UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_with_stripe_finds_the_same() {
    reconciled(STRIPE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_with_paypal_finds_the_same() {
    reconciled(PAYPAL).await;
}

async fn reconciled(provider: Provider) {
    let mut scene = provider.scene().await;
    let account = scene.world.get("/v1/accounts").await.ok()["data"][0].clone();
    let mut died = Vec::new();
    for (point, nth) in provider.asking() {
        // A day of its own for each: over the same bill and records a run writes nothing.
        let day = scene.world.days_ago(1).await;
        paid(&scene, provider).await;
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
    all_died("a reconciliation", &died, &EACH_KIND);
}
