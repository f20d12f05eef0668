//! Disputes and chargebacks: told by a message, by a bill, or by both, they are one fact, and block what would pay twice.

use serde_json::{Value, json};
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;

const OPENED: &str = "about=dispute&dispute_ref=D-1&status=opened&amount=600&reason=not+received\
                      &respond_by=2026-12-01T00:00:00Z";

async fn disputes(puppet: &Puppet, payment: &Value) -> Vec<Value> {
    let path = format!("/v1/disputes?payment_id={}", text(payment, "id"));
    puppet.world.get(&path).await.ok()["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_is_told_once_and_blocks_refunds_until_somebody_says_so() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    for _ in 0..3 {
        assert_eq!(puppet.says(&payment, OPENED).await.status, 200);
    }
    let all = disputes(&puppet, &payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!((&all[0]["state"], &all[0]["amount"]), (&json!("opened"), &json!(600)), "{all:?}");
    let read = puppet.world.get(&format!("/v1/disputes/{}", text(&all[0], "id"))).await.ok();
    assert_eq!(read, all[0]);
    let order = puppet.world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["disputed"]), (&json!("paid"), &json!(600)), "{order}");
    let wanted = ["order.created", "payment.succeeded", "order.paid", "dispute.opened"];
    assert_eq!(puppet.world.events(&payment).await, wanted);

    puppet.answers("refund", "status=succeeded");
    puppet.world.refund(&payment, "R-1", 100).await.refused(409, "payment-disputed");
    assert_eq!(puppet.asked("refund"), 0);
    let body = json!({
        "payment_id": payment["id"], "number": "R-1", "amount": 100, "despite_dispute": true,
    });
    assert_eq!(puppet.world.post("/v1/refunds", body).await.ok()["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_is_gone_and_what_is_won_is_not() {
    let puppet = Puppet::start().await;
    for (ending, charged_back) in [("lost", 600), ("won", 0), ("closed", 0)] {
        let payment = puppet.paid(1000).await;
        let opened = OPENED.replace("D-1", ending);
        let ended = opened.replace("opened", ending);
        // The ending may come first.
        for news in [&ended, &opened, &ended] {
            assert_eq!(puppet.says(&payment, news).await.status, 200);
        }
        let now = puppet.world.payment(&payment).await;
        assert_eq!(now["charged_back"], charged_back, "{ending}: {now}");
        assert_eq!(now["disputed"], 0, "{ending}: {now}");
        puppet.answers("refund", "status=succeeded");
        let body = json!({
            "payment_id": payment["id"], "number": format!("all-{ending}"), "amount": 1000,
            "despite_dispute": true,
        });
        let all = puppet.world.post("/v1/refunds", body).await;
        if charged_back > 0 {
            all.refused(409, "refund-exceeds-payment");
        } else {
            assert_eq!(all.ok()["state"], "succeeded", "{ending}");
        }
        let kinds = puppet.world.events(&payment).await;
        let told: Vec<_> = kinds.iter().filter(|kind| kind.starts_with("dispute.")).collect();
        assert_eq!(told, [&format!("dispute.{ending}")], "{kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_and_a_message_tell_of_one_dispute() {
    let puppet = Puppet::start().await;
    for message_first in [true, false] {
        let payment = puppet.paid(1000).await;
        let ours = text(&payment, "reference");
        let opened = OPENED.replace("D-1", if message_first { "D-2" } else { "D-3" });
        let day = if message_first { "2026-11-21" } else { "2026-11-22" };
        let row = format!("kind=chargeback&payment_ref={ours}&gross=-600&at={day}T10:00:00Z");
        puppet.answers("bill", &row);
        if message_first {
            assert_eq!(puppet.says(&payment, &opened).await.status, 200);
        }
        for _ in 0..2 {
            puppet.world.reconcile(&puppet.account, day).await;
        }
        assert_eq!(puppet.says(&payment, &opened).await.status, 200);
        let all = disputes(&puppet, &payment).await;
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0]["charged_back"]["bill_id"].is_string(), "{all:?}");
        assert!(all[0]["provider_reference"].is_string(), "{all:?}");
        let now = puppet.world.payment(&payment).await;
        assert_eq!((&now["charged_back"], &now["disputed"]), (&json!(600), &json!(0)), "{now}");
        let mut kinds = puppet.world.events(&payment).await;
        kinds.retain(|kind| kind.starts_with("dispute."));
        assert_eq!(kinds, ["dispute.opened", "dispute.charged_back"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_endings_are_a_case_and_no_signature_is_nothing() {
    let puppet = Puppet::start().await;
    let payment = puppet.paid(1000).await;
    let forged = format!("payment_ref={}&{OPENED}", text(&payment, "reference"));
    assert_eq!(puppet.sends(&forged, &"0".repeat(64)).await.status, 400);
    for bad in ["amount=1001", "amount=0", "amount=-1", ""] {
        let bent = OPENED.replace("amount=600", bad);
        assert_eq!(puppet.says(&payment, &bent).await.status, 400, "{bad:?}");
    }
    assert_eq!(puppet.says(&payment, &OPENED.replace("opened", "forgotten")).await.status, 400);
    assert!(disputes(&puppet, &payment).await.is_empty());
    for ending in ["won", "lost", "won"] {
        let ended = OPENED.replace("opened", ending);
        assert_eq!(puppet.says(&payment, &ended).await.status, 200, "{ending}");
    }
    assert_eq!(disputes(&puppet, &payment).await[0]["state"], "lost");
    let path = format!("/v1/cases?payment_id={}", text(&payment, "id"));
    let cases = puppet.world.get(&path).await.ok();
    let kinds: Vec<_> =
        cases["data"].as_array().unwrap().iter().map(|case| text(case, "kind")).collect();
    let endings = kinds.iter().filter(|kind| **kind == "dispute_endings").count();
    assert_eq!(endings, 1, "{cases}");
}
