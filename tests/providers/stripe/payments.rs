//! What a payer does with each product, in which currencies, and what becomes of lost answers.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop};

use super::{paid_in_silence, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hosted_page_and_a_client_secret_lead_to_money() {
    let world = world().await;
    for (method, kind) in [("checkout", "redirect"), ("intent", "client_parameters")] {
        let order = world.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        let surface = if method == "intent" { "app" } else { "desktop" };
        let body = json!({ "method": method, "surface": surface });
        let payment = world.post(&path, body).await.ok();
        assert_eq!(payment["action"]["kind"], kind, "{payment}");
        world.payer_pays(&payment).await;
        let paid = world.payment_until(&payment, "succeeded").await;
        let trade = world.trade(&payment).await;
        assert_eq!(paid["provider_reference"], trade["provider_reference"], "{method}");
        assert_eq!(world.order_of(&payment).await["state"], "paid", "{method}");
        world.acknowledged(&payment).await;
    }
}

/// The way back is signed by nobody: it has the gateway ask, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_is_worth_a_question() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "checkout").await;
    world.stop_the_clock().await;
    // Somebody opens the address without having paid.
    let page = world.payer_opens(&payment).await;
    assert_eq!(page.status, 200);
    let id = text(&payment, "id");
    let unpaid = format!("{}/return/{id}?session_id=cs_test_forged", world.url);
    let reply = world.client.get(&unpaid).send().await.unwrap();
    assert!(!reply.status().is_server_error(), "{}", reply.status());
    assert_eq!(world.payment(&payment).await["state"], "pending");
    let paid = world.act(&payment, "pay").await;
    world.comes_back(&paid).await;
    world.payment_until(&payment, "succeeded").await;
}

async fn pay_in(world: &World, amount: i64, currency: &str) -> (Value, Value) {
    let body = json!({
        "number": shop::number("C"), "amount": amount, "currency": currency, "subject": "Tea",
    });
    let order = world.post("/v1/orders", body).await.ok();
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "method": "checkout", "surface": "desktop" });
    (order, world.post(&path, body).await.json)
}

/// Without decimals, with three, and those that Stripe counts in its own way: what arrives is what was ordered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_currency_is_counted_as_stripe_counts_it() {
    let world = world().await;
    for (amount, currency, there) in [
        (1250, "USD", "12.50"),
        (500, "JPY", "500"),
        (1230, "KWD", "1.230"),
        // ISO 4217 gives these none, Stripe two.
        (7, "ISK", "7.00"),
        (5000, "UGX", "5000.00"),
        // ISO 4217 gives it two, Stripe none.
        (12_300, "MGA", "123"),
    ] {
        let (order, payment) = pay_in(&world, amount, currency).await;
        assert_eq!(payment["state"], "pending", "{currency}: {payment}");
        assert_eq!(world.trade(&payment).await["amount"], there, "{currency}");
        world.payer_pays(&payment).await;
        let paid = world.payment_until(&payment, "succeeded").await;
        assert_eq!((&paid["taken"], &paid["currency"]), (&json!(amount), &json!(currency)));
        assert_eq!(world.order_of(&order).await["state"], "paid", "{currency}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stripe_cannot_express_is_refused_before_anybody_is_asked() {
    let world = world().await;
    for (amount, currency) in [(1235, "KWD"), (12_345, "MGA"), (100_000_000, "USD")] {
        let (order, payment) = pay_in(&world, amount, currency).await;
        let is_refused = payment["status"].as_u64().is_some_and(|status| status == 422)
            || payment["state"] == "failed";
        assert!(is_refused, "{amount} {currency}: {payment}");
        assert_eq!(world.order_of(&order).await["state"], "open", "{currency}");
    }
    assert!(world.simulated("calls").await["pay"].is_null(), "nobody was asked");
}

/// The answer to a start is lost: what was made is found in the list by our own reference, and paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_an_answer_is_found_again() {
    let world = world().await;
    world.lose_notifications().await;
    for _ in 0..3 {
        world.pay(&world.order(1000).await, "checkout").await;
    }
    for (verb, more) in [
        ("lose_reply", json!({})),
        ("lose_reply", json!({ "ms": 3_000 })),
        ("system_error", json!({ "value": "done" })),
        ("system_error", json!({})),
        ("error_500", json!({})),
    ] {
        world.fault("pay", verb, more.clone()).await;
        let payment = world.pay(&world.order(1250).await, "checkout").await;
        assert_ne!(payment["state"], "failed", "{verb}: {payment}");
        world.forget("faults").await;
        let again = tollgate_tests::until("a page to pay on", async || {
            world.make_due("query_payment").await;
            let now = world.payment(&payment).await;
            (now["action"]["kind"] == "redirect").then_some(now)
        })
        .await;
        world.payer_pays(&again).await;
        world.sync(&payment).await.ok();
        world.payment_until(&payment, "succeeded").await;
        let all = world.simulated("trades").await;
        let of_ours = |trade: &&Value| trade["reference"] == payment["reference"];
        assert_eq!(all["trades"].as_array().unwrap().iter().filter(of_ours).count(), 1, "{verb}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_lies_or_is_none_is_no_answer() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    for (verb, more) in [
        ("wrong_amount", json!({})),
        ("wrong_amount", json!({ "value": "1" })),
        ("set", json!({ "set": { "client_reference_id": "another" } })),
        ("set", json!({ "set": { "livemode": "true" } })),
        ("set", json!({ "set": { "currency": "eur" } })),
        ("error_500", json!({})),
        ("html", json!({})),
        ("drop", json!({})),
        ("system_error", json!({})),
    ] {
        world.fault("query", verb, more.clone()).await;
        world.sync(&payment).await.refused(503, "unavailable");
        assert_eq!(world.payment(&payment).await["state"], "pending", "{verb} {more}");
        world.forget("faults").await;
    }
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_paid_expires_with_its_order() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "checkout").await;
    let closed = world.close(&world.order_of(&payment).await).await.ok();
    assert_eq!(closed["state"], "closed", "{closed}");
    assert_eq!(world.trade(&payment).await["status"], "canceled");
}

/// The secret key is in no record of what was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_key_is_in_no_record() {
    let world = world().await;
    let payment = paid_in_silence(&world).await;
    world.sync(&payment).await.ok();
    let records = world.select("SELECT record FROM exchanges").await.concat();
    assert!(records.contains("checkout/sessions"), "{records}");
    let secrets = world.credentials("account")["secrets"].clone();
    for name in ["secret-key", "webhook-secret"] {
        assert!(!records.contains(text(&secrets, name)), "{name}");
    }
}
