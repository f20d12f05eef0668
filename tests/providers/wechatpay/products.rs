//! What a payer does with each product.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop};

use super::world;

async fn start(world: &World, method: &str, more: Value) -> Value {
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let surface = shop::surface(method);
    let mut body = json!({ "method": method, "surface": surface });
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    world.post(&path, body).await.ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_a_page_and_two_client_libraries_lead_to_money() {
    let world = world().await;
    for (method, more, kind) in [
        ("native", json!({}), "qr_code"),
        ("h5", json!({ "payer_ip": "203.0.113.7" }), "redirect"),
        ("jsapi", json!({ "payer_id": "ofyak5qR_1wYsC99CsWA6R9MJazA" }), "client_parameters"),
        ("app", json!({}), "client_parameters"),
    ] {
        let payment = start(&world, method, more).await;
        assert_eq!(payment["action"]["kind"], kind, "{payment}");
        world.payer_pays(&payment).await;
        let paid = world.payment_until(&payment, "succeeded").await;
        let trade = world.trade(&payment).await;
        assert_eq!(paid["provider_reference"], trade["provider_reference"], "{method}");
        assert_eq!(trade["status"], "SUCCESS", "{method}");
        assert_eq!(world.order_of(&payment).await["state"], "paid", "{method}");
        world.acknowledged(&payment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_a_phone_leads_back_and_nothing_in_that_is_believed() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = start(&world, "h5", json!({ "payer_ip": "203.0.113.7" })).await;
    let url = text(&payment["action"], "url").to_owned();
    let page = world.payer_opens(&payment).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let cancel = world.client.post(&url).form(&[("action", "cancel")]).send().await.unwrap();
    assert_eq!(cancel.status(), 303, "giving up leads back as well");
    let back = cancel.headers()["location"].to_str().unwrap().to_owned();
    assert!(back.contains("/return/"), "{back}");
    let seen = world.client.get(&back).send().await.unwrap();
    assert!(seen.status().is_success() || seen.status().is_redirection(), "{}", seen.status());
    assert_eq!(world.payment(&payment).await["state"], "pending", "nobody has paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_who_is_not_named_is_refused_by_the_field() {
    let world = world().await;
    for (method, field) in [("h5", "payer_ip"), ("jsapi", "payer_id")] {
        let order = world.order(1250).await;
        let payment = world.pay(&order, method).await;
        let failure = &payment["failure"];
        assert_eq!(
            (&payment["state"], &failure["code"]),
            (&json!("failed"), &json!("invalid-request"))
        );
        assert!(text(failure, "message").contains(field), "{payment}");
    }
    assert!(world.simulated("calls").await["pay"].is_null(), "nobody was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_nobody_paid_is_closed_there() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "native").await;
    let closed = world.close(&world.order_of(&payment).await).await.ok();
    assert_eq!(closed["state"], "closed", "{closed}");
    assert_eq!(world.trade(&payment).await["status"], "CLOSED");
    assert_eq!(world.payment(&payment).await["state"], "closed");
}

/// Row 20: `REFUND` says that something was given back of what was paid, and neither "unpaid" nor "all of it".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_of_which_a_part_was_given_back_is_paid() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "native").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(world.trade(&payment).await["status"], "REFUND");
    let heard = world.notify(&payment, "refunded_state").await;
    assert_eq!(heard["status"], 200, "{heard}");
    let now = world.sync(&payment).await.ok();
    assert_eq!((&now["state"], &now["refunded"]), (&json!("succeeded"), &json!(250)), "{now}");
    assert_eq!(world.order_of(&payment).await["state"], "partially_refunded");
}

/// A refund is taken at once and done later: what is told at once is no more than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_taken_is_pending_until_it_is_told_done() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "native").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    world.acknowledged(&payment).await;
    world.lose_notifications().await;
    world.idle().await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "pending", "{refund}");
    assert_eq!(world.payment(&payment).await["refunded"], 0);
    let heard = world.notify(&payment, "refund_notice").await;
    assert_eq!(heard["status"], 200, "{heard}");
    let done = world.refund_until(&refund, "succeeded").await;
    assert!(done["provider_reference"].is_string() || done["state"] == "succeeded", "{done}");
    assert_eq!(world.payment(&payment).await["refunded"], 400);
}
