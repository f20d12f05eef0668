//! How orders end: by the shop, by time, by money that comes after all.

use serde_json::{Value, json};
use tollgate_domain::order::GRACE_MS;
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World, until};

/// An order's time is over, and the job that ends it is due.
async fn run_out(world: &World, order: &Value) {
    let id = order["order_id"].as_str().unwrap_or_else(|| text(order, "id"));
    let past = world.now() - 60_000_000;
    world.write(&format!("UPDATE orders SET expires_at = {past} WHERE id = '{id}'")).await;
    world.make_due("end_order").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_opened_is_closed_and_stays_closed() {
    let world = World::start().await;
    world.account().await;
    for method in ["none", "page", "qr", "app"] {
        let order = world.order(1250).await;
        if method != "none" {
            world.pay(&order, method).await;
        }
        let closed = world.close(&order).await.ok();
        assert_eq!(closed["state"], "closed", "{method}");
        let payments = closed["payments"].as_array().unwrap();
        assert!(payments.iter().all(|payment| payment["state"] == "closed"), "{method}: {closed}");
        let again = world.close(&order).await.ok();
        assert_eq!(again["state"], "closed", "{method}: twice is once");
        world.try_pay(&order, "page").await.refused(409, "order-closed");
        let events = world.events(&order).await;
        assert_eq!(events.iter().filter(|kind| *kind == "order.closed").count(), 1, "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opened_trade_is_ended_at_the_provider_first() {
    let world = World::start().await;
    let payment = world.started(1250, "page").await;
    world.payer_opens(&payment).await;
    let order = world.order_of(&payment).await;
    assert_eq!(world.close(&order).await.ok()["state"], "closed");
    assert_eq!(world.trade(&payment).await["standing"], "closed");
    let page = world.payer_opens(&payment).await;
    assert!(page.text.contains("CLOSE"), "nobody can pay any more: {}", page.text);
    assert_eq!(world.payment(&payment).await["state"], "closed");
    assert_eq!(world.events(&payment).await, ["order.created", "payment.closed", "order.closed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paid_while_it_was_being_closed_is_paid() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    let order = world.order_of(&payment).await;
    assert_eq!(order["state"], "open", "the shop does not know yet");
    world.close(&order).await.refused(409, "order-paid");
    assert_eq!(world.order_of(&payment).await["state"], "paid");
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
    world.try_pay(&order, "page").await.refused(409, "order-paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_ended_at_the_provider_is_not_ended_here() {
    let world = World::with(Setup { call_ms: 1_000, ..Setup::default() }).await;
    let payment = world.started(1250, "page").await;
    world.payer_opens(&payment).await;
    let order = world.order_of(&payment).await;
    for verb in ["drop", "error_500", "bad_signature"] {
        world.fault("close", verb, json!({})).await;
        world.fault("query", verb, json!({})).await;
        world.close(&order).await.refused(409, "payment-open");
        assert_eq!(world.order_of(&order).await["state"], "open", "{verb}");
        world.forget("faults").await;
    }
    // The answer to closing got lost, and the question tells that it is closed.
    world.fault("close", "lose_reply", json!({})).await;
    assert_eq!(world.close(&order).await.ok()["state"], "closed");
    assert_eq!(world.events(&order).await, ["order.created", "payment.closed", "order.closed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_ends_an_order_by_itself() {
    let world = World::start().await;
    world.account().await;
    for method in ["none", "page", "qr"] {
        let order = world.order(1250).await;
        if method != "none" {
            let payment = world.pay(&order, method).await;
            if method == "page" {
                world.payer_opens(&payment).await;
            }
        }
        run_out(&world, &order).await;
        let expired = world.order_until(&order, "expired").await;
        let payments = expired["payments"].as_array().unwrap();
        assert!(payments.iter().all(|payment| payment["state"] == "closed"), "{method}: {expired}");
        assert_eq!(world.events(&order).await.last().unwrap(), "order.expired");
        world.try_pay(&order, "page").await.refused(409, "order-expired");
        world.close(&order).await.refused(409, "order-expired");
    }
}

/// A job that comes before its time, whoever called it, ends nobody's attempt to pay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_time_is_not_over_keeps_its_payments() {
    let world = World::start().await;
    let payment = world.started(1250, "page").await;
    world.payer_opens(&payment).await;
    let order = world.order_of(&payment).await;
    world.make_due("end_order").await;
    world.idle().await;
    assert_eq!(world.calls(&payment, "close").await, 0, "the provider was told to end it");
    assert_eq!(world.order_of(&order).await, order);
    let left = "SELECT CAST(due_at - expires_at AS TEXT) || coalesce(CAST(parked_at AS TEXT), '') \
                FROM jobs JOIN orders ON orders.id = subject_id WHERE kind = 'end_order'";
    assert_eq!(world.select(left).await, [(GRACE_MS * 1_000).to_string()], "it waits for its time");
    world.act(&payment, "pay").await;
    world.order_until(&order, "paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_does_not_end_what_was_paid_in_silence() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "page").await;
    world.payer_pays(&payment).await;
    run_out(&world, &payment).await;
    world.order_until(&payment, "paid").await;
    world.idle().await;
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
}

/// Not there before the scan is no failure: the code that was shown is still good, and so is the money.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_nobody_has_scanned_yet_is_pending() {
    let world = World::start().await;
    let payment = world.started(1250, "qr").await;
    for _ in 0..3 {
        assert_eq!(world.sync(&payment).await.ok()["state"], "pending");
    }
    assert_eq!(world.order_of(&payment).await["state"], "open");
    world.payer_pays(&payment).await;
    world.order_until(&payment, "paid").await;
}

/// Closed here before anybody scanned, so the provider knew of nothing to close; then somebody pays after all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_comes_late_is_not_refused() {
    let world = World::start().await;
    world.account().await;
    for ended in ["closed", "expired"] {
        let order = world.order(1250).await;
        let payment = world.pay(&order, "qr").await;
        if ended == "closed" {
            world.close(&order).await.ok();
        } else {
            run_out(&world, &order).await;
            world.order_until(&order, "expired").await;
        }
        world.payer_pays(&payment).await;
        let paid = world.order_until(&order, "paid").await;
        assert_eq!(
            (&paid["paid"], &paid["payments"][0]["state"]),
            (&json!(1250), &json!("succeeded"))
        );
        world.acknowledged(&payment).await;
        let ended_by = format!("order.{ended}");
        let wanted = [
            "order.created",
            "payment.closed",
            ended_by.as_str(),
            "payment.succeeded",
            "order.paid",
        ];
        assert_eq!(world.events(&order).await, wanted);
        // And it can be given back like any other.
        let refund = world.refund(&payment, &format!("R-{ended}"), 1250).await.ok();
        assert_eq!(refund["state"], "succeeded", "{refund}");
        assert_eq!(world.order_of(&order).await["state"], "refunded");
    }
}

/// The first code was ended before anybody had scanned it, a second payment was made and paid, and then somebody pays
/// the first one too: the order counts one, and the other goes back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_paid_twice_gives_one_back() {
    let world = World::start().await;
    world.account().await;
    let order = world.order(1250).await;
    let first = world.pay(&order, "qr").await;
    let leave = [("leave", text(&first, "id"))];
    let page = world.client.post(text(&order, "cashier_url")).form(&leave).send().await.unwrap();
    assert_eq!(page.status(), 303);
    assert_eq!(world.payment(&first).await["state"], "closed");
    let second = world.pay(&order, "page").await;
    for payment in [&second, &first] {
        world.payer_pays(payment).await;
        world.payment_until(payment, "succeeded").await;
    }
    let refunds = world.get(&format!("/v1/refunds?payment_id={}", text(&first, "id"))).await.ok();
    let refund = world.refund_until(&refunds["data"][0], "succeeded").await;
    assert_eq!((&refund["origin"], &refund["amount"]), (&json!("duplicate"), &json!(1250)));
    world.acknowledged(&first).await;
    let paid = world.order_of(&order).await;
    assert_eq!((&paid["state"], &paid["paid"]), (&json!("paid"), &json!(1250)), "{paid}");
    assert_eq!((&paid["refunded"], paid["refunds"].as_array().unwrap().len()), (&json!(0), 1));
    let wanted = [
        "order.created",
        "payment.closed",
        "payment.succeeded",
        "order.paid",
        "payment.succeeded",
        "payment.duplicate_success",
        "refund.requested",
        "refund.succeeded",
    ];
    assert_eq!(world.events(&order).await, wanted);
    assert_eq!(world.trade(&first).await["refunded"], "12.50");
    assert_eq!(world.trade(&second).await["refunded"], "0.00");
    // What is counted can be given back like any other.
    let refund = world.refund(&second, "R-twice", 1250).await.ok();
    assert_eq!(refund["state"], "succeeded", "{refund}");
    assert_eq!(world.order_of(&order).await["state"], "refunded");
}

/// The provider has never seen a code that nobody scanned, so closing it there closes nothing: whoever holds it can pay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_was_ended_before_anybody_scanned_it_is_asked_about_until_it_expires() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "qr").await;
    let order = world.order_of(&payment).await;
    assert_eq!(world.close(&order).await.ok()["state"], "closed");
    world.payer_pays(&payment).await;
    world.make_due("query_payment").await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.order_of(&payment).await["state"], "paid");
}

/// That the provider still waits for the payer is no end, however late it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_can_still_be_paid_there_is_asked_about_beyond_its_time() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "qr").await;
    world.close(&world.order_of(&payment).await).await.ok();
    world.payer_opens(&payment).await;
    let id = text(&payment, "id");
    world.write(&format!("UPDATE payments SET expires_at = 1 WHERE id = '{id}'")).await;
    let asked = world.calls(&payment, "query").await;
    world.make_due("query_payment").await;
    until("one more question", async || {
        (world.calls(&payment, "query").await > asked).then_some(())
    })
    .await;
    world.idle().await;
    let left = world.select("SELECT subject_id FROM jobs WHERE kind = 'query_payment'").await;
    assert_eq!(left, [id], "somebody who holds the code can pay yet");
    world.act(&payment, "pay").await;
    world.make_due("query_payment").await;
    world.payment_until(&payment, "succeeded").await;
}

/// A process that died between writing a payment and handing it out leaves a payment that nobody can pay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_was_cut_off_is_taken_up_again() {
    let world = World::start().await;
    let payment = world.started(1250, "qr").await;
    let id = text(&payment, "id");
    world
        .write(&format!("UPDATE payments SET state = 'created', action = NULL WHERE id = '{id}'"))
        .await;
    world.make_due("query_payment").await;
    let again = world.payment_until(&payment, "pending").await;
    assert_eq!(again["action"]["kind"], "qr_code");
    assert_eq!(again["reference"], payment["reference"], "one reference for life");
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
}
