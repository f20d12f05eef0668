//! Signing up: settings and keys are refused by their names, and never repeated.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_tests::World;
use tollgate_tests::reply::text;

/// In every value that a refusal must not repeat.
const CANARY: &str = "canary0123456789";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_refused_by_name_and_not_repeated() {
    let world = World::start().await;
    let right = world.credentials("account");
    let certificate =
        world.credentials("certificate_account")["secrets"]["alipay-certificate"].clone();
    let rows: Vec<(&str, Value, &str)> = vec![
        ("/settings/app_id", json!(CANARY), "settings.app_id"),
        ("/settings/app_id", json!("123"), "settings.app_id"),
        ("/settings/seller_id", json!("1088721003899159"), "settings.seller_id"),
        ("/settings/page_mode", json!(CANARY), "settings.page_mode"),
        ("/settings/colour", json!(CANARY), "settings.colour"),
        ("/settings/app_id", Value::Null, "settings.app_id"),
        ("/settings/app_id", json!(9021000122682882_i64), "settings.app_id"),
        ("/secrets/app-private-key", json!(CANARY), "secrets.app-private-key"),
        ("/secrets/app-private-key", json!(""), "secrets.app-private-key"),
        (
            "/secrets/app-private-key",
            right["secrets"]["alipay-public-key"].clone(),
            "secrets.app-private-key",
        ),
        ("/secrets/alipay-public-key", json!(CANARY), "secrets.alipay-public-key"),
        (
            "/secrets/alipay-public-key",
            right["secrets"]["app-private-key"].clone(),
            "secrets.alipay-public-key",
        ),
        ("/secrets/alipay-public-key", certificate, "secrets.alipay-public-key"),
        // Nothing that Alipay says could be verified: payers would pay, and nobody would know.
        ("/secrets/alipay-public-key", Value::Null, "secrets.alipay-public-key"),
        ("/secrets/alipay-public-key", json!([]), "secrets.alipay-public-key"),
        // Alipay's console shows the app's own beside it.
        ("/secrets/alipay-public-key", json!(own_half(&right)), "secrets.alipay-public-key"),
        ("/secrets/other", json!(CANARY), "secrets.other"),
        ("/secrets/app-private-key", json!([CANARY]), "secrets.app-private-key"),
        ("/secrets/app-private-key", json!([]), "secrets.app-private-key"),
        ("/origins/gateway", json!("https://example.com"), "origins"),
        ("/origins/gateway", json!("http://10.0.0.1:80"), "origins"),
        ("/origins/other", json!("http://127.0.0.1:80"), "origins"),
        ("/plugin", json!(CANARY), "plugin"),
        ("/name", json!(""), "name"),
        ("/live", json!(true), "live"),
        ("/simulator", json!(false), "origins"),
        ("/colour", json!("red"), "colour"),
        ("/fee", json!({ "rate_ppm": 6_000 }), "fee.fixed"),
        ("/fee", json!({ "rate_ppm": -1, "fixed": 0 }), "fee.rate_ppm"),
        ("/fee", json!({ "rate_ppm": 1_000_001, "fixed": 0 }), "fee.rate_ppm"),
        ("/fee", json!({ "rate_ppm": 6_000, "fixed": -1 }), "fee.fixed"),
        ("/fee", json!({ "rate_ppm": 0.6, "fixed": 0 }), "fee.rate_ppm"),
        ("/fee", json!({ "rate_ppm": 6_000, "fixed": 0, "cap": 1 }), "fee.cap"),
    ];
    let before = world.dump().await;
    for (place, value, field) in rows {
        let mut body = right.clone();
        put(&mut body, place, value.clone());
        let reply = world.post("/v1/accounts", body).await;
        assert!(!reply.text.contains(CANARY), "{place}: the value is in {}", reply.text);
        let problem = reply.refused(422, "invalid-request");
        let errors = problem["errors"].as_array().unwrap();
        assert!(errors.iter().any(|error| error["field"] == field), "{place} {value}: {problem}");
    }
    let after = world.dump().await;
    assert!(before.changed(&after).is_empty(), "{:?}", before.changed(&after));
    world.post("/v1/accounts", right).await.ok();
}

/// An account by certificates needs the roots that vouch for Alipay's, and Alipay's own is fetched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_refused_without_the_roots_that_vouch_for_them() {
    let world = World::start().await;
    let mut body = world.credentials("certificate_account");
    put(&mut body, "/secrets/alipay-certificate", Value::Null);
    let mut without = body.clone();
    put(&mut without, "/secrets/alipay-root", Value::Null);
    let problem = world.post("/v1/accounts", without).await.refused(422, "invalid-request");
    let rule = json!([{
        "field": "secrets.alipay-root", "rule": "is required beside app-certificate",
    }]);
    assert_eq!(problem["errors"], rule, "{problem}");
    world.post("/v1/accounts", body).await.ok();
}

/// Sets or, by null, takes away what a pointer names.
fn put(body: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_shows_what_it_has_and_no_key() {
    let world = World::start().await;
    let credentials = world.credentials("account");
    let account = world.post("/v1/accounts", credentials.clone()).await;
    assert_eq!(account.status, 201);
    let secret = text(&credentials["secrets"], "app-private-key");
    let read = world.get(&format!("/v1/accounts/{}", text(&account.json, "id"))).await;
    let list = world.get("/v1/accounts").await;
    for reply in [&account, &read, &list] {
        assert!(!reply.text.contains(&secret[..32]), "{}", reply.text);
    }
    assert_eq!(read.json, account.json);
    assert_eq!(list.json["data"], json!([account.json]));
    assert_eq!(read.json["settings"], credentials["settings"]);
    assert_eq!(read.json["fee"], Value::Null);
    let methods: Vec<_> =
        read.json["methods"].as_array().unwrap().iter().map(|method| text(method, "id")).collect();
    assert_eq!(methods, ["page", "wap", "app", "qr"]);
    assert_eq!(read.json["notify_url"], format!("{}/notify/{}", world.url, text(&read.json, "id")));
    world.post("/v1/accounts", credentials).await.refused(409, "account-name-used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_keys_are_believed_and_the_first_one_signs() {
    let world = World::start().await;
    let mut credentials = world.credentials("account");
    let ours = credentials["secrets"]["app-private-key"].clone();
    let key = credentials["secrets"]["alipay-public-key"].clone();
    // The provider has announced another key and still signs with this one.
    let other = another_public_key();
    credentials["secrets"] =
        json!({ "app-private-key": [ours], "alipay-public-key": [other, key] });
    let account = world.post("/v1/accounts", credentials).await.ok();
    let slots: Vec<_> = account["slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| (text(slot, "name"), slot["keys"].as_u64().unwrap()))
        .collect();
    assert_eq!(slots, [("alipay-public-key", 2), ("app-private-key", 1)]);
    let payment = world.pay(&world.order(1250).await, "page").await;
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
}

fn another_public_key() -> String {
    public_half(&KeyPair::generate(KeySize::Rsa2048).unwrap())
}

/// The public half of the account's own private key.
fn own_half(credentials: &Value) -> String {
    let own = text(&credentials["secrets"], "app-private-key");
    let base64: String = own.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(base64).unwrap();
    public_half(&KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).unwrap())
}

fn public_half(pair: &KeyPair) -> String {
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    STANDARD.encode(der.as_ref())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_merchants_things_are_not_there_for_another() {
    let mut world = World::start().await;
    let payment = world.paid(1250).await;
    let refund = world.refund(&payment, "R-1", 250).await.ok();
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let paths = [
        format!("/v1/orders/{}", text(&payment, "order_id")),
        format!("/v1/payments/{}", text(&payment, "id")),
        format!("/v1/refunds/{}", text(&refund, "id")),
        format!("/v1/accounts/{}", text(&account, "id")),
    ];
    for path in &paths {
        world.get(path).await.ok();
    }
    world.key = world.another_merchant().await;
    for path in &paths {
        world.get(path).await.refused(404, "not-found");
    }
    for list in ["orders", "refunds", "accounts", "events", "bills", "reconciliations"] {
        let list = world.get(&format!("/v1/{list}")).await.ok();
        assert_eq!(list["data"], json!([]), "{list}");
    }
    world.sync(&payment).await.refused(404, "not-found");
    world.close(&json!({ "id": payment["order_id"] })).await.refused(404, "not-found");
    let problem = world.refund(&payment, "R-2", 1).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "payment_id");
    let order = world.order(1250).await;
    let foreign = json!({ "method": "page", "account_id": account["id"] });
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let problem = world.post(&path, foreign).await.refused(422, "invalid-request");
    assert_eq!(problem["errors"][0]["field"], "account_id");
    let bill = json!({ "account_id": account["id"], "period": "2026-11-20" });
    for path in ["/v1/bills", "/v1/reconciliations"] {
        let reply = world.post(path, bill.clone()).await;
        assert!(matches!(reply.status, 404 | 422), "{path}: {}", reply.text);
    }
    // Numbers are each merchant's own.
    world.post("/v1/accounts", world.credentials("account")).await.ok();
}

/// A file that is replaced by one that asks for more is not trusted with keys that were given to the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_asks_for_more_than_was_granted_does_nothing_until_it_is_granted() {
    let mut world = World::start().await;
    let account = world.account().await;
    let granted = account["granted"].as_array().unwrap().clone();
    let transfer = "key app-private-key may sign rsa-pkcs1-sha256";
    assert!(granted.contains(&json!(transfer)), "{granted:?}");
    // What an account looks like whose owner granted less than the plugin asks for now.
    let less: Vec<&Value> = granted.iter().filter(|line| **line != json!(transfer)).collect();
    let less = serde_json::to_string(&less).unwrap();
    world.write(&format!("UPDATE accounts SET granted = '{less}'")).await;
    world.restart().await;
    let order = world.order(1250).await;
    let refused = world.try_pay(&order, "page").await.refused(503, "unavailable");
    let detail = text(&refused, "detail");
    assert!(detail.contains("more than") && detail.contains(transfer), "{detail}");
    let again =
        world.post(&format!("/v1/accounts/{}/grant", text(&account, "id")), json!({})).await;
    assert_eq!(again.ok()["granted"], json!(granted));
    assert_eq!(world.pay(&order, "page").await["state"], "pending");
}
