//! What the provider does, and what a test reads in its books.

use serde_json::{Value, json};

use crate::reply::text;
use crate::{Reply, World, until};

impl World {
    /// The provider's notifications get lost from now on; those that a test sends itself do not.
    pub async fn lose_notifications(&self) {
        self.control("settings", json!({ "notifications": "lose" })).await;
    }

    /// The provider sends a notification now, honest or bent, and tells what it heard.
    pub async fn notify(&self, payment: &Value, kind: &str) -> Value {
        self.notify_with(payment, kind, json!({})).await
    }

    /// The same, with more to it: `value`, `set`, `remove`, `times`, `parallel`.
    pub async fn notify_with(&self, payment: &Value, kind: &str, more: Value) -> Value {
        let mut order = json!({ "reference": payment["reference"], "kind": kind });
        for (name, value) in more.as_object().into_iter().flatten() {
            order[name] = value.clone();
        }
        self.control("notifications", order).await
    }

    /// What a notification would look like: address, content type and form, not sent.
    pub async fn draft(&self, payment: &Value, kind: &str) -> Value {
        let order = json!({ "reference": payment["reference"], "kind": kind });
        self.control("notifications?dry_run=true", order).await
    }

    /// Somebody sends what a draft says, as it says, and hears this.
    pub async fn deliver(&self, draft: &Value) -> Reply {
        let mut request = self.client.post(text(draft, "url"));
        for header in draft["headers"].as_array().unwrap() {
            let [name, value] = [&header[0], &header[1]].map(|part| part.as_str().unwrap());
            request = request.header(name, value);
        }
        let request = request.body(text(draft, "message").to_owned());
        Reply::of(request.send().await.unwrap()).await
    }

    /// Somebody posts these bytes to a provider's address of ours.
    pub async fn post_form(&self, url: &str, content_type: &str, body: &str) -> Reply {
        let request = self.client.post(url).header("content-type", content_type);
        Reply::of(request.body(body.to_owned()).send().await.unwrap()).await
    }

    /// How often the provider was called by this name (`query`, `refund`…) about a payment.
    pub async fn calls(&self, payment: &Value, name: &str) -> u64 {
        let reference = text(payment, "reference");
        let counts = self.simulated(&format!("calls?reference={reference}")).await;
        // Alipay has an address for all and a name for each: the count is by its name.
        let own = format!("alipay.trade.{name}");
        counts.get(name).or(counts.get(&own)).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A trade in the provider's books.
    pub async fn trade(&self, payment: &Value) -> Value {
        self.simulated(&format!("trades/{}", text(payment, "reference"))).await
    }

    /// Waits until every notification of a payment has been acknowledged.
    pub async fn acknowledged(&self, payment: &Value) {
        let path = format!("notifications?reference={}", text(payment, "reference"));
        until("notifications acknowledged", async || {
            let log = self.simulated(&path).await;
            let all = log["notifications"].as_array().unwrap().clone();
            let done = !all.is_empty() && all.iter().all(|one| one["state"] == "acknowledged");
            done.then_some(())
        })
        .await;
    }

    /// Today where the provider's days begin, which is the day of bills.
    pub async fn today(&self) -> String {
        text(&self.simulated("settings").await, "today").to_owned()
    }

    /// The provider lives at noon in its zone so many days ago from now on, and its clock goes on from there: the bill of
    /// its day is complete by our clock. Gives that day.
    pub async fn days_ago(&self, days: i64) -> String {
        const DAY_S: i64 = 86_400;
        let zone_s = self.simulated("settings").await["zone_hours"].as_i64().unwrap() * 3_600;
        let now_s = self.simulator.clock().of_books().as_second();
        let midnight_s = (now_s + zone_s).div_euclid(DAY_S) * DAY_S - zone_s;
        let noon_s = midnight_s + DAY_S / 2 - days * DAY_S;
        self.simulator.clock().move_books((noon_s - now_s) * 1_000);
        self.today().await
    }
}
