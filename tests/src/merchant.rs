//! What an operator does for merchants, and requests with another key or an idempotency key.

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;
use tollgate::flows::merchants::{self, Added, Change, NewMerchant};

use crate::{Reply, World};

impl World {
    /// A second merchant, as an operator makes it.
    pub async fn add_merchant(&self) -> Added {
        let gateway = self.gateway.as_ref().unwrap().gateway();
        let new = NewMerchant { name: "another".to_owned(), demands_keys: false };
        merchants::add(&gateway.store, &gateway.chance, new).await.unwrap()
    }

    /// A second merchant's key.
    pub async fn another_merchant(&self) -> String {
        self.add_merchant().await.secret.expose_secret().to_owned()
    }

    /// Whether the first merchant's requests need an idempotency key from now on.
    pub async fn demand_keys(&self, demands: bool) {
        let running = self.gateway.as_ref().unwrap();
        let change = Change { demands_keys: Some(demands), ..Change::default() };
        merchants::set(&running.gateway().store, running.merchant_id, change).await.unwrap();
    }

    /// A request with somebody's key and more headers; a body of null is none.
    pub async fn ask(
        &self,
        (method, path): (&str, &str),
        key: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Reply {
        if body.is_null() {
            return self.ask_with((method, path), key, headers, "").await;
        }
        let json = [headers, &[("content-type", "application/json")]].concat();
        self.ask_with((method, path), key, &json, &body.to_string()).await
    }

    /// A request with somebody's key, more headers and a body that may be no JSON at all.
    pub async fn ask_with(
        &self,
        (method, path): (&str, &str),
        key: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        request = request.bearer_auth(key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.body(body.to_owned());
        }
        Reply::of(request.send().await.unwrap()).await
    }

    /// A POST under an idempotency key.
    pub async fn post_once(&self, path: &str, once: &str, body: &Value) -> Reply {
        self.ask(("POST", path), &self.key, &[("idempotency-key", once)], body).await
    }
}
