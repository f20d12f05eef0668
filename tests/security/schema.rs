//! What a body may hold: the fields of the document and no other, each within its rule.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::world::World;

use crate::routes::{Document, Route};
use crate::stage;

/// What a row has that no request may set.
const NOT_WRITABLE: [&str; 12] = [
    "id",
    "state",
    "merchant_id",
    "paid",
    "taken",
    "refunded",
    "refund_reserved",
    "reconciled",
    "reference",
    "provider_reference",
    "created_at",
    "colour",
];

async fn taking_bodies(world: &World) -> (Document, Vec<Route>) {
    let document = Document::of(world).await;
    let mut routes = document.routes();
    routes.retain(|route| !route.schema.is_null());
    assert!(routes.len() >= 8, "{} routes take a body", routes.len());
    (document, routes)
}

fn somewhere(route: &Route) -> String {
    let prefix = match route.path.split('/').nth(2).unwrap() {
        "orders" => "ord",
        "payments" => "pay",
        "keys" => "key",
        "webhook-endpoints" => "whe",
        "deliveries" => "dlv",
        other => &other[..3],
    };
    route.path.replace("{id}", &format!("{prefix}_{}", "0".repeat(32)))
}

/// Puts a field into the object at a pointer, making what is on the way there.
fn put(document: &Document, route: &Route, place: &str, name: &str, value: Value) -> Value {
    let mut body = document.least(&route.schema);
    let mut at = &mut body;
    let mut schema = document.resolve(&route.schema);
    for step in place.split('/').skip(1) {
        schema = document.resolve(match step {
            "0" => &schema["items"],
            name => &schema["properties"][name],
        });
        if let Some(choice) = schema["oneOf"].as_array() {
            let object = choice.iter().find(|one| document.resolve(one)["properties"].is_object());
            schema = document.resolve(object.unwrap());
        }
        at = match step {
            "0" => &mut at[0],
            name => {
                if at[name].is_null() {
                    at[name] = document.least(schema);
                }
                &mut at[name]
            }
        };
    }
    at[name] = value;
    body
}

/// Attack 12: no route takes a field that it does not have, in any object of its body, and nothing is written.
#[tokio::test]
async fn no_route_takes_what_it_does_not_have() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let (document, routes) = taking_bodies(&world).await;
    let before = world.dump().await;
    let mut tried = 0;
    for route in &routes {
        let address = somewhere(route);
        for (place, schema) in document.objects(&route.schema, "") {
            assert_eq!(schema["additionalProperties"], false, "{} {place}", route.path);
            let own = schema["properties"].as_object().unwrap();
            for name in NOT_WRITABLE.iter().filter(|name| !own.contains_key(**name)) {
                let body = put(&document, route, &place, name, json!("paid"));
                let reply = world.ask((&route.method, &address), &world.key, &[], &body).await;
                let problem = reply.refused(422, "invalid-request");
                let error = &problem["errors"][0];
                let fields =
                    place.split('/').skip(1).map(str::to_owned).chain([(*name).to_owned()]);
                let field = fields.collect::<Vec<_>>().join(".").replace(".0.", "[0].");
                assert_eq!(text(error, "field"), field, "{} {body}: {problem}", route.path);
                assert_eq!(error["rule"], "is not a field of this request", "{problem}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried} bodies were tried");
    assert_eq!(before.changed(&world.dump().await), Default::default());
}

/// Attack 12: no route takes a parameter that it does not have, nor a field where it takes no body.
#[tokio::test]
async fn no_route_takes_a_query_or_body_that_it_does_not_have() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let routes = Document::of(&world).await.routes();
    let before = world.dump().await;
    for route in &routes {
        let address = somewhere(route);
        for query in ["colour=red", "merchant_id=", "colour=red&limit=5"] {
            let address = format!("{address}?{query}");
            let reply = world.ask((&route.method, &address), &world.key, &[], &Value::Null).await;
            let problem = reply.refused(422, "invalid-request");
            let error = &problem["errors"][0];
            let name = query.split('=').next();
            assert_eq!(error["field"].as_str(), name, "{} {query}: {problem}", route.path);
            assert_eq!(error["rule"], "is not a parameter of this request", "{problem}");
        }
        if !route.schema.is_null() {
            continue;
        }
        let json = [("content-type", "application/json")];
        let form = [("content-type", "application/x-www-form-urlencoded")];
        for (kind, body, status, code, field) in [
            (json, r#"{"force":true}"#, 422, "invalid-request", json!("force")),
            (json, "[1]", 422, "invalid-request", json!("body")),
            (json, r#"{"a":"#, 400, "malformed-json", Value::Null),
            (form, "force=true", 415, "unsupported-media-type", Value::Null),
        ] {
            let reply = world.ask_with((&route.method, &address), &world.key, &kind, body).await;
            let problem = reply.refused(status, code);
            assert_eq!(problem["errors"][0]["field"], field, "{} {body}: {problem}", route.path);
        }
        for empty in ["{}", "[]"] {
            let reply = world.ask_with((&route.method, &address), &world.key, &json, empty).await;
            assert!(matches!(reply.status, 200 | 404), "{} {empty}: {}", route.path, reply.text);
        }
    }
    assert_eq!(before.changed(&world.dump().await), Default::default());
}

/// Attack 15: negative, zero, overflowing and broken numbers, and texts without end, in every field of every body: each is
/// refused by a name, nothing breaks down, nothing is written.
#[tokio::test]
async fn no_number_or_text_goes_through_that_breaks_a_rule() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let (document, routes) = taking_bodies(&world).await;
    let before = world.dump().await;
    let huge = "x".repeat(100_000);
    let mut tried = 0;
    for route in &routes {
        let address = somewhere(route);
        for (place, schema) in document.objects(&route.schema, "") {
            for (name, property) in schema["properties"].as_object().unwrap() {
                let kinds = document.resolve(property)["type"].to_string();
                let wrong: &[&str] = match kinds.as_str() {
                    kinds if kinds.contains("integer") => &[
                        "-1",
                        "-9223372036854775809",
                        "9223372036854775808",
                        "1e400",
                        "1.5",
                        "NaN",
                        "\"1\"",
                        "18446744073709551616",
                        "-9223372036854775808",
                    ],
                    kinds if kinds.contains("string") => {
                        &["1", "true", "[]", "{}", "\"HUGE\"", "\"\\u0000\""]
                    }
                    kinds if kinds.contains("boolean") => &["1", "\"true\"", "[]"],
                    _ => continue,
                };
                for value in wrong {
                    let body = put(&document, route, &place, name, json!("VALUE")).to_string();
                    let body = body.replace("\"VALUE\"", &value.replace("HUGE", &huge));
                    let url = format!("{}{address}", world.url);
                    let method = route.method.parse().unwrap();
                    let request = world.client.request(method, url).bearer_auth(&world.key);
                    let request = request.header("content-type", "application/json").body(body);
                    let reply = tollgate_tests::Reply::of(request.send().await.unwrap()).await;
                    let what = format!("{} {place}/{name} {value}: {}", route.path, &reply.text);
                    assert!(matches!(reply.status, 400 | 404 | 422), "{what}");
                    assert!(reply.text.len() < 4_000, "{what}: an error repeats what it was given");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 150, "{tried} values were tried");
    assert_eq!(before.changed(&world.dump().await), Default::default());
}

/// Attack 15: a body beyond the limit is refused on every route, with and without an idempotency key, and is not kept.
#[tokio::test]
async fn no_route_takes_a_body_without_end() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let (_, routes) = taking_bodies(&world).await;
    let body = json!({ "name": "x".repeat(1 << 20) });
    for route in &routes {
        for headers in [&[] as &[(&str, &str)], &[("idempotency-key", "large")]] {
            let reply =
                world.ask((&route.method, &somewhere(route)), &world.key, headers, &body).await;
            reply.refused(413, "body-too-large");
        }
    }
    assert_eq!(world.select("SELECT CAST(count(*) AS TEXT) FROM keyed_requests").await, ["0"]);
}
