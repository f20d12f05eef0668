//! Webhooks over real sockets: a shop hears of its orders, with signatures that it checks itself, whatever its receiver does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_tests::receiver::{Answer, Receiver};
use tollgate_tests::reply::text;
use tollgate_tests::{Reply, World};

async fn patch(world: &World, path: &str, body: Value) -> Reply {
    let request = world.client.patch(format!("{}{path}", world.url)).bearer_auth(&world.key);
    Reply::of(request.json(&body).send().await.unwrap()).await
}

fn path(endpoint: &Value, verb: &str) -> String {
    format!("/v1/webhook-endpoints/{}{verb}", text(endpoint, "id"))
}

fn says(status: u16) -> Answer {
    (status, Vec::new(), String::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_hears_of_all_that_happens_to_its_order() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(&receiver.url, &[]).await;
    let secret = text(&endpoint, "secret");
    let payment = world.paid(1250).await;
    world.refund(&payment, "R-1", 250).await.ok();
    let told = world.get("/v1/events?limit=100").await.ok()["data"].as_array().unwrap().clone();
    world.deliveries_until(&endpoint, 1).await;
    let mut got = receiver.got_until(told.len()).await;
    assert!(
        got.iter().all(|message| message.signed_with(secret) == 1 && message.signatures.len() == 1)
    );
    got.sort_by_key(|message| message.id.clone());
    for (event, message) in told.iter().zip(&got) {
        let body = message.json();
        assert_eq!((text(event, "id"), &event["kind"]), (message.id.as_str(), &body["type"]));
        for (theirs, ours) in [
            ("id", "id"),
            ("timestamp", "created_at"),
            ("sequence", "sequence"),
            ("order_id", "order_id"),
            ("data", "data"),
        ] {
            assert_eq!(body[theirs], event[ours], "{body}");
        }
    }
    assert_eq!(got.len(), told.len());
    let kinds: Vec<_> = got.iter().map(|message| message.json()["type"].clone()).collect();
    for kind in ["order.created", "payment.succeeded", "order.paid", "refund.succeeded"] {
        assert!(kinds.contains(&json!(kind)), "{kind}: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_told_once_and_two_of_them_sign_for_a_time() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(&receiver.url, &["order.created"]).await;
    let first = text(&endpoint, "secret").to_owned();
    let read = world.get(&path(&endpoint, "")).await;
    assert!(!read.text.contains("secret\"") && !read.text.contains(&first), "{}", read.text);
    let rotated = world.post(&path(&endpoint, "/rotate-secret"), json!({})).await.ok();
    let second = text(&rotated, "secret").to_owned();
    assert!(rotated["old_secret_until"].is_string(), "{rotated}");
    world.order(100).await;
    let message = receiver.got_until(1).await.remove(0);
    assert_eq!((message.signed_with(&first), message.signed_with(&second)), (1, 1));
    let ended =
        world.post(&path(&endpoint, "/rotate-secret"), json!({ "overlap_s": 0 })).await.ok();
    world.order(100).await;
    let message = receiver.got_until(2).await.remove(1);
    assert_eq!((message.signed_with(&second), message.signed_with(text(&ended, "secret"))), (0, 1));
    let kept = world.dump().await.rows("webhook_endpoints").concat().to_lowercase();
    for secret in [first.as_str(), second.as_str(), text(&ended, "secret")] {
        let digits = secret.strip_prefix("whsec_").unwrap();
        let raw = hex::encode(STANDARD.decode(digits).unwrap());
        assert!(
            !kept.contains(&raw) && !kept.contains(&digits.to_lowercase()),
            "kept in the clear"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_answers_is_kept_and_none_of_it_is_followed() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let endpoint = world.endpoint(&receiver.url, &["order.created"]).await;
    let headers = |name, value: &str| vec![(name, value.to_owned())];
    receiver.answers([
        (302, headers("location", &elsewhere.url), String::new()),
        (500, headers("content-type", "text/html"), "oops ".repeat(100_000)),
        (429, headers("retry-after", "86400"), "slow down".to_owned()),
    ]);
    world.order(100).await;
    for attempts in 1..=3 {
        world.deliveries_until(&endpoint, attempts).await;
        world.try_again().await;
    }
    let delivery = world.deliveries_until(&endpoint, 4).await.remove(0);
    let told = world.get(&format!("/v1/deliveries/{}", text(&delivery, "id"))).await.ok();
    assert_eq!((&told["state"], &told["attempts"]), (&json!("delivered"), &json!(4)));
    let tries = told["tries"].as_array().unwrap();
    let statuses: Vec<_> = tries.iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [302, 500, 429, 200]);
    assert_eq!(text(&tries[1], "reply"), &"oops ".repeat(200));
    assert_eq!(elsewhere.got().len(), 0, "a redirect was followed");
    let got = receiver.got();
    assert!(got.iter().all(|message| message.id == got[0].id && message.body == got[0].body));
    // Told again because the shop asks for it, under the same id.
    world.post(&format!("/v1/deliveries/{}/replay", text(&delivery, "id")), json!({})).await.ok();
    assert_eq!(receiver.got_until(5).await[4].id, got[0].id);
}

/// A call of the silent one lasts as long as a test's patience: who waited for it would fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_holds_up_no_other() {
    let world = World::start().await;
    // Connections come about, and nobody reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let dead = world.endpoint(&url, &["order.created"]).await;
    let receiver = Receiver::start().await;
    world.endpoint(&receiver.url, &["order.created"]).await;
    for _ in 0..12 {
        world.order(100).await;
    }
    receiver.got_until(12).await;
    let waiting = world.deliveries(&dead).await;
    assert!(waiting.iter().all(|one| one["state"] == "pending"), "{waiting:?}");
    assert_eq!(waiting.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_disabled_until_the_shop_enables_it() {
    let world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(&receiver.url, &["order.*", "webhook_endpoint.*"]).await;
    receiver.answers([says(410)]);
    world.order(100).await;
    let parked = world.deliveries_until(&endpoint, 1).await.remove(0);
    assert_eq!(parked["state"], "parked", "{parked}");
    let disabled = world.get(&path(&endpoint, "")).await.ok();
    assert_eq!(
        (&disabled["state"], text(&disabled, "reason")),
        (&json!("disabled"), "disabled: it answered 410 Gone")
    );
    let replay = format!("/v1/deliveries/{}/replay", text(&parked, "id"));
    world.post(&replay, json!({})).await.refused(409, "webhook-endpoint-disabled");
    let since = json!({ "since": parked["created_at"] });
    world
        .post(&path(&endpoint, "/replay"), since.clone())
        .await
        .refused(409, "webhook-endpoint-disabled");
    let enabled = world.post(&path(&endpoint, "/enable"), json!({})).await.ok();
    assert_eq!((&enabled["state"], &enabled["reason"]), (&json!("enabled"), &Value::Null));
    let replayed = world.post(&path(&endpoint, "/replay"), since).await.ok();
    assert_eq!(replayed["replayed"], 1);
    receiver.got_until(2).await;
    // The shop can do so itself, and has its reason told too.
    let off = world.post(&path(&endpoint, "/disable"), json!({})).await.ok();
    assert_eq!(text(&off, "reason"), "disabled by the merchant");
    world.order(100).await;
    let events = world.get("/v1/events?limit=100").await.ok();
    let told = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "webhook_endpoint.disabled");
    assert_eq!((told.count(), world.deliveries(&endpoint).await.len()), (2, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_a_rule_is_refused_by_its_field() {
    let world = World::start().await;
    let good =
        json!({ "url": "https://shop.example/hooks", "kinds": ["order.*"], "description": "main" });
    let rows = [
        ("url", json!("http://169.254.169.254/"), "url"),
        ("url", json!("http://8.8.8.8/"), "url"),
        ("url", json!("https://me:secret@shop.example/"), "url"),
        ("url", json!("ftp://shop.example/"), "url"),
        ("url", json!(7), "url"),
        ("url", Value::Null, "url"),
        ("kinds", json!(["order.paid", "Order"]), "kinds[1]"),
        ("kinds", json!(vec!["x"; 51]), "kinds"),
        ("kinds", json!("order.paid"), "kinds"),
        ("description", json!("a\nb"), "description"),
        ("description", json!("x".repeat(201)), "description"),
        ("secret", json!("whsec_mine"), "secret"),
        ("state", json!("disabled"), "state"),
    ];
    let endpoint = world.post("/v1/webhook-endpoints", good.clone()).await.ok();
    for (name, value, field) in rows {
        let mut body = good.clone();
        body[name] = value;
        if body[name].is_null() {
            body.as_object_mut().unwrap().remove(name);
        }
        let refused =
            world.post("/v1/webhook-endpoints", body.clone()).await.refused(422, "invalid-request");
        assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
        if name != "url" || body.get("url").is_some() {
            let refused = patch(&world, &path(&endpoint, ""), body.clone())
                .await
                .refused(422, "invalid-request");
            assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
        }
    }
    let rotate = world.post(&path(&endpoint, "/rotate-secret"), json!({ "overlap_s": -1 })).await;
    assert_eq!(rotate.refused(422, "invalid-request")["errors"][0]["field"], "overlap_s");
    let since = world.post(&path(&endpoint, "/replay"), json!({ "since": "yesterday" })).await;
    assert_eq!(since.refused(422, "invalid-request")["errors"][0]["field"], "since");
    for query in ["state=done", "endpoint_id=1", "event_id=ord_1", "colour=red"] {
        world.get(&format!("/v1/deliveries?{query}")).await.refused(422, "invalid-request");
    }
    let changed = patch(&world, &path(&endpoint, ""), json!({ "kinds": [] })).await.ok();
    assert_eq!((&changed["kinds"], &changed["description"]), (&json!([]), &json!("main")));
    for _ in 1..20 {
        world.post("/v1/webhook-endpoints", good.clone()).await.ok();
    }
    let full = world.post("/v1/webhook-endpoints", good).await;
    full.refused(409, "too-many-webhook-endpoints");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_merchant_finds_none_of_it() {
    let mut world = World::start().await;
    let receiver = Receiver::start().await;
    let endpoint = world.endpoint(&receiver.url, &[]).await;
    world.order(100).await;
    let delivery = world.deliveries_until(&endpoint, 1).await.remove(0);
    world.key = world.another_merchant().await;
    let delivery = format!("/v1/deliveries/{}", text(&delivery, "id"));
    world.get(&delivery).await.refused(404, "not-found");
    world.post(&format!("{delivery}/replay"), json!({})).await.refused(404, "not-found");
    world.get(&path(&endpoint, "")).await.refused(404, "not-found");
    patch(&world, &path(&endpoint, ""), json!({ "kinds": [] })).await.refused(404, "not-found");
    let since = json!({ "since": "2026-01-01T00:00:00Z" });
    let none = Value::Object(serde_json::Map::new());
    for (verb, body) in
        [("/enable", &none), ("/disable", &none), ("/rotate-secret", &none), ("/replay", &since)]
    {
        world.post(&path(&endpoint, verb), body.clone()).await.refused(404, "not-found");
    }
    for list in ["/v1/webhook-endpoints", "/v1/deliveries"] {
        assert_eq!(world.get(list).await.ok()["data"], json!([]), "{list}");
    }
    world.order(100).await;
    assert_eq!(receiver.got().len(), 1);
}
