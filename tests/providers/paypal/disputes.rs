//! Disputes: a webhook says of which one to ask, and what PayPal answers is what counts.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, until};

use super::{paid, world};

async fn disputes(world: &World, payment: &Value) -> Vec<Value> {
    let path = format!("/v1/disputes?payment_id={}", text(payment, "id"));
    world.get(&path).await.ok()["data"].as_array().unwrap().clone()
}

async fn dispute_until(world: &World, payment: &Value, state: &str) -> Value {
    until(state, async || {
        let first = disputes(world, payment).await.first().cloned();
        first.filter(|dispute| dispute["state"] == state)
    })
    .await
}

async fn told(world: &World, payment: &Value) -> Vec<String> {
    let mut kinds = world.events(payment).await;
    kinds.retain(|kind| kind.starts_with("dispute."));
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_is_followed_from_the_complaint_to_its_end() {
    let world = world().await;
    for (act, end, charged_back) in
        [("lose_dispute", "lost", 1250), ("win_dispute", "won", 0), ("cancel_dispute", "closed", 0)]
    {
        let payment = paid(&world).await;
        world.act(&payment, "dispute").await;
        let first = dispute_until(&world, &payment, "warned").await;
        assert_eq!((&first["amount"], &first["currency"]), (&json!(1250), &json!("USD")));
        assert_eq!(first["reason"], "MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "{first}");
        assert!(text(&first, "provider_reference").starts_with("PP-D-"), "{first}");
        assert!(first["respond_by"].is_string(), "{first}");
        assert_eq!(world.order_of(&payment).await["disputed"], 1250);
        world.act(&payment, "claim_dispute").await;
        dispute_until(&world, &payment, "opened").await;
        world.refund(&payment, &format!("R-{end}"), 100).await.refused(409, "payment-disputed");
        world.act(&payment, act).await;
        dispute_until(&world, &payment, end).await;
        let now = world.payment(&payment).await;
        assert_eq!((&now["disputed"], &now["charged_back"]), (&json!(0), &json!(charged_back)));
        let ended = format!("dispute.{end}");
        assert_eq!(told(&world, &payment).await, ["dispute.warned", "dispute.opened", &ended]);
        assert_eq!(disputes(&world, &payment).await.len(), 1);
        assert_eq!(world.calls(&payment, "dispute").await, 3, "asked once for each webhook");
    }
}

/// PayPal signs a checksum that other bodies have too. So the number is taken from a webhook, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_webhook_says_of_a_dispute_is_not_used() {
    let world = world().await;
    let payment = paid(&world).await;
    // Signed, of a dispute that PayPal knows nothing of when it is asked.
    let resolved = json!({ "value": "RESOLVED" });
    let answer = world.notify_with(&payment, "dispute", resolved).await;
    assert!(answer["status"].as_u64().unwrap() >= 500, "{answer}");
    assert!(world.reason().await.contains("no such dispute"));
    assert!(disputes(&world, &payment).await.is_empty());
    assert_eq!(world.payment(&payment).await["disputed"], 0);

    world.act(&payment, "dispute").await;
    dispute_until(&world, &payment, "warned").await;
    let lie =
        json!({ "value": "RESOLVED", "set": { "status": "RESOLVED", "reason": "UNAUTHORISED" } });
    assert_eq!(world.notify_with(&payment, "dispute", lie).await["status"], 200);
    let all = disputes(&world, &payment).await;
    assert_eq!((all.len(), &all[0]["state"]), (1, &json!("warned")), "{all:?}");
    assert_eq!(told(&world, &payment).await, ["dispute.warned"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_dispute_asks_nobody_about_it() {
    let world = world().await;
    let payment = paid(&world).await;
    let mut draft = world.draft(&payment, "dispute").await;
    let honest = text(&draft, "message").to_owned();
    draft["message"] = json!(honest.replace("12.50", "12.49"));
    assert_eq!(world.deliver(&draft).await.status, 400);
    // Signed, and part of an address.
    for number in ["../../v2/checkout/orders/X", "PP-D-1?fields=none", ""] {
        let set = json!({ "set": { "dispute_id": number } });
        let answer = world.notify_with(&payment, "dispute", set).await;
        assert_eq!(answer["status"], 400, "{number:?}: {answer}");
        assert!(world.reason().await.contains("dispute_id"), "{number:?}");
    }
    assert!(world.simulated("calls").await["dispute"].is_null(), "nobody was asked");
    assert!(disputes(&world, &payment).await.is_empty());
}

/// Of another dispute, payment, merchant, amount or currency: the answer is not believed, and somebody has to look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_disagrees_is_not_believed() {
    let world = world().await;
    let payment = paid(&world).await;
    world.lose_notifications().await;
    world.act(&payment, "dispute").await;
    world.stop_the_clock().await;
    let of = "/disputed_transactions/0";
    let set = |place: String, value: &str| json!({ "times": 0, "set": { place: value } });
    for more in [
        set("/dispute_id".to_owned(), "PP-D-ANOTHER"),
        set(format!("{of}/custom"), "TNOBODYSPAYMENTATALL0001"),
        set(format!("{of}/seller_transaction_id"), "NOBODYSCAPTURE001"),
        set(format!("{of}/seller/merchant_id"), "SOMEBODY"),
        set("/dispute_amount/value".to_owned(), "12.51"),
        set("/dispute_amount/currency_code".to_owned(), "EUR"),
    ] {
        world.fault("dispute", "set", more.clone()).await;
        let answer = world.notify(&payment, "dispute").await;
        assert!(answer["status"].as_u64().unwrap() >= 500, "{more}: {answer}");
        // Nor is it when it is read again.
        world.make_due("read_notice").await;
        world.stop_the_clock().await;
        assert!(disputes(&world, &payment).await.is_empty(), "{more}");
        world.forget("faults").await;
    }
    let path = format!("/v1/cases?payment_id={}", text(&payment, "id"));
    let cases = world.get(&path).await.ok();
    assert_eq!(cases["data"].as_array().unwrap().len(), 5, "{cases}");
    assert_eq!(world.notify(&payment, "dispute").await["status"], 200);
    assert_eq!(disputes(&world, &payment).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_that_could_not_be_asked_about_is_not_forgotten() {
    let world = world().await;
    let payment = paid(&world).await;
    world.lose_notifications().await;
    world.act(&payment, "dispute").await;
    world.fault("dispute", "error_500", json!({ "times": 0 })).await;
    let answer = world.notify(&payment, "dispute").await;
    assert!(answer["status"].as_u64().unwrap() >= 500, "{answer}");
    assert!(disputes(&world, &payment).await.is_empty());
    world.forget("faults").await;
    // PayPal does not send it again: the message was kept.
    until("it is read again", async || {
        world.make_due("read_notice").await;
        disputes(&world, &payment).await.first().cloned()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_a_dispute_again_and_out_of_order_are_one_dispute() {
    let world = world().await;
    let payment = paid(&world).await;
    world.lose_notifications().await;
    world.act(&payment, "dispute").await;
    world.act(&payment, "lose_dispute").await;
    for event in ["RESOLVED", "UPDATED", "CREATED"] {
        let more = json!({ "value": event, "times": 3, "parallel": true });
        let answer = world.notify_with(&payment, "dispute", more).await;
        for one in answer["answers"].as_array().unwrap() {
            assert_eq!(one["status"], 200, "{event}: {one}");
        }
    }
    let all = disputes(&world, &payment).await;
    assert_eq!((all.len(), &all[0]["state"]), (1, &json!("lost")), "{all:?}");
    assert_eq!(told(&world, &payment).await, ["dispute.lost"]);
}

/// The money that went is in the report as well: one dispute, and no difference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_and_the_report_tell_of_one_dispute() {
    let world = world().await;
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let payment = paid(&world).await;
    world.act(&payment, "dispute").await;
    dispute_until(&world, &payment, "warned").await;
    world.act(&payment, "lose_dispute").await;
    dispute_until(&world, &payment, "lost").await;
    let done = world.reconcile(&account, &world.today().await).await;
    let found = world.discrepancies(&done).await;
    assert_eq!(done["discrepancies"], 0, "{found:?}");
    let all = disputes(&world, &payment).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0]["charged_back"]["bill_id"].is_string(), "{all:?}");
    assert_eq!(world.payment(&payment).await["charged_back"], 1250);
}
