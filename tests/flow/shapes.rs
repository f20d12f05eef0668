//! The JSON that shops read, as a whole: a member that goes, comes or changes its place is seen here.

use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// What differs from run to run, by what it is.
fn redacted(value: &Value, world: &World) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), named(name, value, world))).collect()
        }
        Value::Array(list) => list.iter().map(|value| redacted(value, world)).collect(),
        other => other.clone(),
    }
}

fn named(name: &str, value: &Value, world: &World) -> Value {
    let Some(text) = value.as_str() else {
        return redacted(value, world);
    };
    let text = text.replace(&world.url, "{gateway}").replace(&world.simulator.url, "{provider}");
    match name {
        "created_at" | "updated_at" | "expires_at" => {
            assert!(text.ends_with('Z') && text.len() >= 20, "{name} is no time: {text}");
            json!("{time}")
        }
        "reference" => {
            assert_eq!(text.len(), 24, "{text}");
            json!("{reference}")
        }
        "url" => json!(parameter_names(&text)),
        "provider_reference" | "number" | "cashier_url" | "content" => json!(format!("{{{name}}}")),
        _ => match text.split_once('_') {
            Some((prefix, rest))
                if rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                json!(format!("{prefix}_{{id}}"))
            }
            _ => json!(text),
        },
    }
}

/// An address with the names of its parameters, whose values are signed and of their moment.
fn parameter_names(url: &str) -> String {
    let Some((place, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let names: Vec<_> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    format!("{place}?{}", names.join("&"))
}

/// A form's fields carry a signature and times: their names are what is promised.
fn field_names(mut payment: Value) -> Value {
    if let Some(fields) = payment["action"]["fields"].as_array() {
        let names: Vec<_> = fields.iter().map(|field| field[0].clone()).collect();
        payment["action"]["fields"] = json!(names);
    }
    payment
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_at_its_start_and_at_its_end() {
    let world = World::start().await;
    world.account().await;
    let body = json!({
        "number": "2026-000123", "amount": 1250, "currency": "CNY", "subject": "绿茶", "description": "250 g",
        "items": [{ "name": "Long Jing", "price": 1000, "quantity": 1 }, { "name": "Bag", "price": 125, "quantity": 2 }],
        "deliver_to": {
            "name": "张三", "phone": "+86 571 0000", "lines": ["文三路 1 号"], "city": "杭州",
            "region": "浙江", "postal_code": "310000", "country": "CN",
        },
        "metadata": { "basket": "7f", "客户": "x" }, "expires_in_s": 3600,
        "return_url": "https://shop.example/thanks", "locale": "zh-CN",
    });
    let order = world.post("/v1/orders", body).await.ok();
    insta::assert_json_snapshot!("order-open", redacted(&order, &world));
    let payment = world.pay(&order, "page").await;
    insta::assert_json_snapshot!(
        "payment-pending",
        redacted(&field_names(payment.clone()), &world)
    );
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    insta::assert_json_snapshot!("refund-succeeded", redacted(&refund, &world));
    let mut order = world.order_of(&payment).await;
    order["payments"][0] = field_names(order["payments"][0].clone());
    insta::assert_json_snapshot!("order-partially-refunded", redacted(&order, &world));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_of_every_kind() {
    let world = World::start().await;
    world.account().await;
    for method in ["wap", "app", "qr"] {
        let payment = world.pay(&world.order(1250).await, method).await;
        let action = field_names(payment)["action"].clone();
        insta::assert_json_snapshot!(format!("action-{method}"), redacted(&action, &world));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_problem_and_the_page_that_explains_it() {
    let world = World::start().await;
    let problem =
        world.post("/v1/orders", json!({ "number": "1" })).await.refused(422, "invalid-request");
    insta::assert_json_snapshot!("problem", problem);
    let page = world.get(text(&problem, "type")).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains(text(&problem, "title")), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_asks_for_is_shown() {
    let world = World::start().await;
    let plugins = world.get("/v1/plugins").await.ok();
    assert_eq!(plugins["refused"], json!([]));
    let alipay =
        plugins["data"].as_array().unwrap().iter().find(|plugin| plugin["id"] == "alipay").unwrap();
    let imports = alipay["imports"].as_array().unwrap();
    assert!(!imports.is_empty());
    assert!(
        imports.iter().all(|name| name.as_str().unwrap().starts_with("tollgate:")),
        "{imports:?}"
    );
    assert_eq!(text(alipay, "digest").len(), 64, "{alipay}");
    let health = world.get("/healthz").await;
    assert_eq!((health.status, world.get("/readyz").await.status), (200, 200));
}
