//! API keys: what a key may do, until when, how often, and what somebody learns who has none.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::world::World;
use tollgate_tests::{Reply, place};

use crate::routes::Document;
use crate::stage;

async fn made(world: &World, scopes: &[&str]) -> Value {
    world.post("/v1/keys", json!({ "name": "till", "scopes": scopes })).await.ok()
}

async fn reads(world: &World, key: &str) -> Reply {
    world.ask(("GET", "/v1/orders"), key, &[], &Value::Null).await
}

/// Attack 14: each scope opens the routes that name it, and no other.
#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_nothing_else() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let document = Document::of(&world).await;
    let mut by_scope: BTreeMap<String, String> = BTreeMap::new();
    for route in document.routes() {
        by_scope.entry(route.scope).or_default();
    }
    for (scope, key) in &mut by_scope {
        *key = text(&made(&world, &[scope]).await, "key").to_owned();
    }
    let before = world.select("SELECT CAST(count(*) AS TEXT) FROM orders").await;
    for route in document.routes() {
        let address = route.path.replace("{id}", &format!("ord_{}", "0".repeat(32)));
        for (scope, key) in &by_scope {
            // No body: who is let in is refused further on, and nothing happens.
            let reply = world.ask((&route.method, &address), key, &[], &Value::Null).await;
            let allowed = *scope == route.scope;
            assert_eq!(
                reply.status == 403,
                !allowed,
                "{scope}: {} {address}: {}",
                route.method,
                reply.text
            );
            if !allowed {
                let problem = reply.refused(403, "scope-missing");
                assert!(text(&problem, "detail").ends_with(&route.scope), "{problem}");
            }
        }
    }
    assert_eq!(world.select("SELECT CAST(count(*) AS TEXT) FROM orders").await, before);
}

/// Attack 14: who may make keys makes none that may do more, or live longer, than his own.
#[tokio::test]
async fn no_key_hands_on_more_than_it_has() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let own = made(&world, &["keys:write", "read"]).await;
    let make =
        async |body: Value| world.ask(("POST", "/v1/keys"), text(&own, "key"), &[], &body).await;
    make(json!({ "name": "a", "scopes": ["read"] })).await.ok();
    for scopes in [json!(["full"]), json!(["read", "refunds:write"])] {
        let problem =
            make(json!({ "name": "a", "scopes": scopes })).await.refused(422, "invalid-request");
        assert_eq!(problem["errors"][0]["field"], "scopes", "{problem}");
    }
    for (body, field) in [
        (json!({ "name": "a", "scopes": [] }), "scopes"),
        (json!({ "name": "a", "scopes": ["write"] }), "scopes"),
        (json!({ "name": "", "scopes": ["read"] }), "name"),
        (json!({ "name": "a\nb", "scopes": ["read"] }), "name"),
        (json!({ "name": "a", "scopes": ["read"], "expires_in_s": 59 }), "expires_in_s"),
        (json!({ "name": "a", "scopes": ["read"], "expires_in_s": i64::MAX }), "expires_in_s"),
        (json!({ "name": "a", "scopes": ["read"], "per_second": 1 }), "per_second"),
    ] {
        let problem = make(body).await.refused(422, "invalid-request");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    let body = json!({ "name": "guest", "scopes": ["keys:write", "read"], "expires_in_s": 3600 });
    let guest = make(body).await.ok();
    let ask = async |path: &str, body: Value| {
        world.ask(("POST", path), text(&guest, "key"), &[], &body).await
    };
    let endless = json!({ "name": "a", "scopes": ["read"] });
    let problem = ask("/v1/keys", endless).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "expires_in_s", "{problem}");
    ask("/v1/keys", json!({ "name": "a", "scopes": ["read"], "expires_in_s": 60 })).await.ok();
    let rotate = format!("/v1/keys/{}/rotate", text(&own, "id"));
    ask(&rotate, json!({})).await.refused(409, "key-beyond-yours");
    let own_rotation = format!("/v1/keys/{}/rotate", text(&guest, "id"));
    assert_eq!(ask(&own_rotation, json!({})).await.status, 201);
}

/// Invariant 37, fault 56: two generations work side by side, the old one until its end and no longer.
#[tokio::test]
async fn a_key_is_replaced_without_a_gap_and_ends_when_it_must() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let old = made(&world, &["read"]).await;
    let rotate = format!("/v1/keys/{}/rotate", text(&old, "id"));
    let new = world.post(&rotate, json!({ "overlap_s": 600 })).await.ok();
    let (old_key, new_key) = (text(&old, "key"), text(&new, "key"));
    assert_eq!((&new["name"], &new["scopes"]), (&old["name"], &old["scopes"]));
    for key in [old_key, new_key] {
        assert_eq!(reads(&world, key).await.status, 200, "both live");
    }
    world.post(&rotate, json!({})).await.refused(409, "key-rotated");
    let third = format!("/v1/keys/{}/rotate", text(&new, "id"));
    let problem = world.post(&third, json!({})).await.refused(409, "key-rotated");
    assert!(text(&problem, "detail").contains(text(&old, "id")), "{problem}");

    let id = text(&old, "id");
    world.write(&format!("UPDATE api_keys SET expires_at = 1 WHERE id = '{id}'")).await;
    let over = reads(&world, old_key).await;
    let never = reads(&world, "tgk_never").await;
    assert_eq!(over.json, never.json, "an end tells no more than a guess");
    over.refused(401, "unauthorized");
    assert_eq!(reads(&world, new_key).await.status, 200);
    let last = world.post(&third, json!({ "overlap_s": 0 })).await.ok();
    reads(&world, new_key).await.refused(401, "unauthorized");
    assert_eq!(reads(&world, text(&last, "key")).await.status, 200);

    let revoke = format!("/v1/keys/{}/revoke", text(&last, "id"));
    let revoked = world.post(&revoke, json!({})).await.ok();
    assert_eq!(revoked["active"], false);
    assert_eq!(world.post(&revoke, json!({})).await.ok(), revoked, "it ends once");
    reads(&world, text(&last, "key")).await.refused(401, "unauthorized");
    let kept = world.select("SELECT hash || hint FROM api_keys").await.concat();
    for key in [old_key, new_key, text(&last, "key")] {
        assert!(!kept.contains(key), "keys are kept as hashes");
    }
    let list = world.get("/v1/keys").await;
    assert!(list.json["data"].as_array().unwrap().iter().all(|key| key["key"].is_null()));
}

/// A repeat under an idempotency key is told the same key; one whose making was cut off is told one that works.
#[tokio::test]
async fn a_key_is_made_once_under_an_idempotency_key() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let body = json!({ "name": "till", "scopes": ["read"] });
    let first = world.post_once("/v1/keys", "k", &body).await;
    let again = world.post_once("/v1/keys", "k", &body).await;
    assert_eq!(first.text, again.text);
    assert_eq!(reads(&world, text(&again.json, "key")).await.status, 200);
    world.write("UPDATE keyed_requests SET answer = NULL, leased_until = 0").await;
    let other = world.post_once("/v1/keys", "k", &body).await.ok();
    assert_eq!(other["id"], first.json["id"]);
    assert_eq!(reads(&world, text(&other, "key")).await.status, 200);
    reads(&world, text(&first.json, "key")).await.refused(401, "unauthorized");
}

/// Attack 14: a guesser is stopped, and who shares his address is not, even with a key that comes for the first time.
#[tokio::test]
async fn guessing_is_stopped_and_those_who_know_go_on() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let fresh = made(&world, &["read"]).await;
    let mut told = Vec::new();
    for guess in 0..80 {
        let reply = reads(&world, &format!("tgk_{guess:040}")).await;
        if reply.status == 429 {
            assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
            reply.clone().refused(429, "rate-limited");
        }
        told.push(reply.status);
    }
    assert_eq!(told[0], 401);
    assert_eq!(*told.last().unwrap(), 429, "{told:?}");
    reads(&world, text(&fresh, "key")).await.ok();
}

/// Invariant 26: what is refused because it comes too often has done nothing. A key's own rate stands above the usual one.
#[tokio::test]
async fn a_key_asks_as_often_as_it_may() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let slow = made(&world, &["orders:write"]).await;
    let id = text(&slow, "id");
    world.write(&format!("UPDATE api_keys SET per_second = 2 WHERE id = '{id}'")).await;
    let mut made = 0;
    let mut refused = 0;
    for number in 0..20 {
        let body = json!({ "number": number.to_string(), "amount": 1, "currency": "CNY", "subject": "Tea" });
        let headers = [("idempotency-key", "k")];
        let reply = world
            .ask(("POST", "/v1/orders"), text(&slow, "key"), &headers[..number % 2], &body)
            .await;
        match reply.status {
            429 => {
                assert_eq!(reply.header("retry-after"), "1");
                reply.refused(429, "rate-limited");
                refused += 1;
            }
            // The second one under the same key is another request.
            201 | 422 => made += i64::from(reply.status == 201),
            _ => panic!("{} {}", reply.status, reply.text),
        }
    }
    assert!(refused >= 10, "{refused} were refused");
    let written = world.select("SELECT CAST(count(*) AS TEXT) FROM orders").await;
    assert_eq!(written, [made.to_string()]);
    reads(&world, &world.key).await.ok();
}

/// Runs a command of the program on a gateway's folder.
pub fn tollgate(data: &Path, arguments: &[&str]) -> Output {
    let program = std::env::var_os("TOLLGATE_BIN")
        .map_or_else(|| place::target().join("debug/tollgate"), Into::into);
    let mut command = Command::new(program);
    command.args(arguments).arg("--data").arg(data).env_remove("TOLLGATE_CONFIG");
    command.output().unwrap()
}

fn answered(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Merchants and keys are made beside a gateway that runs, and it knows them at once.
#[tokio::test]
async fn an_operator_makes_merchants_and_keys_beside_a_running_gateway() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let data = world.data();
    let merchant =
        answered(&tollgate(&data, &["--json", "merchant", "add", "Second shop", "--demand-keys"]));
    let (id, key) = (text(&merchant, "id"), text(&merchant, "key"));
    assert_eq!(reads(&world, key).await.json["data"], json!([]));
    let order = json!({ "number": "1", "amount": 1, "currency": "CNY", "subject": "Tea" });
    let post = async |key: &str| world.ask(("POST", "/v1/orders"), key, &[], &order).await;
    post(key).await.refused(400, "idempotency-key-missing");
    answered(&tollgate(&data, &["--json", "merchant", "set", id, "--demand-keys", "false"]));
    assert_eq!(post(key).await.status, 201);
    let list = answered(&tollgate(&data, &["--json", "merchant", "list"]));
    let names: Vec<_> =
        list["merchants"].as_array().unwrap().iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["Merchant", "Second shop"]);

    let add = [
        "--json",
        "key",
        "add",
        id,
        "--name",
        "till",
        "--scope",
        "orders:write",
        "--scope",
        "read",
    ];
    let till = answered(&tollgate(&data, &[&add[..], &["--per-second", "50"]].concat()));
    assert_eq!(
        (&till["scopes"], &till["per_second"]),
        (&json!(["read", "orders:write"]), &json!(50))
    );
    assert_eq!(reads(&world, text(&till, "key")).await.status, 200);
    let next = answered(&tollgate(
        &data,
        &["--json", "key", "rotate", text(&till, "id"), "--overlap-s", "0"],
    ));
    reads(&world, text(&till, "key")).await.refused(401, "unauthorized");
    answered(&tollgate(&data, &["--json", "key", "revoke", text(&next, "id")]));
    reads(&world, text(&next, "key")).await.refused(401, "unauthorized");
    let keys = answered(&tollgate(&data, &["--json", "key", "list", id]));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    let plain = tollgate(&data, &["key", "list", id]);
    assert_eq!(String::from_utf8(plain.stdout).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_command_that_cannot_be_done_says_so_in_one_line() {
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let data = world.data();
    let nobody = format!("mer_{}", "0".repeat(32));
    let nothing = world.folder.path().join("elsewhere");
    for (folder, arguments) in [
        (&data, &["merchant", "add", " "] as &[&str]),
        (&data, &["merchant", "set", &nobody, "--name", "x"]),
        (&data, &["key", "list", &nobody]),
        (&data, &["key", "add", &nobody, "--name", "x", "--scope", "read"]),
        (&data, &["key", "revoke", &format!("key_{}", "0".repeat(32))]),
        (&nothing, &["merchant", "list"]),
    ] {
        let output = tollgate(folder, &[&["--json"], arguments].concat());
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert!(!text(&said, "error").is_empty() && said["ok"] == false, "{said}");
    }
    assert!(!nothing.exists(), "a wrong folder is not made");
    assert_eq!(world.select("SELECT CAST(count(*) AS TEXT) FROM merchants").await, ["1"]);
}
