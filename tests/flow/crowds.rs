//! Many at once: whatever comes together happens once.

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_notifications_a_return_and_a_question_are_one_payment() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    let paid = world.payer_pays(&payment).await;
    // The provider thinks for a moment, so that all of them are here before the first one knows.
    world.fault("query", "delay", json!({ "ms": 1_000, "times": 0 })).await;
    let fifty = json!({ "times": 50, "parallel": true });
    let (told, back, asked) = tokio::join!(
        world.notify_with(&payment, "duplicate", fifty),
        world.comes_back(&paid),
        world.sync(&payment),
    );
    let answers = told["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 50);
    for answer in answers {
        assert_eq!(
            (&answer["status"], &answer["body"]),
            (&json!(200), &json!("success")),
            "{answer}"
        );
    }
    assert_eq!(back.status, 303);
    assert_eq!(asked.ok()["state"], "succeeded");
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
    let asked = world.calls(&payment, "query").await;
    assert!((1..=2).contains(&asked), "{asked} questions");
    let now = world.payment(&payment).await;
    assert_eq!((&now["state"], &now["taken"]), (&json!("succeeded"), &json!(1250)));
    let kept = world.kept().await;
    assert_eq!(kept.len(), 51, "every message is kept");
    assert!(kept.iter().all(|state| matches!(state.as_str(), "applied" | "duplicate")), "{kept:?}");
    // And the question that the schedule has still open finds nothing to do.
    world.make_due("query_payment").await;
    world.idle().await;
    assert_eq!(world.events(&payment).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_by_many_requests() {
    let world = World::start().await;
    let body =
        json!({ "number": number("same"), "amount": 990, "currency": "CNY", "subject": "Tea" });
    let all = (0..16).map(|_| world.post("/v1/orders", body.clone()));
    let replies = join_all(all).await;
    let made = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(made, 1, "one is new");
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 201)));
    assert!(replies.iter().all(|reply| reply.json["id"] == replies[0].json["id"]));
    assert_eq!(world.events(&replies[0].json).await, ["order.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_attempt_at_a_time_to_pay_an_order() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(990).await;
    let replies = join_all((0..8).map(|_| world.try_pay(&order, "page"))).await;
    let started: Vec<_> = replies.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(started.len(), 1);
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        reply.clone().refused(409, "payment-open");
    }
    assert_eq!(world.order_of(&order).await["payments"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_refunds_of_a_tenth_are_ten() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    let numbers: Vec<_> = (0..16).map(|at| format!("R-{at}")).collect();
    let replies = join_all(numbers.iter().map(|number| world.refund(&payment, number, 100))).await;
    let (yes, no): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((yes.len(), no.len()), (10, 6));
    for reply in no {
        reply.refused(409, "refund-exceeds-payment");
    }
    for refund in &yes {
        world.refund_until(&refund.json, "succeeded").await;
    }
    let now = world.payment(&payment).await;
    let figures = (&now["taken"], &now["refunded"], &now["refund_reserved"]);
    assert_eq!(figures, (&json!(1000), &json!(1000), &json!(0)), "{now}");
    assert_eq!(world.trade(&payment).await["refunded"], "10.00");
    assert_eq!(world.order_of(&payment).await["state"], "refunded");
    let events = world.events(&payment).await;
    let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!((count("refund.requested"), count("refund.succeeded")), (10, 10), "{events:?}");
    assert_eq!((count("order.partially_refunded"), count("order.refunded")), (1, 1), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refund_by_many_requests() {
    let world = World::start().await;
    let payment = world.paid(1000).await;
    let replies = join_all((0..8).map(|_| world.refund(&payment, "R-same", 300))).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
    assert!(replies.iter().all(|reply| reply.json["id"] == replies[0].json["id"]));
    world.refund_until(&replies[0].json, "succeeded").await;
    assert_eq!(world.trade(&payment).await["refunded"], "3.00");
    assert_eq!(world.calls(&payment, "refund").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_payers_at_once_are_all_paid() {
    let world = World::start().await;
    world.account().await;
    let mut payments: Vec<Value> = Vec::new();
    for _ in 0..20 {
        payments.push(world.pay(&world.order(1250).await, "page").await);
    }
    join_all(payments.iter().map(|payment| world.payer_pays(payment))).await;
    for payment in &payments {
        world.payment_until(payment, "succeeded").await;
        let events = world.events(payment).await;
        assert_eq!(events, ["order.created", "payment.succeeded", "order.paid"]);
    }
    let paid = world.get("/v1/orders?state=paid&limit=100").await.ok();
    assert_eq!(paid["data"].as_array().unwrap().len(), 20);
    assert_eq!(text(&paid["data"][0], "state"), "paid");
}
