//! What a payer does with each product, and his way back.

use serde_json::json;
use tollgate_tests::reply::text;

use super::{paid, world};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_on_either_surface_and_an_apps_number_lead_to_money() {
    let world = world().await;
    for (method, kind) in
        [("page", "post_form"), ("wap", "post_form"), ("app", "client_parameters")]
    {
        let payment = world.pay(&world.order(1250).await, method).await;
        assert_eq!(payment["action"]["kind"], kind, "{payment}");
        world.payer_pays(&payment).await;
        let paid = world.payment_until(&payment, "succeeded").await;
        let trade = world.trade(&payment).await;
        assert_eq!(paid["provider_reference"], trade["provider_reference"], "{method}");
        assert_eq!(world.order_of(&payment).await["state"], "paid", "{method}");
        world.acknowledged(&payment).await;
    }
}

/// The browser posts its way back, signed; the gateway asks all the same, and shows the payer where he stands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_is_a_signed_post_and_worth_a_question() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    let back = world.act(&payment, "pay").await;
    assert!(back["return_form"].is_array(), "{back}");
    let reply = world.comes_back(&back).await;
    assert!(reply.status < 400, "{}", reply.text);
    world.payment_until(&payment, "succeeded").await;
    assert!(world.calls(&payment, "query").await >= 1, "it was asked about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_that_was_changed_is_not_believed() {
    let world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_opens(&payment).await;
    world.stop_the_clock().await;
    let id = text(&payment, "id");
    let form = [("orderId", text(&payment, "reference")), ("respCode", "00"), ("version", "5.1.0")];
    let url = format!("{}/return/{id}", world.url);
    let reply = world.client.post(url).form(&form).send().await.unwrap();
    assert!(!reply.status().is_server_error(), "{}", reply.status());
    assert_eq!(world.payment(&payment).await["state"], "pending");
}

/// Rows 25 and 29: a refund call that says 00 was taken, and `txnType` 04 is the refund.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_taken_is_pending_until_it_is_told_done() {
    let world = world().await;
    let payment = paid(&world).await;
    world.acknowledged(&payment).await;
    world.lose_notifications().await;
    let refund = world.refund(&payment, "R-1", 400).await.ok();
    assert_eq!(refund["state"], "pending", "{refund}");
    assert_eq!(world.payment(&payment).await["refunded"], 0);
    let records = world.select("SELECT record FROM exchanges WHERE operation = 'refund'").await;
    assert!(records.iter().all(|record| record.contains("txnType=04")), "{records:?}");
    assert_eq!(records.len(), 1, "{records:?}");
    let heard = world.notify(&payment, "refund_notice").await;
    assert_eq!(heard["status"], 200, "{heard}");
    world.refund_until(&refund, "succeeded").await;
    assert_eq!(world.payment(&payment).await["refunded"], 400);
    // A second part, found by asking.
    let second = world.refund(&payment, "R-2", 850).await.ok();
    world.make_due("query_refund").await;
    world.refund_until(&second, "succeeded").await;
    assert_eq!(world.order_of(&payment).await["state"], "refunded");
}

/// Row 27: the time of an order is needed to ask about it, and survives whatever happens to the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_asked_about_under_its_own_time_after_a_restart() {
    let mut world = world().await;
    world.lose_notifications().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&payment).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    world.restart().await;
    assert_eq!(world.sync(&payment).await.ok()["state"], "succeeded");
    let records =
        world.select("SELECT record FROM exchanges WHERE operation = 'query-payment'").await;
    assert!(records.iter().any(|record| record.contains("origRespCode=00")), "{records:?}");
}

/// Row 28: the serial number of the certificate is decimal text, larger than 32 bits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_serial_number_is_written_in_decimal() {
    let world = world().await;
    let payment = world.pay(&world.order(1250).await, "page").await;
    let fields = payment["action"]["fields"].as_array().unwrap();
    let of = |name: &str| fields.iter().find(|pair| pair[0] == name).map(|pair| pair[1].clone());
    assert_eq!(of("certId"), Some(json!("69903319369")));
    let order = of("orderId").unwrap();
    assert!(order.as_str().unwrap().bytes().all(|byte| byte.is_ascii_alphanumeric()), "{order}");
}
