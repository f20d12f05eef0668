//! What the demo does at the simulated provider beside paying: things going wrong there. A real shop has no such power.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use reqwest::Client;
use serde_json::{Value, json};
use url::Url;

/// One provider at the simulator: what it is, and its control verbs.
pub struct Provider {
    client: Client,
    /// Where the payer pays.
    pub url: Url,
    /// The plugin that speaks with it.
    pub plugin: String,
    /// The body for `POST /v1/accounts`.
    pub account: Value,
    /// The currency that it takes, ISO 4217, and its decimals.
    pub currency: (String, u32),
    /// Whether it is told once, for the account, where to notify.
    register_notify_url: bool,
    zone: TimeZone,
}

impl Provider {
    /// Talks to a provider at the simulator's URL, as the simulator named it when it got ready.
    pub fn new(url: Url, named: &Value) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
        let text = |name: &str| {
            let text = named[name].as_str().map(str::to_owned);
            text.with_context(|| format!("a provider without its {name}"))
        };
        let number = |name: &str| {
            let number = named[name].as_i64();
            number.with_context(|| format!("a provider without its {name}"))
        };
        let zone = Offset::from_hours(i8::try_from(number("zone_hours")?)?)?;
        Ok(Self {
            client,
            url,
            plugin: text("plugin")?,
            account: named["account"].clone(),
            currency: (text("currency")?, u32::try_from(number("exponent")?)?),
            register_notify_url: named["register_notify_url"] == true,
            zone: TimeZone::fixed(zone),
        })
    }

    /// Today where its days begin: the day of its bill.
    pub fn today(&self) -> String {
        Timestamp::now().to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string()
    }

    /// The operator sets in the provider's dashboard where to notify, where that is set there.
    pub async fn register(&self, account: &Value) -> anyhow::Result<()> {
        if !self.register_notify_url {
            return Ok(());
        }
        self.control("special/endpoint", &json!({ "url": account["notify_url"] })).await
    }

    /// The payer takes his phone, scans the code, and pays.
    pub async fn scanned_and_paid(&self, reference: &str) -> anyhow::Result<()> {
        self.control(&format!("trades/{reference}/pay"), &json!({})).await
    }

    /// From now on notifications get lost on their way, or arrive again. What was lost stays lost.
    pub async fn lose_notifications(&self, lose: bool) -> anyhow::Result<()> {
        let mode = if lose { "lose" } else { "send" };
        self.control("settings", &json!({ "notifications": mode })).await
    }

    /// Makes the bill tell another amount for a payment than what was paid.
    pub async fn falsify_bill(&self, reference: &str, amount: &str) -> anyhow::Result<()> {
        let edit = json!({ "op": "change_amount", "reference": reference, "value": amount });
        self.control("bill-edits", &edit).await
    }

    async fn control(&self, path: &str, body: &Value) -> anyhow::Result<()> {
        let path = format!("control/{}/{path}", self.plugin);
        let response = self.client.post(self.url.join(&path)?).json(body).send().await?;
        let status = response.status();
        if !status.is_success() {
            bail!("{path} answers {status}: {}", response.text().await?);
        }
        Ok(())
    }
}
