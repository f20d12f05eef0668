//! A provider that says what its test has it say, through the component `puppet`: for reversals, disputes and lies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tollgate_sdk::form::{Form, encode};

use crate::reply::text;
use crate::{Reply, Setup, World, place};

const WORD: &str = "the word that messages are signed with";

/// What the provider answers to each call, and what it was asked.
#[derive(Default)]
struct Script {
    answers: HashMap<String, String>,
    /// What holds answers back that are ready.
    held: HashMap<String, Arc<Notify>>,
    asked: Vec<(String, String)>,
}

/// A gateway whose only provider is the puppet.
pub struct Puppet {
    /// The gateway.
    pub world: World,
    /// The merchant's account.
    pub account: Value,
    script: Arc<Mutex<Script>>,
    server: tokio::task::JoinHandle<()>,
    _plugins: TempDir,
}

impl Puppet {
    /// Starts both, and signs the merchant up. The provider knows of no payment yet.
    pub async fn start() -> Puppet {
        Puppet::with(Setup::default(), json!({})).await
    }

    /// The same in a gateway that differs, and with more keys.
    pub async fn with(setup: Setup, keys: Value) -> Puppet {
        let plugins = tempfile::tempdir().unwrap();
        let built = place::test_plugins().join("puppet.wasm");
        std::fs::copy(built, plugins.path().join("puppet.wasm")).unwrap();
        let setup = Setup { plugins: Some(plugins.path().to_owned()), ..setup };
        let world = World::with(setup).await;
        let script = Arc::<Mutex<Script>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(script.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let mut keys = keys;
        keys["word"] = json!(WORD);
        let body = json!({
            "plugin": "puppet", "name": "puppet", "live": false, "simulator": true,
            "secrets": keys, "origins": { "gateway": url },
        });
        let account = world.post("/v1/accounts", body).await.ok();
        let puppet = Puppet { world, account, script, server, _plugins: plugins };
        puppet.answers("pay", "status=pending");
        puppet.answers("query-payment", "status=pending");
        puppet.answers("close", "status=closed");
        puppet
    }

    /// From now on the provider answers this to `pay`, `query-payment`, `close`, `refund`, `query-refund` or `bill`. What
    /// the form leaves out of references and amount is that of the request.
    pub fn answers(&self, call: &str, form: &str) {
        self.script.lock().unwrap().answers.insert(format!("/{call}"), form.to_owned());
    }

    /// The next answer to `call` is made when it is asked, and arrives once somebody notifies this.
    pub fn holds(&self, call: &str) -> Arc<Notify> {
        let gate = Arc::<Notify>::default();
        self.script.lock().unwrap().held.insert(format!("/{call}"), gate.clone());
        gate
    }

    /// How often it was asked this.
    pub fn asked(&self, call: &str) -> usize {
        let path = format!("/{call}");
        self.script.lock().unwrap().asked.iter().filter(|(asked, _)| *asked == path).count()
    }

    /// What it was last asked by this name.
    pub fn last(&self, call: &str) -> String {
        let path = format!("/{call}");
        let script = self.script.lock().unwrap();
        script.asked.iter().rev().find(|(asked, _)| *asked == path).unwrap().1.clone()
    }

    /// A payment of a new order that somebody may pay.
    pub async fn started(&self, amount: i64) -> Value {
        self.pay(&self.world.order(amount).await).await
    }

    /// A payment of an order that somebody may pay.
    pub async fn pay(&self, order: &Value) -> Value {
        self.world.pay(order, "page").await
    }

    /// A payment of a new order that is paid.
    pub async fn paid(&self, amount: i64) -> Value {
        let payment = self.started(amount).await;
        self.succeeds(&payment).await
    }

    /// The provider says of this payment, and of any other, that it is paid.
    pub async fn succeeds(&self, payment: &Value) -> Value {
        self.answers("query-payment", "status=succeeded");
        let paid = self.world.sync(payment).await.ok();
        assert_eq!(paid["state"], "succeeded", "{paid}");
        paid
    }

    /// The provider sends a signed message about a payment, and hears this.
    pub async fn says(&self, payment: &Value, form: &str) -> Reply {
        let body = format!("payment_ref={}&{form}", text(payment, "reference"));
        self.sends(&body, &signature(&body)).await
    }

    /// Somebody sends a message.
    pub async fn sends(&self, body: &str, signature: &str) -> Reply {
        let url = format!("{}?{signature}", text(&self.account, "notify_url"));
        self.world.post_form(&url, "application/x-www-form-urlencoded", body).await
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What a message is signed with.
pub fn signature(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, WORD.as_bytes());
    hex::encode(hmac::sign(&key, body.as_bytes()))
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, String) {
    let path = uri.path().to_owned();
    let (answer, gate) = {
        let mut script = script.lock().unwrap();
        (script.answer(&path, &body), script.held.remove(&path))
    };
    if let Some(gate) = gate {
        gate.notified().await;
    }
    answer
}

impl Script {
    fn answer(&mut self, path: &str, body: &[u8]) -> (StatusCode, String) {
        let asked = String::from_utf8_lossy(body).into_owned();
        self.asked.push((path.to_owned(), asked));
        let Some(said) = self.answers.get(path) else {
            return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
        };
        if path == "/bill" {
            return (StatusCode::OK, said.clone());
        }
        let (request, said) = (Form::parse(body).unwrap(), Form::parse(said.as_bytes()).unwrap());
        let mut fields: Vec<(&str, &str)> = said.pairs().collect();
        if path.ends_with("refund") && said.get("about").is_none() {
            fields.push(("about", "refund"));
        }
        fields.extend(request.pairs().filter(|(name, _)| said.get(name).is_none()));
        (StatusCode::OK, encode(fields))
    }
}
