//! The header Idempotency-Key, over HTTP: one request runs, whoever repeats it gets its answer, and what was cut off goes
//! on where it was.

use futures::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::receiver::Receiver;
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;
use tollgate_tests::{Reply, World, until};

fn order() -> Value {
    json!({ "number": number("K"), "amount": 1250, "currency": "CNY", "subject": "Tea" })
}

/// The same answer to the byte, and it says that it was given before.
#[track_caller]
fn is_replay(again: &Reply, first: &Reply) {
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_gets_the_first_answer_whatever_happened_since() {
    let world = World::start().await;
    let body = order();
    let first = world.post_once("/v1/orders", "\"k-1\"", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    is_replay(&world.post_once("/v1/orders", "\"k-1\"", &body).await, &first);
    is_replay(&world.post_once("/v1/orders", "k-1", &body).await, &first);
    let close = format!("/v1/orders/{}/close", text(&first.json, "id"));
    let closed = world.post_once(&close, "k-1", &Value::Null).await;
    assert_eq!(closed.json["state"], "closed", "the same key at another route is another key");
    is_replay(&world.post_once(&close, "k-1", &Value::Null).await, &closed);
    is_replay(&world.post_once("/v1/orders", "k-1", &body).await, &first);

    let other = world.post_once("/v1/orders", "k-1", &order()).await;
    other.refused(422, "idempotency-key-reused");
    // The address belongs to the request: the same key does not close another order.
    let second = world.post("/v1/orders", order()).await.ok();
    let close = format!("/v1/orders/{}/close", text(&second, "id"));
    let other = world.post_once(&close, "k-1", &Value::Null).await;
    other.refused(422, "idempotency-key-reused");
    assert_eq!(world.order_of(&second).await["state"], "open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_as_it_stood_may_be_mended_and_what_the_state_forbade_stays() {
    let world = World::start().await;
    let payment = world.paid(1250).await;
    let wrong = json!({ "payment_id": payment["id"], "number": "R", "amount": 0 });
    world.post_once("/v1/refunds", "k", &wrong).await.refused(422, "invalid-request");
    let too_much = json!({ "payment_id": payment["id"], "number": "R", "amount": 1251 });
    let first = world.post_once("/v1/refunds", "k", &too_much).await;
    is_replay(&world.post_once("/v1/refunds", "k", &too_much).await, &first);
    first.refused(409, "refund-exceeds-payment");
    let right = json!({ "payment_id": payment["id"], "number": "R", "amount": 250 });
    world.post_once("/v1/refunds", "k", &right).await.refused(422, "idempotency-key-reused");
    let refund = world.post_once("/v1/refunds", "k2", &right).await;
    is_replay(&world.post_once("/v1/refunds", "k2", &right).await, &refund);
    assert_eq!(refund.status, 201);
    assert_eq!(world.calls(&payment, "refund").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_demanded_where_the_merchant_says_so_and_always_checked() {
    let world = World::start().await;
    world.demand_keys(true).await;
    let problem = world.post("/v1/orders", order()).await.refused(400, "idempotency-key-missing");
    assert!(text(&problem, "detail").contains("Idempotency-Key"), "{problem}");
    world.get("/v1/orders").await.ok();
    world.post_once("/v1/orders", "k", &order()).await.ok();
    world.demand_keys(false).await;
    world.post("/v1/orders", order()).await.ok();
    let long = "k".repeat(256);
    for key in ["", "\"", "a b", "\"a\";p=1", long.as_str()] {
        let problem = world.post_once("/v1/orders", key, &order()).await;
        let problem = problem.refused(400, "idempotency-key-malformed");
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{problem}");
    }
    // A GET changes nothing, so what it carries is not looked at.
    let list =
        world.ask(("GET", "/v1/orders"), &world.key, &[("idempotency-key", "a b")], &Value::Null);
    assert_eq!(list.await.status, 200);
    assert_eq!(world.select("SELECT CAST(count(*) AS TEXT) FROM orders").await, ["2"]);
}

/// Fault 9: many at once under one key are one payment, asked for once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_one() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "method": "qr" });
    let replies = join_all((0..32).map(|_| world.post_once(&path, "k", &body))).await;
    let (done, told): (Vec<Reply>, Vec<Reply>) =
        replies.into_iter().partition(|reply| reply.status == 201);
    assert!(!done.is_empty());
    let fresh = done.iter().filter(|reply| reply.header("idempotency-replayed").is_empty()).count();
    assert_eq!(fresh, 1, "one runs");
    assert!(done.iter().all(|reply| reply.text == done[0].text));
    for reply in told {
        assert_eq!(reply.header("retry-after"), "1", "{}", reply.text);
        reply.refused(409, "request-running");
    }
    assert_eq!(world.order_of(&order).await["payments"].as_array().unwrap().len(), 1);
    assert_eq!(world.calls(&done[0].json, "precreate").await, 1);
}

/// Fault 8: a client that hangs up loses neither the payment nor its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hung_up_gets_its_answer_when_it_comes_back() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(1250).await;
    world.fault("precreate", "delay", json!({ "ms": 700 })).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let url = format!("{}{path}", world.url);
    let body = json!({ "method": "qr" });
    let impatient = world.client.post(url).bearer_auth(&world.key);
    let impatient = tokio::spawn(impatient.header("idempotency-key", "k").json(&body).send());
    until("the payment of the first request", async || {
        let payments = world.select("SELECT CAST(count(*) AS TEXT) FROM payments").await;
        (payments == ["1"]).then_some(())
    })
    .await;
    impatient.abort();
    assert!(impatient.await.is_err(), "it waited");
    let reply = until("the answer of the first request", async || {
        let reply = world.post_once(&path, "k", &body).await;
        if reply.status == 409 {
            reply.refused(409, "request-running");
            return None;
        }
        Some(reply)
    })
    .await;
    assert_eq!((reply.status, reply.header("idempotency-replayed")), (201, "true"));
    assert_eq!(world.calls(&reply.json, "precreate").await, 1);
}

/// What a process leaves that is killed between the end of a flow and its answer.
async fn lose_answers(world: &World) {
    world.write("UPDATE keyed_requests SET answer = NULL, leased_until = 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_whose_answer_was_lost_gives_what_it_made() {
    let world = World::start().await;
    let credentials = world.credentials("account");
    let account = world.post_once("/v1/accounts", "k", &credentials).await;
    let body = order();
    let order = world.post_once("/v1/orders", "k", &body).await;
    let path = format!("/v1/orders/{}/payments", text(&order.json, "id"));
    let pay = json!({ "method": "qr" });
    let payment = world.post_once(&path, "k", &pay).await;
    lose_answers(&world).await;
    assert_eq!(world.post_once("/v1/accounts", "k", &credentials).await.ok(), account.json);
    assert_eq!(
        world.post_once("/v1/orders", "k", &body).await.ok(),
        world.order_of(&order.json).await
    );
    let again = world.post_once(&path, "k", &pay).await;
    assert_eq!((again.status, &again.json), (201, &payment.json), "not that one is open");
    is_replay(&world.post_once(&path, "k", &pay).await, &again);
    world.post_once(&path, "k2", &pay).await.refused(409, "payment-open");
    assert_eq!(world.calls(&payment.json, "precreate").await, 1);

    world.payer_pays(&payment.json).await;
    let paid = world.payment_until(&payment.json, "succeeded").await;
    let refund = json!({ "payment_id": paid["id"], "number": "R-1", "amount": 250 });
    let first = world.post_once("/v1/refunds", "k", &refund).await;
    lose_answers(&world).await;
    let again = world.post_once("/v1/refunds", "k", &refund).await;
    assert_eq!((again.status, &again.json["id"]), (200, &first.json["id"]));
    assert_eq!(world.calls(&paid, "refund").await, 1);
}

/// Killed after the secret was replaced and before anybody was told: the repeat tells it, and the one that the shop has goes
/// on signing beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_was_replaced_and_not_told_is_told_by_the_repeat() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let wanted = json!({ "url": receiver.url, "kinds": ["order.created"] });
    let made = world.post_once("/v1/webhook-endpoints", "k", &wanted).await.ok();
    lose_answers(&world).await;
    let again = world.post_once("/v1/webhook-endpoints", "k", &wanted).await.ok();
    assert_eq!(again, made, "nobody was told of the first");
    let path = format!("/v1/webhook-endpoints/{}/rotate-secret", text(&made, "id"));
    let rotation = json!({ "overlap_s": 3600 });
    let rotated = world.post_once(&path, "k", &rotation).await.ok();
    for _ in 0..2 {
        lose_answers(&world).await;
        assert_eq!(world.post_once(&path, "k", &rotation).await.ok(), rotated);
    }
    world.order(100).await;
    let message = receiver.got_until(1).await.remove(0);
    let signed = [&made, &rotated].map(|with| message.signed_with(text(with, "secret")));
    assert_eq!((signed, message.signatures.len()), ([1, 1], 2));
    let other = world.post_once(&path, "k2", &rotation).await.ok();
    assert_ne!(other["secret"], rotated["secret"], "another key is another rotation");
}

/// Killed right after the payment was written: the repeat goes on with it, under the same reference.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_cut_off_after_its_intent_is_gone_on_with() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let pay = json!({ "method": "qr" });
    let payment = world.post_once(&path, "k", &pay).await.ok();
    world.stop_the_clock().await;
    world.write("UPDATE payments SET state = 'created', action = NULL").await;
    lose_answers(&world).await;
    let again = world.post_once(&path, "k", &pay).await.ok();
    assert_eq!((&again["id"], &again["reference"]), (&payment["id"], &payment["reference"]));
    assert_eq!((text(&again, "state"), &again["action"]["kind"]), ("pending", &json!("qr_code")));
    assert_eq!(world.order_of(&order).await["payments"].as_array().unwrap().len(), 1);
    world.payer_pays(&again).await;
    world.order_until(&order, "paid").await;
}

/// Fault 11: the merchant's own numbers go on blocking doubles once the key's time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_time_is_over_makes_no_second_order() {
    let world = World::start().await;
    let body = order();
    let first = world.post_once("/v1/orders", "k", &body).await.ok();
    world.write("UPDATE keyed_requests SET expires_at = 1").await;
    let again = world.post_once("/v1/orders", "k", &body).await;
    assert_eq!((again.status, &again.json["id"]), (200, &first["id"]));
    assert_eq!(again.header("idempotency-replayed"), "", "it ran");
    world.write("UPDATE keyed_requests SET expires_at = 1").await;
    let mut other = body.clone();
    other["amount"] = json!(990);
    world.post_once("/v1/orders", "k", &other).await.refused(409, "order-number-used");
}
