//! Every product to its end: an order, a payer where the product wants him, a notification, a confirmed payment.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// From the payer's side to the shop's: paid once, told once, acknowledged.
async fn ends_paid(world: &World, payment: &Value) {
    let paid = world.payment_until(payment, "succeeded").await;
    assert_eq!((&paid["taken"], &paid["amount"]), (&json!(1250), &json!(1250)), "{paid}");
    assert_eq!(
        paid["provider_reference"],
        world.trade(payment).await["provider_reference"],
        "{paid}"
    );
    assert_eq!(paid["failure"], Value::Null);
    let order = world.order_of(payment).await;
    assert_eq!((&order["state"], &order["paid"]), (&json!("paid"), &json!(1250)), "{order}");
    assert_eq!(order["payments"], json!([paid]));
    assert_eq!(world.events(payment).await, ["order.created", "payment.succeeded", "order.paid"]);
    world.acknowledged(payment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payer_at_a_desk_or_on_a_phone_pays_on_the_providers_page() {
    let world = World::start().await;
    world.account().await;
    for (method, mode, kind) in [
        ("page", None, "post_form"),
        ("page", Some("form"), "post_form"),
        ("page", Some("redirect"), "redirect"),
        ("wap", None, "post_form"),
        ("wap", Some("redirect"), "redirect"),
    ] {
        let order = world.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        let inputs = mode.map_or(json!({}), |mode| json!({ "page_mode": mode }));
        let surface = tollgate_tests::shop::surface(method);
        let body = json!({ "method": method, "surface": surface, "inputs": inputs });
        let payment = world.post(&path, body).await.ok();
        assert_eq!(
            (&payment["state"], &payment["action"]["kind"]),
            (&json!("pending"), &json!(kind))
        );
        let place = text(&payment["action"], "url");
        assert!(place.starts_with(&world.simulator.url), "{place}");
        let paid = world.payer_pays(&payment).await;
        let back = world.comes_back(&paid).await;
        assert_eq!((back.status, back.header("location")), (303, text(&order, "cashier_url")));
        ends_paid(&world, &payment).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_scanned_and_paid() {
    let world = World::start().await;
    let payment = world.started(1250, "qr").await;
    assert_eq!(payment["action"]["kind"], "qr_code");
    assert_eq!(world.calls(&payment, "precreate").await, 1);
    world.payer_pays(&payment).await;
    ends_paid(&world, &payment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_pays_and_hands_over_what_it_was_told() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "app").await;
    assert_eq!(payment["action"]["kind"], "client_parameters");
    let told = world.payer_pays(&payment).await;
    assert_eq!(told["resultStatus"], "9000", "{told}");
    let path = format!("/v1/payments/{}/client-result", text(&payment, "id"));
    let paid = world.post(&path, json!({ "result": told.to_string() })).await.ok();
    assert_eq!(paid["state"], "succeeded", "{paid}");
    world.notify(&payment, "duplicate").await;
    assert_eq!(world.events(&payment).await, ["order.created", "payment.succeeded", "order.paid"]);
    assert_eq!(world.order_of(&payment).await["state"], "paid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_app_says_proves_nothing_and_a_forged_result_is_refused() {
    let world = World::start().await;
    world.lose_notifications().await;
    let payment = world.started(1250, "app").await;
    let path = format!("/v1/payments/{}/client-result", text(&payment, "id"));
    for act in ["open", "cancel"] {
        let told = world.app(&payment, act).await.json;
        let reply = world.post(&path, json!({ "result": told.to_string() })).await;
        assert!(matches!(reply.status, 200 | 422), "{act}: {}", reply.text);
        assert_eq!(world.payment(&payment).await["state"], "pending", "{act}");
    }
    world.fault("app_result", "bad_signature", json!({})).await;
    let told = world.app(&payment, "pay").await.json;
    let refused = world.post(&path, json!({ "result": told.to_string() })).await;
    let refused = refused.refused(422, "invalid-request");
    assert_eq!(refused["errors"][0]["field"], "result");
    assert_eq!(world.payment(&payment).await["state"], "pending");
    let payment = world.pay(&world.order(1250).await, "app").await;
    let unsure = world.app(&payment, "unknown").await.json;
    assert_eq!(unsure["resultStatus"], "6004");
    world.stop_the_clock().await;
    // The money moved: a question finds it, whatever the app was told.
    let paid = world.sync(&payment).await.ok();
    assert_eq!(paid["state"], "succeeded", "{paid}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_in_place_of_bare_keys_work_as_well() {
    let world = World::start().await;
    let account = world.post("/v1/accounts", world.credentials("certificate_account")).await.ok();
    let slots: Vec<_> =
        account["slots"].as_array().unwrap().iter().map(|slot| text(slot, "name")).collect();
    assert!(
        slots.contains(&"alipay-certificate") && !slots.contains(&"alipay-public-key"),
        "{slots:?}"
    );
    for method in ["page", "qr"] {
        let payment = world.pay(&world.order(1250).await, method).await;
        world.payer_pays(&payment).await;
        ends_paid(&world, &payment).await;
        let refund = world.refund(&payment, &format!("R-{method}"), 250).await.ok();
        assert_eq!(refund["state"], "succeeded", "{refund}");
    }
}
