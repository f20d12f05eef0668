//! Two merchants on one gateway: nothing of the one is there for the other, on any route of the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;
use tollgate_tests::world::World;

use crate::routes::Document;
use crate::stage;

/// One of everything that has an address of its own, by collection.
async fn belongings(world: &World) -> BTreeMap<&'static str, String> {
    let account = world.account().await;
    // Nobody listens there, and nothing is sent: it is disabled before anything is due.
    let endpoint = json!({ "url": "https://shop.invalid/hook" });
    let endpoint = world.post("/v1/webhook-endpoints", endpoint).await.ok();
    let order = world.order(1250).await;
    let disable = format!("/v1/webhook-endpoints/{}/disable", text(&endpoint, "id"));
    world.post(&disable, json!({})).await.ok();
    let delivery = world.get("/v1/deliveries").await.ok()["data"][0].clone();
    let payment = world.pay(&order, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    let refund = world.refund(&payment, &number("R"), 250).await.ok();
    let ask = json!({ "account_id": account["id"], "period": world.today().await });
    let bill = world.post("/v1/bills", ask.clone()).await.ok();
    let reconciliation = world.post("/v1/reconciliations", ask).await.ok();
    let key = world.post("/v1/keys", json!({ "name": "till", "scopes": ["read"] })).await.ok();
    let id = |thing: &Value| text(thing, "id").to_owned();
    world.idle().await;
    let job = world.get("/v1/jobs").await.ok()["data"][0].clone();
    world.notify(&payment, "wrong_amount").await;
    // No payer of this provider contests anything: the row is as a bill would leave it.
    let dispute = format!("dsp_{}", "7".repeat(32));
    world
        .write(&format!(
            "INSERT INTO disputes (merchant_id, id, payment_id, order_id, account_id, state, amount, currency, source, \
             version, created_at, updated_at) SELECT merchant_id, '{dispute}', id, order_id, account_id, 'won', 1, \
             currency, 'bill', 1, 0, 0 FROM payments WHERE id = '{}'",
            text(&payment, "id")
        ))
        .await;
    let case = world.get("/v1/cases").await.ok()["data"][0].clone();
    BTreeMap::from([
        ("jobs", id(&job)),
        ("cases", id(&case)),
        ("disputes", dispute),
        ("accounts", id(&account)),
        ("orders", id(&order)),
        ("payments", id(&payment)),
        ("refunds", id(&refund)),
        ("bills", id(&bill)),
        ("reconciliations", id(&reconciliation)),
        ("keys", id(&key)),
        ("webhook-endpoints", id(&endpoint)),
        ("deliveries", id(&delivery)),
    ])
}

/// Attack 11, invariant 32: each route × a foreign id is 404, as it is for an id that nobody has, and changes nothing.
#[tokio::test]
async fn a_foreign_id_is_not_there_on_any_route() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let foreign = belongings(&world).await;
    let key = world.another_merchant().await;
    world.stop_the_clock().await;
    let before = world.dump().await;
    let document = Document::of(&world).await;
    let mut asked = 0;
    for route in document.routes() {
        let Some(address) = route.address(&foreign) else { continue };
        let body = if route.schema.is_null() { Value::Null } else { document.least(&route.schema) };
        let place = (route.method.as_str(), address.as_str());
        let theirs = world.ask(place, &key, &[], &body).await;
        let told = text(&theirs.json, "detail").to_owned();
        theirs.refused(404, "not-found");
        // Word for word what is told of an id that nobody has.
        let digits = address.rfind('_').unwrap() + 1;
        let nobodys =
            format!("{}{}{}", &address[..digits], "0".repeat(32), &address[digits + 32..]);
        let nobodys = world.ask((&route.method, &nobodys), &key, &[], &body).await;
        assert_eq!(nobodys.json["detail"], told, "{} {address}", route.method);
        nobodys.refused(404, "not-found");
        // Its owner finds it there: the id is right, the merchant was not.
        if route.method == "GET" {
            world.get(&address).await.ok();
        }
        asked += 1;
    }
    assert!(asked > 12, "{asked} routes were asked");
    assert_eq!(before.changed(&world.dump().await), Default::default());
}

/// Attack 11: a foreign id in a body or a query is as good as none.
#[tokio::test]
async fn a_foreign_id_in_a_body_or_query_is_nobodys() {
    let (mut world, _plugins) = stage::world(&["alipay"]).await;
    let foreign = belongings(&world).await;
    world.key = world.another_merchant().await;
    let document = Document::of(&world).await;
    let lists = document.routes().into_iter().filter(|route| {
        route.method == "GET" && !route.path.contains('{') && route.path != "/v1/plugins"
    });
    let mut seen = 0;
    for list in lists {
        let rows = world.get(&list.path).await.ok();
        let own: Vec<&Value> = rows["data"].as_array().unwrap().iter().collect();
        let only_key = list.path == "/v1/keys" && own.len() == 1 && own[0]["name"] == "first key";
        assert!(own.is_empty() || only_key, "{}: {rows}", list.path);
        for filter in ["order_id", "payment_id", "account_id"] {
            let id = &foreign[format!("{}s", filter.trim_end_matches("_id")).as_str()];
            let reply = world.get(&format!("{}?{filter}={id}", list.path)).await;
            if reply.status == 200 {
                assert_eq!(reply.json["data"], json!([]), "{}?{filter}", list.path);
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "{seen} filters were tried");
    let refund = json!({ "payment_id": foreign["payments"], "number": "R-2", "amount": 1 });
    let problem = world.post("/v1/refunds", refund).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "payment_id");
    let order = world.order(1250).await;
    let pay = json!({ "method": "page", "account_id": foreign["accounts"] });
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let problem = world.post(&path, pay).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "account_id");
    let bill = json!({ "account_id": foreign["accounts"], "period": "2026-11-20" });
    for path in ["/v1/bills", "/v1/reconciliations"] {
        let reply = world.post(path, bill.clone()).await;
        assert!(matches!(reply.status, 404 | 422), "{path}: {}", reply.text);
    }
}

/// Attack 13: an idempotency key tells nothing of another merchant's: the answers to both merchants differ in nothing but
/// what each of them made.
#[tokio::test]
async fn an_idempotency_key_is_each_merchants_own() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let other = world.another_merchant().await;
    let body = |number: &str| json!({ "number": number, "amount": 1, "currency": "CNY", "subject": "Tea" });
    let headers = [("idempotency-key", "guessed")];
    let mine = world.post_once("/v1/orders", "guessed", &body("mine")).await;
    // Another body under the same key would be refused, were the key shared.
    let theirs = world.ask(("POST", "/v1/orders"), &other, &headers, &body("theirs")).await;
    assert_eq!((mine.status, theirs.status), (201, 201), "{}", theirs.text);
    assert_eq!(theirs.header("idempotency-replayed"), "");
    assert_eq!(theirs.json["number"], "theirs");
    // Held by a request that still runs, it is as free for the other.
    world.write("UPDATE keyed_requests SET answer = NULL, leased_until = 4000000000000000").await;
    let held = world.post_once("/v1/orders", "guessed", &body("mine")).await;
    held.refused(409, "request-running");
    let third = world.another_merchant().await;
    let free = world.ask(("POST", "/v1/orders"), &third, &headers, &body("third")).await;
    assert_eq!(free.status, 201, "{}", free.text);
    let names = |reply: &tollgate_tests::Reply| {
        let mut names: Vec<String> = reply.headers.keys().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(names(&mine), names(&free));
}
