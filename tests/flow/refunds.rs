//! Giving money back: reserved before the provider is asked, settled by its word, never twice.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

fn impatient() -> Setup {
    Setup { call_ms: 1_000, ..Setup::default() }
}

async fn figures(world: &World, payment: &Value) -> (i64, i64, i64) {
    let now = world.payment(payment).await;
    let figure = |name: &str| now[name].as_i64().unwrap();
    (figure("taken"), figure("refund_reserved"), figure("refunded"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_add_up_to_the_whole() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    for (number, amount, refunded, state) in [
        ("R-1", 250, 250, "partially_refunded"),
        ("R-2", 1, 251, "partially_refunded"),
        // The provider tells the sum of all refunds as this one's fee: each counts for what it is.
        ("R-3", 749, 1000, "refunded"),
    ] {
        let reply = world.refund(&payment, number, amount).await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        let refund = reply.ok();
        assert_eq!(
            (&refund["state"], &refund["amount"]),
            (&json!("succeeded"), &json!(amount)),
            "{refund}"
        );
        assert_eq!(figures(&world, &payment).await, (1000, 0, refunded), "{number}");
        let order = world.order_of(&payment).await;
        assert_eq!((&order["state"], &order["refunded"]), (&json!(state), &json!(refunded)));
        assert_eq!(world.refund_now(&refund).await, refund);
    }
    let trade = world.trade(&payment).await;
    let parts: Vec<_> =
        trade["refunds"].as_array().unwrap().iter().map(|part| &part["amount"]).collect();
    assert_eq!(parts, ["2.50", "0.01", "7.49"]);
    world.refund(&payment, "R-4", 1).await.refused(409, "refund-exceeds-payment");
    let wanted = [
        "order.created",
        "payment.succeeded",
        "order.paid",
        "refund.requested",
        "order.partially_refunded",
        "refund.succeeded",
        "refund.requested",
        "refund.succeeded",
        "refund.requested",
        "order.refunded",
        "refund.succeeded",
    ];
    let mut events = world.events(&payment).await;
    // A refund's own event and its order's are of one transaction: their order among themselves says nothing.
    let sorted = |events: &mut [String]| events.sort_unstable();
    sorted(&mut events);
    let mut wanted: Vec<_> = wanted.iter().map(|kind| (*kind).to_owned()).collect();
    sorted(&mut wanted);
    assert_eq!(events, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_given_back_is_refused_before_anybody_is_asked() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    world.refund(&payment, "R-1", 300).await.ok();
    let asked = world.calls(&payment, "refund").await;
    world.refund(&payment, "R-2", 701).await.refused(409, "refund-exceeds-payment");
    world.refund(&payment, "R-2", 1_000_000_000).await.refused(409, "refund-exceeds-payment");
    // The number of the first one with another amount is another request.
    world.refund(&payment, "R-1", 301).await.refused(409, "refund-number-used");
    let again = world.refund(&payment, "R-1", 300).await;
    assert_eq!((again.status, &again.json["amount"]), (200, &json!(300)));
    for (amount, rule) in [(0, "zero"), (-1, "zero"), (i64::MAX, "large")] {
        let problem = world.refund(&payment, "R-3", amount).await.refused(422, "invalid-request");
        assert_eq!(problem["errors"][0]["field"], "amount");
        assert!(text(&problem["errors"][0], "rule").contains(rule), "{problem}");
    }
    let nobody = json!({ "id": format!("pay_{}", "0".repeat(32)) });
    for payment in [nobody, json!({ "id": "17" })] {
        let problem = world.refund(&payment, "R-4", 1).await.refused(422, "invalid-request");
        assert_eq!(problem["errors"][0]["field"], "payment_id");
    }
    assert_eq!(world.calls(&payment, "refund").await, asked);
    assert_eq!(figures(&world, &payment).await, (1000, 0, 300));
    let unpaid = world.pay(&world.order(1000).await, "page").await;
    world.refund(&unpaid, "R-5", 1).await.refused(409, "payment-not-succeeded");
}

/// Nobody knows whether the money went back: the amount stays reserved, the same reference asks again, and the
/// provider gives back once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_without_an_answer_is_unknown_and_then_known() {
    let world = World::with(impatient()).await;
    world.account().await;
    world.lose_notifications().await;
    for (verb, more) in [
        ("lose_reply", json!({})),
        ("drop", json!({})),
        ("delay", json!({ "ms": 3_000 })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("bad_signature", json!({})),
        ("unsigned", json!({})),
        ("system_error", json!({})),
        ("system_error", json!({ "value": "done" })),
        ("refuse", json!({ "value": "ACQ.SYSTEM_ERROR" })),
    ] {
        let payment = world.pay(&world.order(1000).await, "page").await;
        world.payer_pays(&payment).await;
        world.sync(&payment).await.ok();
        world.fault("refund", verb, more.clone()).await;
        let number = tollgate_tests::shop::number("R");
        let refund = world.refund(&payment, &number, 400).await.ok();
        assert_eq!(refund["state"], "unknown", "{verb} {more}: {refund}");
        assert_eq!(figures(&world, &payment).await, (1000, 400, 0), "{verb}");
        world.refund(&payment, "too-much", 601).await.refused(409, "refund-exceeds-payment");
        assert_eq!(world.order_of(&payment).await["state"], "paid", "{verb}");
        world.forget("faults").await;
        world.make_due("query_refund").await;
        let done = world.refund_until(&refund, "succeeded").await;
        assert_eq!(done["reference"], refund["reference"], "{verb}");
        assert_eq!(figures(&world, &payment).await, (1000, 0, 400), "{verb}");
        let trade = world.trade(&payment).await;
        assert_eq!(
            (&trade["refunded"], trade["refunds"].as_array().unwrap().len()),
            (&json!("4.00"), 1),
            "{verb}"
        );
        assert_eq!(trade["refunds"][0]["reference"], refund["reference"], "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_the_provider_refuses_frees_its_amount() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    world.fault("refund", "refuse", json!({ "value": "ACQ.SELLER_BALANCE_NOT_ENOUGH" })).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "failed", "{refund}");
    let code = &refund["failure"]["provider_code"];
    assert_eq!(code, "ACQ.SELLER_BALANCE_NOT_ENOUGH", "{refund}");
    assert_eq!(figures(&world, &payment).await, (1000, 0, 0));
    assert_eq!(world.trade(&payment).await["refunded"], "0.00");
    // The number is used up with it: a repeat shows the same refund, and the whole can be asked for anew.
    let again = world.refund(&payment, "R-1", 400).await;
    assert_eq!((again.status, &again.json["state"]), (200, &json!("failed")));
    let whole = world.refund(&payment, "R-2", 1000).await.ok();
    assert_eq!(whole["state"], "succeeded");
    let events = world.events(&payment).await;
    assert!(events.contains(&"refund.failed".to_owned()), "{events:?}");
    assert_eq!(world.order_of(&payment).await["state"], "refunded");
}

/// The question says nothing either: nothing is decided, and the job asks on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_about_a_refund_without_an_answer_decides_nothing() {
    let world = World::with(impatient()).await;
    world.account().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1000).await, "page").await;
    world.payer_pays(&payment).await;
    world.sync(&payment).await.ok();
    world.fault("refund", "lose_reply", json!({})).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown");
    for verb in ["drop", "bad_signature", "unsigned", "system_error"] {
        world.fault("refund_query", verb, json!({})).await;
        world.make_due("query_refund").await;
        world.idle().await;
        assert_eq!(world.refund_now(&refund).await["state"], "unknown", "{verb}");
        assert_eq!(figures(&world, &payment).await, (1000, 400, 0), "{verb}");
        world.forget("faults").await;
    }
    assert_eq!(world.calls(&payment, "refund").await, 1, "it is not sent again while nobody knows");
    world.make_due("query_refund").await;
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(world.trade(&payment).await["refunded"], "4.00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refunds_are_listed_by_payment_and_by_order() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    let first = world.refund(&payment, "R-1", 100).await.ok();
    let second = world.refund(&payment, "R-2", 200).await.ok();
    let other = world.pay(&world.order(500).await, "page").await;
    for (query, wanted) in [
        (format!("payment_id={}", text(&payment, "id")), vec![&second, &first]),
        (format!("order_id={}", text(&payment, "order_id")), vec![&second, &first]),
        (format!("payment_id={}", text(&other, "id")), vec![]),
    ] {
        let list = world.get(&format!("/v1/refunds?{query}")).await.ok();
        assert_eq!(list, json!({ "data": wanted, "next_cursor": null }), "{query}");
    }
    let page = world.get("/v1/refunds?limit=1").await.ok();
    assert_eq!(page["data"], json!([second]));
    let rest =
        world.get(&format!("/v1/refunds?limit=1&cursor={}", text(&page, "next_cursor"))).await.ok();
    assert_eq!(rest, json!({ "data": [first], "next_cursor": null }));
    let order = world.order_of(&payment).await;
    assert_eq!(order["refunds"], json!([first, second]));
}

/// The answer got lost and the provider's notice of the refund did not: its sum is more than we knew of, so we ask at
/// once, whatever the schedule says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_settles_a_refund_that_was_not_answered() {
    let world = World::with(impatient()).await;
    let payment = world.paid(1000).await;
    world.control("settings", json!({ "notifications": "hold" })).await;
    world.fault("refund", "lose_reply", json!({})).await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "unknown", "{refund}");
    world.stop_the_clock().await;
    world.control("settings", json!({ "notifications": "send" })).await;
    world.refund_until(&refund, "succeeded").await;
    world.acknowledged(&payment).await;
    assert_eq!(figures(&world, &payment).await, (1000, 0, 400));
    assert_eq!(world.calls(&payment, "refund").await, 1);
    assert_eq!(world.trade(&payment).await["refunded"], "4.00");
}
