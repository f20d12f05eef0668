//! A merchant: signs by hand what the simulator must verify, and a shop that hears notifications.
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_simulator::{Config, Simulator};

pub const APP: &str = "9021000122682882";

/// The simulator, and a merchant that holds the keys of its ready line.
pub struct Merchant {
    pub simulator: Simulator,
    pub client: reqwest::Client,
    pub gateway: String,
    key: RsaKeyPair,
    provider: Vec<u8>,
}

/// A signed reply, taken apart by hand.
pub struct Reply {
    pub raw: String,
    pub member: String,
    pub json: Value,
    pub sign: Option<String>,
}

impl Merchant {
    pub async fn new() -> Merchant {
        Merchant::with(Config { seed: Some(7), time_scale: 10_000, ..Config::default() }).await
    }

    pub async fn with(config: Config) -> Merchant {
        let simulator = Simulator::start(config).await.unwrap();
        let ready: Value = serde_json::from_str(&simulator.ready_line()).unwrap();
        let account = &ready["providers"][0]["account"];
        let secret = |name: &str| STANDARD.decode(account["secrets"][name].as_str().unwrap());
        let key = RsaKeyPair::from_pkcs8(&secret("app-private-key").unwrap()).unwrap();
        let gateway = account["origins"]["gateway"].as_str().unwrap().to_owned();
        Merchant {
            provider: secret("alipay-public-key").unwrap(),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build()
                .unwrap(),
            gateway,
            key,
            simulator,
        }
    }

    pub fn sign(&self, text: &str) -> String {
        let mut bytes = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut bytes)
            .unwrap();
        STANDARD.encode(bytes)
    }

    pub fn provider_signed(&self, text: &[u8], sign: &str) -> bool {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.provider);
        key.verify(text, &STANDARD.decode(sign).unwrap()).is_ok()
    }

    /// Parameters of a call, signed; `extra` come on top.
    pub fn params(
        &self,
        method: &str,
        biz: &Value,
        extra: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let biz = biz.to_string();
        let mut params = vec![
            ("app_id", APP),
            ("biz_content", biz.as_str()),
            ("charset", "utf-8"),
            ("format", "JSON"),
            ("method", method),
            ("sign_type", "RSA2"),
            ("timestamp", "2026-11-22 10:00:00"),
            ("version", "1.0"),
        ];
        params.extend_from_slice(extra);
        params.sort_unstable();
        let text: Vec<String> =
            params.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let sign = self.sign(&text.join("&"));
        params.push(("sign", &sign));
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub async fn post(&self, params: &[(String, String)]) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/gateway.do?charset=utf-8", self.gateway);
        let form: Vec<_> = params.iter().filter(|(name, _)| name != "charset").collect();
        self.client.post(url).form(&form).send().await
    }

    pub async fn call(&self, method: &str, biz: Value) -> Reply {
        Reply::read(self.post(&self.params(method, &biz, &[])).await.unwrap().text().await.unwrap())
    }

    /// A call whose reply must be signed.
    pub async fn ask(&self, method: &str, biz: Value) -> Value {
        let reply = self.call(method, biz).await;
        let sign = reply.sign.as_ref().unwrap_or_else(|| panic!("unsigned: {}", reply.raw));
        assert!(self.provider_signed(reply.member.as_bytes(), sign), "{}", reply.raw);
        reply.json
    }

    pub async fn query(&self, reference: &str) -> Value {
        self.ask("alipay.trade.query", json!({ "out_trade_no": reference })).await
    }

    /// Opens a page payment as the payer's browser would; gives the page.
    pub async fn page_pay(&self, reference: &str, yuan: &str, shop: Option<&Shop>) -> String {
        let biz = json!({
            "out_trade_no": reference, "total_amount": yuan, "subject": "Tea <b> 茶 +1%",
            "product_code": "FAST_INSTANT_TRADE_PAY",
        });
        let notify = shop.map(|shop| shop.url.clone());
        let mut extra = vec![("return_url", "http://127.0.0.1:9/return/x")];
        if let Some(url) = &notify {
            extra.push(("notify_url", url));
        }
        let response =
            self.post(&self.params("alipay.trade.page.pay", &biz, &extra)).await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    pub async fn pay(&self, reference: &str) -> Value {
        self.control_post(&format!("trades/{reference}/pay"), json!({})).await
    }

    pub async fn paid(&self, reference: &str, yuan: &str, shop: Option<&Shop>) -> Value {
        self.page_pay(reference, yuan, shop).await;
        self.pay(reference).await
    }

    pub async fn control_get(&self, path: &str) -> Value {
        let url = format!("{}/control/alipay/{path}", self.simulator.url);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    pub async fn control_post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/control/alipay/{path}", self.simulator.url);
        let response = self.client.post(url).json(&body).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() }
    }

    pub async fn fault(&self, rule: Value) {
        self.control_post("faults", rule).await;
    }
}

impl Reply {
    /// Takes the member between the first colon and what follows it, by counting braces.
    pub fn read(raw: String) -> Reply {
        let start = raw.find(":{").unwrap() + 1;
        let (mut depth, mut quoted, mut escaped, mut end) = (0, false, false, start);
        for (index, byte) in raw.bytes().enumerate().skip(start) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' if !quoted => depth += 1,
                b'}' if !quoted => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = index + 1;
                break;
            }
        }
        let member = raw[start..end].to_owned();
        let whole: Value = serde_json::from_str(&raw).unwrap();
        Reply {
            json: serde_json::from_str(&member).unwrap(),
            sign: whole["sign"].as_str().map(str::to_owned),
            member,
            raw,
        }
    }
}

/// Header and body of a notification.
pub type Heard = (String, String);

/// A shop that hears notifications and answers with what it is told to.
#[derive(Clone)]
pub struct Shop {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<Vec<&'static str>>>,
}

impl Shop {
    /// The answers in order; `success` when they run out.
    pub async fn answering(answers: &[&'static str]) -> Shop {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        let answers = answers.iter().rev().copied().collect();
        let shop = Shop { url, heard: Arc::default(), answers: Arc::new(Mutex::new(answers)) };
        let ear = shop.clone();
        let routes = Router::new().route(
            "/notify",
            post(move |headers: HeaderMap, body: String| async move {
                let kind = headers["content-type"].to_str().unwrap().to_owned();
                ear.heard.lock().unwrap().push((kind, body));
                ear.answers.lock().unwrap().pop().unwrap_or("success")
            }),
        );
        tokio::spawn(async move { axum::serve(listener, routes).await });
        shop
    }

    /// Waits until `count` notifications came.
    pub async fn heard(&self, count: usize) -> Vec<Heard> {
        for _ in 0..500 {
            let heard = self.heard.lock().unwrap().clone();
            if heard.len() >= count {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("fewer than {count} notifications came");
    }

    pub fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

/// A form's fields, decoded by another reader than the simulator's.
pub fn form(body: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

pub fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    let found = fields.iter().find(|(known, _)| known == name);
    found.map_or("", |(_, value)| value.as_str())
}

/// Sorted `name=value` without `dropped` names and empty values.
pub fn text_without(fields: &[(String, String)], dropped: &[&str]) -> String {
    let mut kept: Vec<String> = fields
        .iter()
        .filter(|(name, value)| !dropped.contains(&name.as_str()) && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    kept.sort_unstable();
    kept.join("&")
}
