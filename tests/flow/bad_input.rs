//! What a shop may send wrongly: each time a status, a code and the name of the field, and nothing is written.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;

fn order() -> Value {
    json!({
        "number": "N-1", "amount": 1250, "currency": "CNY", "subject": "Tea",
        "items": [{ "name": "Tea", "price": 1250, "quantity": 1 }],
        "deliver_to": { "name": "A", "lines": ["Street 1"], "city": "杭州", "country": "CN" },
        "metadata": { "a": "b" },
    })
}

/// An order with the value at this pointer put in, or taken away by null.
fn with(place: &str, value: Value) -> Value {
    let mut order = order();
    let (parent, name) = place.rsplit_once('/').unwrap();
    let parent = order.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    order
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_refused_by_the_name_of_its_field() {
    let world = World::start().await;
    let long = "x".repeat(3000);
    let rows = [
        ("/amount", json!(0), "amount"),
        ("/amount", json!(-1), "amount"),
        ("/amount", json!(12.5), "amount"),
        ("/amount", json!(12.0), "amount"),
        ("/amount", json!("1250"), "amount"),
        ("/amount", json!(true), "amount"),
        ("/amount", json!([1]), "amount"),
        ("/amount", json!(1_000_000_000_000_001_i64), "amount"),
        ("/amount", json!(i64::MAX), "amount"),
        ("/amount", json!(9_223_372_036_854_775_808_u64), "amount"),
        ("/amount", Value::Null, "amount"),
        ("/currency", json!("XXX"), "currency"),
        ("/currency", json!("XAU"), "currency"),
        ("/currency", json!("cny"), "currency"),
        ("/currency", json!("RMB"), "currency"),
        ("/currency", json!(""), "currency"),
        ("/currency", json!(156), "currency"),
        ("/currency", Value::Null, "currency"),
        ("/number", json!(""), "number"),
        ("/number", json!("  "), "number"),
        ("/number", json!("a\nb"), "number"),
        ("/number", json!("x".repeat(65)), "number"),
        ("/number", json!(17), "number"),
        ("/subject", json!(""), "subject"),
        ("/subject", json!("a\u{0}b"), "subject"),
        ("/subject", json!("x".repeat(257)), "subject"),
        ("/description", json!(long), "description"),
        ("/expires_in_s", json!(59), "expires_in_s"),
        ("/expires_in_s", json!(2_592_001), "expires_in_s"),
        ("/expires_in_s", json!("60"), "expires_in_s"),
        ("/return_url", json!("javascript:alert(1)"), "return_url"),
        ("/return_url", json!("/relative"), "return_url"),
        ("/locale", json!("中文"), "locale"),
        ("/colour", json!("red"), "colour"),
        ("/Amount", json!(1), "Amount"),
        ("/items/0/price", json!(-1), "items[0].price"),
        ("/items/0/price", json!(0.5), "items[0].price"),
        ("/items/0/price", json!(i64::MAX), "items[0].price"),
        ("/items/0/quantity", json!(0), "items[0].quantity"),
        ("/items/0/quantity", json!(-1), "items[0].quantity"),
        ("/items/0/quantity", json!(4_294_967_296_u64), "items[0].quantity"),
        ("/items/0/name", json!(""), "items[0].name"),
        ("/items/0/colour", json!("red"), "items[0].colour"),
        ("/deliver_to/name", Value::Null, "deliver_to.name"),
        ("/deliver_to/lines", json!([]), "deliver_to.lines"),
        ("/deliver_to/lines", json!([""]), "deliver_to.lines[0]"),
        ("/deliver_to/lines", json!(["Street 1", "a\nb"]), "deliver_to.lines[1]"),
        ("/deliver_to/country", json!("China"), "deliver_to.country"),
        ("/deliver_to/floor", json!(3), "deliver_to.floor"),
        ("/metadata/a", json!(5), "metadata.a"),
        ("/metadata/a", json!(long), "metadata.a"),
    ];
    for (place, value, field) in rows {
        // i64::MAX of a price is fine once, and overflows twice.
        let mut body = with(place, value.clone());
        if place == "/items/0/price" {
            body["items"][0]["quantity"] = json!(2);
        }
        let problem = world.post("/v1/orders", body).await.refused(422, "invalid-request");
        let errors = problem["errors"].as_array().unwrap();
        let fields: Vec<_> = errors.iter().map(|error| text(error, "field")).collect();
        assert_eq!(fields, [field], "{place} {value}: {problem}");
        assert!(errors.iter().all(|error| !text(error, "rule").is_empty()), "{problem}");
    }
    // Several mistakes are told at once.
    let mut wrong = with("/amount", json!(0));
    wrong["subject"] = json!("");
    let problem = world.post("/v1/orders", wrong).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
    let written = world.select("SELECT CAST(count(*) AS TEXT) FROM orders").await;
    assert_eq!(written, ["0"]);
    world.post("/v1/orders", order()).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_or_from_nobody_is_refused() {
    let world = World::start().await;
    for body in
        ["", "{", "[]x", "{\"number\":}", "nonsense", "{\"number\":\"a\"} {}", "{'number':'a'}"]
    {
        world.post_text("/v1/orders", body).await.refused(400, "malformed-json");
    }
    let twice = r#"{"number":"1","amount":1,"amount":2,"currency":"CNY","subject":"Tea"}"#;
    let problem = world.post_text("/v1/orders", twice).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "amount");
    for body in ["[]", "7", "null", "\"text\""] {
        world.post_text("/v1/orders", body).await.refused(422, "invalid-request");
    }
    world.post_text("/v1/orders", &"x".repeat((1 << 20) + 1)).await.refused(413, "body-too-large");
    let url = format!("{}/v1/orders", world.url);
    let form = world.client.post(&url).bearer_auth(&world.key).form(&[("number", "1")]);
    let reply = tollgate_tests::Reply::of(form.send().await.unwrap()).await;
    reply.refused(415, "unsupported-media-type");
    for header in ["", "Bearer", "Bearer ", "Bearer tgk_wrong", "Basic dGdrOg==", &world.key] {
        let request = world.client.get(&url).header("authorization", header);
        let reply = tollgate_tests::Reply::of(request.send().await.unwrap()).await;
        assert!(!reply.text.contains(&world.key), "{}", reply.text);
        reply.refused(401, "unauthorized");
    }
    let none = tollgate_tests::Reply::of(world.client.get(&url).send().await.unwrap()).await;
    none.refused(401, "unauthorized");
    world.get("/v1/nothing").await.refused(404, "not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_that_are_none_are_not_there() {
    let world = World::start().await;
    let payment = world.started(1250, "page").await;
    let order = text(&payment, "order_id").to_owned();
    let strange = [
        "17",
        "ord_",
        "ord_x",
        &"0".repeat(36),
        &format!("ord_{}", "0".repeat(32)),
        &format!("{order}0"),
        &order.to_uppercase(),
        text(&payment, "id"),
        "..%2f..%2fetc",
        "%00",
        "ord_%F0%9F%8D%B5",
    ]
    .map(str::to_owned);
    for id in strange {
        world.get(&format!("/v1/orders/{id}")).await.refused(404, "not-found");
        world.post(&format!("/v1/orders/{id}/close"), json!({})).await.refused(404, "not-found");
    }
    for list in ["payments", "refunds", "accounts", "bills", "reconciliations"] {
        world.get(&format!("/v1/{list}/{order}")).await.refused(404, "not-found");
    }
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "cursor=x",
        "colour=red",
        "state=nice",
        "limit=1&limit=2",
    ] {
        let problem =
            world.get(&format!("/v1/orders?{query}")).await.refused(422, "invalid-request");
        let field = text(&problem["errors"][0], "field");
        assert!(query.starts_with(field), "{query}: {problem}");
    }
    world.get(&format!("/v1/orders/{order}")).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_one_order_for_ever() {
    let world = World::start().await;
    let first = world.post("/v1/orders", order()).await;
    assert_eq!(first.status, 201);
    let again = world.post("/v1/orders", order()).await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    for (place, value) in [
        ("/amount", json!(1251)),
        ("/currency", json!("USD")),
        ("/subject", json!("Coffee")),
        ("/items/0/name", json!("Coffee")),
        ("/deliver_to/city", json!("上海")),
        ("/metadata/a", json!("c")),
        ("/expires_in_s", json!(600)),
    ] {
        world.post("/v1/orders", with(place, value)).await.refused(409, "order-number-used");
    }
    let list = world.get("/v1/orders?number=N-1").await.ok();
    assert_eq!(list["data"], json!([first.json]));
    world.close(&first.json).await.ok();
    let again = world.post("/v1/orders", order()).await;
    assert_eq!((again.status, &again.json["state"]), (200, &json!("closed")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_refused_by_the_name_of_its_field() {
    let world = World::start().await;
    let account = world.account().await;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    for (body, field) in [
        (json!({}), "method"),
        (json!({ "method": "cash" }), "method"),
        (json!({ "method": "page", "account_id": account["id"], "surface": "phone" }), "surface"),
        (json!({ "method": "page", "surface": "phone" }), "method"),
        (json!({ "method": "wap" }), "method"),
        (json!({ "method": "page", "account_id": "17" }), "account_id"),
        (
            json!({ "method": "page", "account_id": format!("acc_{}", "0".repeat(32)) }),
            "account_id",
        ),
        (json!({ "method": "cash", "account_id": account["id"] }), "method"),
        (json!({ "method": "page", "payer_ip": "here" }), "payer_ip"),
        (json!({ "method": "page", "inputs": { "page_mode": "fly" } }), "inputs.page_mode"),
        (json!({ "method": "page", "inputs": { "colour": "red" } }), "inputs.colour"),
        (json!({ "method": "page", "colour": "red" }), "colour"),
        (json!({ "method": 5 }), "method"),
    ] {
        let problem = world.post(&path, body.clone()).await.refused(422, "invalid-request");
        assert_eq!(problem["errors"][0]["field"], field, "{body}: {problem}");
    }
    assert_eq!(world.order_of(&order).await["payments"], json!([]));
    // A currency or an amount that no account takes.
    for (amount, currency) in [(1250, "USD"), (1250, "JPY"), (10_000_000_001_i64, "CNY")] {
        let body = json!({ "number": number("C"), "amount": amount, "currency": currency, "subject": "Tea" });
        let order = world.post("/v1/orders", body).await.ok();
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        for body in
            [json!({ "method": "page" }), json!({ "method": "page", "account_id": account["id"] })]
        {
            let problem = world.post(&path, body).await.refused(422, "invalid-request");
            assert_eq!(problem["errors"][0]["field"], "method", "{currency}: {problem}");
        }
    }
    let nobody = format!("/v1/orders/ord_{}/payments", "0".repeat(32));
    world.post(&nobody, json!({ "method": "page" })).await.refused(404, "not-found");
    let payment = world.pay(&order, "page").await;
    let path = format!("/v1/payments/{}/client-result", text(&payment, "id"));
    for body in [
        json!({}),
        json!({ "result": "" }),
        json!({ "result": 5 }),
        json!({ "result": "x", "a": 1 }),
    ] {
        world.post(&path, body).await.refused(422, "invalid-request");
    }
}

/// The field and nothing else that a POST is refused for.
async fn refused_field(world: &World, path: &str, body: &Value) -> String {
    let problem = world.post(path, body.clone()).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{body}: {problem}");
    text(&problem["errors"][0], "field").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_is_one_line_of_so_many_characters() {
    let world = World::start().await;
    let mut account = world.credentials("account");
    let endpoint = json!({ "url": "https://shop.example/hook", "description": "" });
    let key = json!({ "name": "", "scopes": ["read"] });
    for (path, name, most, body) in [
        ("/v1/accounts", "name", 100, &mut account),
        ("/v1/webhook-endpoints", "description", 200, &mut endpoint.clone()),
        ("/v1/keys", "name", 100, &mut key.clone()),
    ] {
        for wrong in ["a\nb", "a\0b", "\0", "a\u{7f}", &"茶".repeat(most + 1)] {
            body[name] = json!(wrong);
            assert_eq!(refused_field(&world, path, body).await, name, "{path} {wrong:?}");
        }
        body[name] = json!("茶".repeat(most));
        assert_eq!(world.post(path, body.clone()).await.status, 201, "{path}");
    }

    let started = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&started).await;
    let paid = world.payment_until(&started, "succeeded").await;
    let refund = json!({ "payment_id": paid["id"], "number": "R-1", "amount": 1 });
    for (name, wrong) in [("number", ""), ("number", "a\0b"), ("reason", " "), ("reason", "a\0b")] {
        let mut refund = refund.clone();
        refund[name] = json!(wrong);
        assert_eq!(refused_field(&world, "/v1/refunds", &refund).await, name, "{wrong:?}");
    }
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    for (name, wrong) in [("payer_id", ""), ("payer_id", "a\nb"), ("method", "\0")] {
        let mut payment = json!({ "method": "page", "surface": "desktop" });
        payment[name] = json!(wrong);
        assert_eq!(refused_field(&world, &path, &payment).await, name, "{wrong:?}");
    }
    let path = format!("/v1/payments/{}/client-result", text(&paid, "id"));
    assert_eq!(refused_field(&world, &path, &json!({ "result": "\0" })).await, "result");
    let mut order = with("/number", json!("N-2"));
    order["metadata"] = json!({ "a\0b": "c" });
    assert_eq!(refused_field(&world, "/v1/orders", &order).await, "metadata");
    for query in ["number=a%00b", "state=%00", "cursor=%00"] {
        let reply = world.get(&format!("/v1/orders?{query}")).await;
        let problem = reply.refused(422, "invalid-request");
        assert!(query.starts_with(text(&problem["errors"][0], "field")), "{query}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_nobodys_is_refused_by_its_field() {
    let world = World::start().await;
    let nobodys = format!("acc_{}", "0".repeat(32));
    for path in ["/v1/bills", "/v1/reconciliations"] {
        for id in ["17", "", &nobodys] {
            let body = json!({ "account_id": id, "period": "2026-11-21" });
            assert_eq!(refused_field(&world, path, &body).await, "account_id", "{path} {id}");
        }
    }
}
