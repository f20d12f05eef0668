//! Approval and capture: two things, of which only the second moves money.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop, until};

use super::{approved_in_silence, paid, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_who_comes_back_has_his_order_captured() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    assert_eq!(payment["action"]["kind"], "redirect", "{payment}");
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    let back = world.act(&payment, "pay").await;
    assert_eq!(world.trade(&payment).await["status"], "APPROVED", "nothing has moved");
    world.comes_back(&back).await;
    let now = world.payment_until(&payment, "succeeded").await;
    assert_eq!(now["provider_reference"], world.trade(&payment).await["provider_reference"]);
    assert_eq!(world.calls(&payment, "capture").await, 1);
}

/// The payer approves and closes the window: the webhook says so, and the gateway takes the money.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_who_closes_the_window_has_his_order_captured() {
    let world = world().await;
    let payment = paid(&world).await;
    assert_eq!(world.trade(&payment).await["status"], "COMPLETED");
    assert_eq!(world.order_of(&payment).await["state"], "paid");
    world.acknowledged(&payment).await;
}

/// However many ask at once, the money is taken once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_captured_once_whoever_asks() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    let asks = (0..16).map(|_| world.sync(&payment));
    let answers = futures::future::join_all(asks).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.calls(&payment, "capture").await, 1);
    let events = world.events(&payment).await;
    let succeeded = events.iter().filter(|kind| *kind == "payment.succeeded").count();
    assert_eq!(succeeded, 1, "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_approved_is_neither_captured_nor_failed() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    let id = text(&payment, "id");
    // Somebody opens the address of the return, with whatever token.
    let forged = format!("{}/return/{id}?token=SOMEBODYS&PayerID=X", world.url);
    let reply = world.client.get(&forged).send().await.unwrap();
    assert!(!reply.status().is_server_error(), "{}", reply.status());
    world.sync(&payment).await.ok();
    assert_eq!(world.payment(&payment).await["state"], "pending");
    assert_eq!(world.calls(&payment, "capture").await, 0);
}

/// That the order is COMPLETED does not say that its money came: the capture may wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_that_waits_is_no_success() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    world.payer_opens(&payment).await;
    world.act(&payment, "hold").await;
    world.act(&payment, "pay").await;
    until("the capture", async || {
        (world.trade(&payment).await["status"] == "COMPLETED").then_some(())
    })
    .await;
    world.sync(&payment).await;
    assert_ne!(world.payment(&payment).await["state"], "succeeded");
    assert_eq!(world.order_of(&payment).await["state"], "open");
    world.act(&payment, "release").await;
    world.payment_until(&payment, "succeeded").await;
    assert_eq!(world.calls(&payment, "capture").await, 1);
}

/// What waited may not come: then the payment has failed, whatever the order says, and another one can be made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_that_waited_and_is_denied_has_failed() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    world.payer_opens(&payment).await;
    world.act(&payment, "hold").await;
    world.act(&payment, "pay").await;
    until("the capture", async || {
        (world.trade(&payment).await["status"] == "COMPLETED").then_some(())
    })
    .await;
    assert_ne!(world.payment(&payment).await["state"], "failed");
    world.act(&payment, "deny").await;
    world.payment_until(&payment, "failed").await;
    assert_eq!(world.trade(&payment).await["status"], "COMPLETED", "the order of it");
    let order = world.order_of(&payment).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("open"), &json!(0)), "{order}");
    let next = world.pay(&order, "wallet").await;
    world.payer_pays(&next).await;
    world.payment_until(&next, "succeeded").await;
}

/// A bank that declines sends the payer back to the page: the order can be paid yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_card_leaves_the_order_open() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "wallet").await;
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    world.act(&payment, "decline").await;
    world.act(&payment, "pay").await;
    world.sync(&payment).await;
    let now = world.payment(&payment).await;
    assert!(now["state"] != "failed" && now["state"] != "succeeded", "{now}");
    // He tries another, and that one is good.
    world.act(&payment, "pay").await;
    until("the money", async || {
        world.sync(&payment).await;
        (world.payment(&payment).await["state"] == "succeeded").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_an_answer_gets_the_same_order() {
    let world = world().await;
    world.lose_notifications().await;
    for (verb, more) in [
        ("lose_reply", json!({})),
        ("lose_reply", json!({ "ms": 3_000 })),
        ("system_error", json!({})),
        ("error_500", json!({})),
    ] {
        world.fault("pay", verb, more.clone()).await;
        let payment = world.pay(&world.order(1250).await, "wallet").await;
        assert_ne!(payment["state"], "failed", "{verb}: {payment}");
        world.forget("faults").await;
        let again = until("a page to approve on", async || {
            world.make_due("query_payment").await;
            let now = world.payment(&payment).await;
            (now["action"]["kind"] == "redirect").then_some(now)
        })
        .await;
        world.payer_pays(&again).await;
        world.sync(&payment).await.ok();
        world.payment_until(&payment, "succeeded").await;
    }
}

/// The answer to a capture is lost: the money was taken once, and a query tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_without_an_answer_is_found() {
    let world = world().await;
    for (verb, more) in [
        ("lose_reply", json!({})),
        ("system_error", json!({ "value": "done" })),
        ("error_500", json!({})),
    ] {
        let payment = approved_in_silence(&world).await;
        world.fault("capture", verb, more.clone()).await;
        world.sync(&payment).await;
        world.forget("faults").await;
        until("the money", async || {
            world.sync(&payment).await;
            (world.payment(&payment).await["state"] == "succeeded").then_some(())
        })
        .await;
        assert_eq!(world.trade(&payment).await["status"], "COMPLETED", "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_lies_or_is_none_is_no_answer() {
    let world = world().await;
    let payment = approved_in_silence(&world).await;
    for (verb, more) in [
        ("set", json!({ "set": { "/purchase_units/0/custom_id": "another" } })),
        ("set", json!({ "set": { "/purchase_units/0/payee/merchant_id": "SOMEBODY" } })),
        ("set", json!({ "set": { "/id": "ANOTHERORDER" } })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("drop", json!({})),
        ("system_error", json!({})),
    ] {
        world.fault("query", verb, more.clone()).await;
        world.sync(&payment).await.refused(503, "unavailable");
        assert_eq!(world.payment(&payment).await["taken"], 0, "{verb} {more}");
        world.forget("faults").await;
    }
    // What was captured is of another amount: nobody is paid for that.
    world.fault("capture", "wrong_amount", json!({})).await;
    world.fault("query", "wrong_amount", json!({ "times": 0 })).await;
    world.sync(&payment).await;
    assert_ne!(world.payment(&payment).await["state"], "succeeded");
    world.forget("faults").await;
    let euros = "/purchase_units/0/payments/captures/0/amount/currency_code";
    world.fault("query", "set", json!({ "times": 0, "set": { euros: "EUR" } })).await;
    world.sync(&payment).await;
    assert_ne!(world.payment(&payment).await["state"], "succeeded");
    world.forget("faults").await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

/// One token serves all calls; one that is good no more is fetched anew, once, and no record holds either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shared_and_fetched_anew_after_a_401() {
    let world = world().await;
    let payment = paid(&world).await;
    paid(&world).await;
    let tokens = async || world.simulated("calls").await["token"].as_u64().unwrap();
    assert_eq!(tokens().await, 1);
    world.act(&payment, "expire_tokens").await;
    // Not so soon after the first: that gap is over.
    world.write("UPDATE key_fetches SET next_at = 0").await;
    let next = world.pay(&world.order(1250).await, "wallet").await;
    assert_eq!(next["action"]["kind"], "redirect", "{next}");
    assert_eq!(tokens().await, 2);
    let records = world.select("SELECT record FROM exchanges").await.concat();
    let secret = world.credentials("account")["secrets"]["client-secret"].clone();
    assert!(records.contains("checkout/orders"));
    assert!(!records.contains("A21AA") && !records.contains(secret.as_str().unwrap()));
}

async fn pay_in(world: &World, amount: i64, currency: &str) -> (Value, Value) {
    let body = json!({
        "number": shop::number("C"), "amount": amount, "currency": currency, "subject": "Tea",
    });
    let order = world.post("/v1/orders", body).await.ok();
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "method": "wallet", "surface": "desktop" });
    (order, world.post(&path, body).await.json)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn currencies_without_decimals_are_written_as_paypal_writes_them() {
    let world = world().await;
    for (amount, currency, there) in [(500, "JPY", "500"), (123_400, "HUF", "1234")] {
        let (order, payment) = pay_in(&world, amount, currency).await;
        assert_eq!(world.trade(&payment).await["amount"], there, "{payment}");
        world.payer_pays(&payment).await;
        let paid = world.payment_until(&payment, "succeeded").await;
        assert_eq!((&paid["taken"], &paid["currency"]), (&json!(amount), &json!(currency)));
        assert_eq!(world.order_of(&order).await["state"], "paid");
    }
    let (order, payment) = pay_in(&world, 123_450, "HUF").await;
    assert!(payment["status"] == 422 || payment["state"] == "failed", "{payment}");
    assert_eq!(world.order_of(&order).await["state"], "open");
}
