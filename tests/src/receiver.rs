//! A shop's own receiver of webhooks: keeps what it is sent, answers as it is told, and checks signatures with code of
//! its own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::reply::text;
use crate::{World, until};

/// What it answers: a status, headers and a body.
pub type Answer = (u16, Vec<(&'static str, String)>, String);

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// The header `webhook-id`.
    pub id: String,
    /// The header `webhook-timestamp`.
    pub timestamp: String,
    /// The parts of the header `webhook-signature`.
    pub signatures: Vec<String>,
    /// The raw body.
    pub body: String,
}

impl Message {
    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// How many of its signatures are of this secret.
    pub fn signed_with(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let valid = |signature: &&String| {
            let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
            hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
        };
        self.signatures.iter().filter(valid).count()
    }
}

#[derive(Default)]
struct Script {
    got: Vec<Message>,
    answers: VecDeque<Answer>,
}

/// A receiver on this machine.
pub struct Receiver {
    /// Where it is.
    pub url: String,
    script: Arc<Mutex<Script>>,
}

impl Receiver {
    /// Starts one that says yes to everything.
    pub async fn start() -> Receiver {
        let script = Arc::new(Mutex::new(Script::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        let routes = Router::new().route("/hooks", post(receive)).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Receiver { url, script }
    }

    /// What it answers next, one after another; then it says yes again.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.script.lock().unwrap().answers.extend(answers);
    }

    /// Every message so far.
    pub fn got(&self) -> Vec<Message> {
        self.script.lock().unwrap().got.clone()
    }

    /// Waits for so many messages.
    pub async fn got_until(&self, count: usize) -> Vec<Message> {
        let what = format!("{count} messages");
        until(&what, async || Some(self.got()).filter(|got| got.len() >= count)).await
    }
}

async fn receive(
    State(script): State<Arc<Mutex<Script>>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap, String) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let signatures = header("webhook-signature").split(' ').map(str::to_owned).collect();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut script = script.lock().unwrap();
    script.got.push(Message { id, timestamp, signatures, body });
    let (status, given, text) =
        script.answers.pop_front().unwrap_or((200, Vec::new(), String::new()));
    let mut answer = HeaderMap::new();
    for (name, value) in given {
        answer.insert(name, value.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), answer, text)
}

impl World {
    /// Makes a webhook endpoint that hears of these kinds.
    pub async fn endpoint(&self, url: &str, kinds: &[&str]) -> Value {
        let body = serde_json::json!({ "url": url, "kinds": kinds });
        self.post("/v1/webhook-endpoints", body).await.ok()
    }

    /// An endpoint's deliveries, newest first.
    pub async fn deliveries(&self, endpoint: &Value) -> Vec<Value> {
        let path = format!("/v1/deliveries?limit=100&endpoint_id={}", text(endpoint, "id"));
        self.get(&path).await.ok()["data"].as_array().unwrap().clone()
    }

    /// Waits until every delivery of an endpoint has been tried so often, or is no longer pending.
    pub async fn deliveries_until(&self, endpoint: &Value, attempts: u64) -> Vec<Value> {
        until("deliveries tried", async || {
            let now = self.deliveries(endpoint).await;
            let tried = |one: &Value| {
                one["state"] != "pending" || one["attempts"].as_u64() >= Some(attempts)
            };
            (!now.is_empty() && now.iter().all(tried)).then_some(now)
        })
        .await
    }

    /// The time of every delivery's next try has come.
    pub async fn try_again(&self) {
        self.write(
            "UPDATE deliveries SET next_at = 0; UPDATE webhook_endpoints SET paused_until = 0",
        )
        .await;
        self.idle().await;
        self.make_due("deliver").await;
    }
}
