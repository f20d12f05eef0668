//! Orders that are larger than what a provider takes: long baskets, and more time to pay than it gives.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{World, shop};

/// How Alipay can be paid: by which method, and how its page is opened.
const WAYS: [(&str, Option<&str>); 6] = [
    ("page", Some("form")),
    ("page", Some("redirect")),
    ("wap", Some("form")),
    ("wap", Some("redirect")),
    ("app", None),
    ("qr", None),
];

/// An order like any other, with something more, is payable in each way.
async fn is_payable_in_each_way(world: &World, more: &Value) {
    for (method, mode) in WAYS {
        let mut order = json!({
            "number": shop::number("A"), "amount": 1250, "currency": "CNY", "subject": "茶".repeat(256),
            "description": "绿".repeat(1_024),
        });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let order = world.post("/v1/orders", order).await.ok();
        let inputs = mode.map_or(json!({}), |mode| json!({ "page_mode": mode }));
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        let body = json!({ "method": method, "surface": shop::surface(method), "inputs": inputs });
        let payment = world.post(&path, body).await.ok();
        assert_eq!(payment["state"], "pending", "{method} {mode:?}: {}", payment["failure"]);
        world.payer_pays(&payment).await;
        world.payment_until(&payment, "succeeded").await;
    }
}

/// What was bought is told where there is room for it: Alipay needs no list, and a browser's address takes no long one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_basket_of_any_length_is_payable_in_each_way() {
    let world = World::start().await;
    world.account().await;
    for count in [9, 30, 110, 500] {
        let item = json!({ "name": "乌龙茶, \"高山\" ".repeat(8), "price": 1, "quantity": 2 });
        is_payable_in_each_way(&world, &json!({ "items": vec![item; count] })).await;
    }
}

/// An order may wait for a month, a trade at Alipay for fifteen days.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_waits_longer_than_the_provider_is_payable_in_each_way() {
    let world = World::start().await;
    world.account().await;
    is_payable_in_each_way(&world, &json!({ "expires_in_s": 30 * 86_400 })).await;
}
