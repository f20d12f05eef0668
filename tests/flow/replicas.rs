//! Several gateways on one database, where the engine takes several: together they do what one does.

use futures::future::join_all;
use serde_json::json;
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// The addresses of the world's gateway and of one more, if there can be one.
async fn pair(world: &World) -> (Vec<String>, Option<tollgate::server::Running>) {
    let second = world.replica().await;
    let urls = [Some(world.url.clone()), second.as_ref().map(|second| second.url.clone())];
    (urls.into_iter().flatten().collect(), second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_refunds_of_a_tenth_are_ten() {
    let world = World::start().await;
    let payment = world.paid(10_000).await;
    let (urls, second) = pair(&world).await;
    let asked = (0..64).map(|at| {
        let body =
            json!({ "payment_id": payment["id"], "number": format!("R-{at}"), "amount": 1_000 });
        world.post_at(&urls[at % urls.len()], "/v1/refunds", body)
    });
    let (yes, no): (Vec<_>, Vec<_>) =
        join_all(asked).await.into_iter().partition(|reply| reply.status == 201);
    assert_eq!((yes.len(), no.len()), (10, 54));
    for reply in no {
        reply.refused(409, "refund-exceeds-payment");
    }
    for refund in &yes {
        world.refund_until(&refund.json, "succeeded").await;
    }
    let now = world.payment(&payment).await;
    let figures = (&now["taken"], &now["refunded"], &now["refund_reserved"]);
    assert_eq!(figures, (&json!(10_000), &json!(10_000), &json!(0)), "{now}");
    assert_eq!(world.trade(&payment).await["refunded"], "100.00");
    let events = world.events(&payment).await;
    let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!((count("refund.requested"), count("refund.succeeded")), (10, 10), "{events:?}");
    assert_eq!((count("order.partially_refunded"), count("order.refunded")), (1, 1), "{events:?}");
    stop(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_notifications_are_one_payment() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    let (urls, second) = pair(&world).await;
    let draft = world.draft(&payment, "truth").await;
    let (kind, form) = (text(&draft, "content_type"), text(&draft, "message"));
    let told = (0..100).map(|at| {
        let url = text(&draft, "url").replacen(&world.url, &urls[at % urls.len()], 1);
        let world = &world;
        async move { world.post_form(&url, kind, form).await }
    });
    for reply in join_all(told).await {
        assert_eq!((reply.status, reply.text.as_str()), (200, "success"));
    }
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
    let now = world.payment(&payment).await;
    assert_eq!((&now["state"], &now["taken"]), (&json!("succeeded"), &json!(1250)));
    let kept = world.kept().await;
    assert_eq!(kept.len(), 100, "every message is kept");
    assert!(kept.iter().all(|state| matches!(state.as_str(), "applied" | "duplicate")), "{kept:?}");
    stop(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_attempt_at_a_time_to_pay_an_order() {
    let world = World::start().await;
    world.account().await;
    let (urls, second) = pair(&world).await;
    for _ in 0..4 {
        let order = world.order(990).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        let body = json!({ "method": "page", "surface": "desktop" });
        let asked = (0..8).map(|at| world.post_at(&urls[at % urls.len()], &path, body.clone()));
        let replies = join_all(asked).await;
        let started = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(started, 1);
        for reply in replies.into_iter().filter(|reply| reply.status != 201) {
            reply.refused(409, "payment-open");
        }
        assert_eq!(world.order_of(&order).await["payments"].as_array().unwrap().len(), 1);
    }
    stop(second).await;
}

/// Two attempts at one order that were both paid, one after it was ended here: whichever gateway hears of which, the
/// order is paid once, and the second success is told of once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_success_is_never_missed() {
    let world = World::start().await;
    world.account().await;
    world.lose_notifications().await;
    let (urls, second) = pair(&world).await;
    for _ in 0..4 {
        let order = world.order(1250).await;
        let first = world.pay(&order, "page").await;
        let ended = text(&first, "id");
        world.write(&format!("UPDATE payments SET state = 'closed' WHERE id = '{ended}'")).await;
        let again = world.pay(&order, "page").await;
        let (paid_first, paid_again) = (&first, &again);
        tokio::join!(world.payer_pays(paid_first), world.payer_pays(paid_again));
        let asked = [paid_first, paid_again].into_iter().enumerate().map(|(at, payment)| {
            let path = format!("/v1/payments/{}/sync", text(payment, "id"));
            let (world, url) = (&world, &urls[at % urls.len()]);
            async move { world.post_at(url, &path, json!({})).await }
        });
        for reply in join_all(asked).await {
            assert_eq!(reply.ok()["state"], "succeeded");
        }
        let events = world.events(&order).await;
        let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
        assert_eq!((count("order.paid"), count("payment.succeeded")), (1, 2), "{events:?}");
        assert_eq!(count("payment.duplicate_success"), 1, "{events:?}");
    }
    stop(second).await;
}

async fn stop(second: Option<tollgate::server::Running>) {
    if let Some(second) = second {
        second.stop().await;
    }
}
