//! What the demo does at the simulated provider beside paying: things going wrong there. A real shop has no such power.

use std::time::Duration;

use anyhow::bail;
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

/// The simulator's control verbs.
pub struct Provider {
    client: Client,
    /// Where the payer pays.
    pub url: Url,
}

impl Provider {
    /// Talks to the simulator at a URL.
    pub fn new(url: Url) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { client, url })
    }

    /// From now on notifications get lost on their way, or arrive again. What was lost stays lost.
    pub async fn lose_notifications(&self, lose: bool) -> anyhow::Result<()> {
        let mode = if lose { "lose" } else { "send" };
        self.control("control/alipay/settings", &json!({ "notifications": mode })).await
    }

    /// Makes the bill tell another amount for a payment than what was paid.
    pub async fn falsify_bill(&self, reference: &str, amount: &str) -> anyhow::Result<()> {
        let edit = json!({ "op": "change_amount", "out_trade_no": reference, "value": amount });
        self.control("control/alipay/bill-edits", &edit).await
    }

    async fn control(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let response = self.client.post(self.url.join(path)?).json(body).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("{path} answers {status}: {}", response.text().await?);
        }
        Ok(())
    }
}
