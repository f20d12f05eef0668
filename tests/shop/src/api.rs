//! The gateway's API as a shop uses it: JSON over HTTP with a bearer key.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use url::Url;

/// How often something that is awaited is asked for.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// A gateway and the key of one of its merchants.
pub struct Gateway {
    client: Client,
    url: Url,
    key: String,
}

impl Gateway {
    /// Talks to the gateway at a URL.
    pub fn new(url: Url, key: String) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { client, url, key })
    }

    /// Reads one thing, or a page of a list.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.answer("GET", path, self.client.get(self.url.join(path)?)).await
    }

    /// Makes something.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.answer("POST", path, self.client.post(self.url.join(path)?).json(body)).await
    }

    /// The whole of a list, page by page.
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = self.url.join(path)?;
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let mut page = self.answer("GET", path, self.client.get(url)).await?;
            let data = page["data"].as_array_mut().context("a list without data")?;
            all.append(data);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// Reads something until it is as wanted.
    pub async fn wait(
        &self,
        path: &str,
        patience: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let began = Instant::now();
        loop {
            let found = self.get(path).await?;
            if wanted(&found) {
                return Ok(found);
            }
            if began.elapsed() > patience {
                bail!("{path} is still not as awaited after {patience:?}: {found}");
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn answer(
        &self,
        method: &str,
        path: &str,
        request: RequestBuilder,
    ) -> anyhow::Result<Value> {
        let response = request.bearer_auth(&self.key).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{method} {path} answers {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{method} {path} answers {text}"))
    }
}
