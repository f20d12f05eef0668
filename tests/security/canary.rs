//! An account with a key that would be known anywhere, through everything that the gateway does: pay, notify, return,
//! query, refund, bill, and every wrong request. Not a byte of it is in logs, files or answers.

use std::path::Path;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_plugin::Witness;
use tollgate_tests::reply::text;
use tollgate_tests::world::{Setup, World};

use crate::needles::{Needles, of_private_key};
use crate::{logs, stage};

/// A new RSA key, PKCS#8 in base64.
pub fn private_key() -> String {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    STANDARD.encode(der.as_ref())
}

/// Every file that the gateway keeps, but the key that seals the others.
pub fn files(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    gather(&world.data(), &mut found);
    assert!(found.iter().any(|(name, _)| name.ends_with("tollgate.db")));
    found
}

fn gather(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else if !path.ends_with("sealing.key") {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// Every answer of the gateway to a merchant, a payer and a stranger.
#[derive(Default)]
struct Answers(Vec<(String, String)>);

impl Answers {
    async fn get(&mut self, world: &World, path: &str) -> Value {
        let reply = world.get(path).await;
        self.0.push((format!("GET {path}"), format!("{:?} {}", reply.headers, reply.text)));
        reply.json
    }

    async fn once(&mut self, world: &World, path: &str, key: &str, body: &Value) -> Value {
        let reply = world.post_once(path, key, body).await;
        self.0.push((format!("POST {path}"), format!("{:?} {}", reply.headers, reply.text)));
        reply.json
    }

    async fn post(&mut self, world: &World, path: &str, body: &str) -> Value {
        let reply = world.post_text(path, body).await;
        self.0.push((format!("POST {path}"), format!("{:?} {}", reply.headers, reply.text)));
        reply.json
    }
}

/// Requests that are wrong in ways in which a careless error would repeat what it was given.
fn wrong_accounts(credentials: &Value) -> Vec<String> {
    let key = text(&credentials["secrets"], "app-private-key");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = credentials.clone();
        change(&mut body);
        body.to_string()
    };
    let cut = &key[..key.len() - 200];
    vec![
        with(&|body| body["secrets"]["app-private-key"] = json!(cut)),
        with(&|body| body["secrets"]["app-private-key"] = json!(format!("{key}\n{key}"))),
        with(&|body| body["secrets"]["alipay-public-key"] = json!(key)),
        with(&|body| body["secrets"]["no-such-slot"] = json!(key)),
        with(&|body| body["secrets"]["app-private-key"] = json!({ "value": key })),
        with(&|body| body["secrets"]["app-private-key"] = json!([[key]])),
        with(&|body| body["secrets"] = json!(key)),
        with(&|body| body["secrets"] = json!([key])),
        with(&|body| body["live"] = json!(key)),
        with(&|body| body["simulator"] = json!(key)),
        with(&|body| body["settings"] = json!(key)),
        with(&|body| body["settings"]["app_id"] = json!(key)),
        with(&|body| body["origins"]["gateway"] = json!(key)),
        with(&|body| body["plugin"] = json!(key)),
        with(&|body| body["name"] = json!(key)),
        with(&|body| body[key] = json!(1)),
        with(&|body| body["settings"][key] = json!("1")),
        with(&|body| body["secrets"][key] = json!("1")),
        format!("{}{key}", credentials),
        format!("\"{key}\""),
        key.to_owned(),
    ]
}

#[tokio::test]
async fn no_secret_byte_is_in_logs_files_or_answers() {
    let logs = logs::kept();
    let (world, _plugins) = stage::world(&["alipay"]).await;
    let credentials = world.credentials("account");
    let mut secrets = of_private_key(text(&credentials["secrets"], "app-private-key"));
    let sealing = std::fs::read_to_string(world.data().join("sealing.key")).unwrap();
    secrets.push(("sealing key", hex::decode(sealing.trim()).unwrap()));
    let needles = Needles::of(&secrets);
    let mut answers = Answers::default();
    let own = own_keys(&world, &credentials, &mut answers).await;

    for body in wrong_accounts(&credentials) {
        let problem = answers.post(&world, "/v1/accounts", &body).await;
        assert!(
            problem["status"].as_u64().is_some_and(|status| (400..500).contains(&status)),
            "{problem}"
        );
    }
    let account = answers.once(&world, "/v1/accounts", "canary-5", &credentials).await;
    assert_eq!(answers.once(&world, "/v1/accounts", "canary-5", &credentials).await, account);
    let payment = live_through(&world, &account, &mut answers).await;
    wrong_messages(&world, &account, &payment, &mut answers).await;
    read_everything(&world, &mut answers).await;

    let told: Vec<_> =
        answers.0.iter().filter(|(_, answer)| needles.find(answer.as_bytes()).is_some()).collect();
    assert!(told.is_empty(), "secrets in {told:#?}");
    for (place, answer) in &answers.0 {
        own.absent(place, answer);
    }
    for (name, bytes) in files(&world) {
        needles.absent(&name, &bytes);
        own.absent(&name, &bytes);
    }
    let logs = logs.bytes();
    assert!(logs.len() > 1000, "nothing was logged");
    needles.absent("the log", &logs);
    own.absent("the log", &logs);
    let records = world.select("SELECT record FROM exchanges").await.concat();
    assert!(records.contains("alipay.trade.query") && records.contains("alipay.trade.refund"));
    needles.absent("the records of exchanges", records);
}

/// Attack 21: API keys, which are told once to who made them and to nobody else: the first one, one that is made and told
/// again under an idempotency key, the one that replaces it, and a guess. An account under an idempotency key, too.
async fn own_keys(world: &World, credentials: &Value, answers: &mut Answers) -> Needles {
    let body = json!({ "name": "till", "scopes": ["read"] });
    let made = world.post_once("/v1/keys", "canary-1", &body).await;
    assert_eq!(world.post_once("/v1/keys", "canary-1", &body).await.text, made.text);
    let rotate = format!("/v1/keys/{}/rotate", text(&made.json, "id"));
    let next = world.post_once(&rotate, "canary-2", &json!({})).await.ok();
    let guess = "tgk_guessguessguessguess";
    let (made, next) = (text(&made.json, "key"), text(&next, "key"));
    for key in [made, next, guess] {
        for (method, path) in [("GET", "/v1/orders"), ("POST", "/v1/orders"), ("GET", "/v1/keys")] {
            let headers = [("idempotency-key", "canary-3")];
            let reply = world.ask((method, path), key, &headers, &json!({ "number": key })).await;
            answers
                .0
                .push((format!("{method} {path}"), format!("{:?} {}", reply.headers, reply.text)));
        }
    }
    let wrong = json!({ "secrets": credentials["secrets"] });
    answers.once(world, "/v1/accounts", "canary-4", &wrong).await;
    answers.get(world, "/v1/keys").await;
    let keys = [world.key.as_str(), made, next, guess].map(|key| key.as_bytes().to_vec());
    let [first, made, next, guess] = keys;
    Needles::of(&[("API key", first), ("second key", made), ("third key", next), ("guess", guess)])
}

/// The same story with a witness beside Alipay's own component: whatever crossed into an instance is in the memory that
/// it leaves behind.
#[tokio::test]
async fn the_whole_memory_of_alipays_own_component_holds_no_secret_byte() {
    let (witness, folder) = (Witness::default(), stage::folder(&["alipay"]));
    let plugins = Some(folder.path().to_owned());
    let setup = Setup { plugins, witness: Some(witness.clone()), ..Setup::default() };
    let world = World::with(setup).await;
    let mut answers = Answers::default();
    for which in ["account", "certificate_account"] {
        let credentials = world.credentials(which);
        let secrets = of_private_key(text(&credentials["secrets"], "app-private-key"));
        let needles = Needles::of(&secrets);
        witness.take();
        let account = answers.post(&world, "/v1/accounts", &credentials.to_string()).await;
        let payment = live_through(&world, &account, &mut answers).await;
        wrong_messages(&world, &account, &payment, &mut answers).await;
        world.idle().await;
        let memories = witness.take();
        assert!(memories.len() >= 20, "{} calls were seen", memories.len());
        for wanted in [text(&payment, "reference"), "alipay.trade.refund", "TRADE_SUCCESS"] {
            let has = |memory: &Vec<u8>| {
                memory.windows(wanted.len()).any(|window| window == wanted.as_bytes())
            };
            assert!(memories.iter().any(has), "{wanted} crossed, and is in no memory");
        }
        for memory in &memories {
            needles.absent("the memory of Alipay's component", memory);
        }
    }
}

/// Pay, return, notification, query, refund, bill.
async fn live_through(world: &World, account: &Value, answers: &mut Answers) -> Value {
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let choice = json!({ "account_id": account["id"], "method": "page" }).to_string();
    let payment = answers.post(world, &path, &choice).await;
    let paid = world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    let back = world.comes_back(&paid).await;
    answers.0.push(("the return".into(), format!("{:?} {}", back.headers, back.text)));
    let id = text(&payment, "id").to_owned();
    answers.post(world, &format!("/v1/payments/{id}/sync"), "{}").await;
    let refund =
        json!({ "payment_id": id, "number": tollgate_tests::shop::number("R"), "amount": 250 })
            .to_string();
    answers.post(world, "/v1/refunds", &refund).await;
    world.order_until(&payment, "partially_refunded").await;
    let day = world.today().await;
    let bill = json!({ "account_id": account["id"], "period": day }).to_string();
    answers.post(world, "/v1/bills", &bill).await;
    answers.post(world, "/v1/reconciliations", &bill).await;
    payment
}

/// Forged and broken messages, and requests that no flow takes.
async fn wrong_messages(world: &World, account: &Value, payment: &Value, answers: &mut Answers) {
    for kind in ["forge", "unsigned", "wrong_amount"] {
        world.notify(payment, kind).await;
    }
    let notify = text(account, "notify_url");
    for body in ["", "sign=AAAA&sign_type=RSA2", "a=%zz"] {
        let reply = world.post_form(notify, "application/x-www-form-urlencoded", body).await;
        answers.0.push((format!("POST {notify}"), reply.text));
    }
    let id = text(payment, "id");
    answers.post(world, &format!("/v1/payments/{id}/client-result"), r#"{"result":"{}"}"#).await;
    answers
        .post(
            world,
            "/v1/refunds",
            &json!({ "payment_id": id, "number": tollgate_tests::shop::number("R"), "amount": 99999 }).to_string(),
        )
        .await;
    answers.post(world, "/v1/orders", "{").await;
}

async fn read_everything(world: &World, answers: &mut Answers) {
    for path in [
        "/v1/accounts",
        "/v1/orders",
        "/v1/refunds",
        "/v1/plugins",
        "/v1/bills",
        "/v1/reconciliations",
        "/v1/events?limit=100",
        "/v1/keys",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/v1/nothing",
    ] {
        let list = answers.get(world, path).await;
        for row in list["data"].as_array().into_iter().flatten() {
            if let Some(id) = row["id"].as_str().filter(|id| id.contains('_')) {
                let path = path.split('?').next().unwrap_or_default();
                answers.get(world, &format!("{path}/{id}")).await;
            }
            if let Some(cashier) = row["cashier_url"].as_str() {
                let place = cashier.strip_prefix(&world.url).unwrap().to_owned();
                answers.get(world, &place).await;
            }
        }
    }
}
