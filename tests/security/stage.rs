//! A world with chosen plugins, and a provider for them that writes down what it is sent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_plugin::{Limits, Registry, RegistryConfig};
use tollgate_tests::world::{Setup, World};
use tollgate_tests::{place, reply};

/// A world whose gateway has these plugins: a provider's own, or one of the components that misbehave.
pub async fn world(plugins: &[&str]) -> (World, TempDir) {
    let folder = folder(plugins);
    let setup = Setup { plugins: Some(folder.path().to_owned()), ..Setup::default() };
    (World::with(setup).await, folder)
}

/// A folder with these plugins.
pub fn folder(plugins: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in plugins {
        let file = format!("{id}.wasm");
        std::fs::copy(built(id), folder.path().join(file)).unwrap();
    }
    folder
}

/// A component as it was built.
pub fn built(id: &str) -> PathBuf {
    let folder = match id {
        "alipay" | "unionpay" => place::plugins(),
        _ => place::test_plugins(),
    };
    folder.join(format!("{id}.wasm"))
}

/// A registry of these plugins without a gateway.
pub fn registry(plugins: &[&str]) -> Registry {
    let folder = folder(plugins);
    Registry::open(RegistryConfig {
        folder: folder.path().to_owned(),
        cache: place::shared("compiled"),
        limits: Limits::default(),
        compiler: None,
        concurrency: 2,
    })
    .unwrap()
}

/// Signs the merchant up at a provider that is one of our components.
pub async fn account(world: &World, plugin: &str, gateway: &str, secrets: Value) -> Value {
    let body = json!({
        "plugin": plugin, "name": plugin, "live": false, "simulator": true,
        "secrets": secrets, "origins": { "gateway": gateway },
    });
    world.post("/v1/accounts", body).await.ok()
}

/// Starts to pay a new order through an account.
pub async fn pay(world: &World, account: &Value, method: &str) -> Value {
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", reply::text(&order, "id"));
    let body = json!({ "account_id": account["id"], "method": method });
    world.post(&path, body).await.ok()
}

/// A provider that answers every request with what it was sent, and remembers it.
pub struct Echo {
    /// Where it is.
    pub url: String,
    heard: Heard,
    server: tokio::task::JoinHandle<()>,
}

type Heard = Arc<Mutex<Vec<String>>>;

impl Echo {
    /// Starts it on a free port.
    pub async fn start() -> Echo {
        let heard = Heard::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(heard.clone());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Echo { url, heard, server }
    }

    /// Every request so far, its headers and body included.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(heard): State<Heard>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (HeaderMap, String) {
    let request = format!("{method} {uri} {headers:?} {}", String::from_utf8_lossy(&body));
    heard.lock().unwrap().push(request.clone());
    let mut reflected = HeaderMap::new();
    if let Some(secret) = headers.get("authorization") {
        reflected.insert("x-reflected", secret.clone());
    }
    (reflected, request)
}
