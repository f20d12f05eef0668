//! What a payer does with what the gateway hands him: a browser that posts or follows, a phone that scans, an app.

use serde_json::{Value, json};

use crate::reply::text;
use crate::{Reply, World};

impl World {
    /// The payer goes where the payment sends him. From now on the provider has the trade.
    pub async fn payer_opens(&self, payment: &Value) -> Reply {
        let action = &payment["action"];
        let request = match text(action, "kind") {
            "post_form" => {
                let fields: Vec<(String, String)> =
                    serde_json::from_value(action["fields"].clone()).unwrap();
                self.client.post(text(action, "url")).form(&fields)
            }
            "redirect" => self.client.get(text(action, "url")),
            "qr_code" => self.client.get(text(action, "content")),
            "client_parameters" => return self.app(payment, "open").await,
            other => panic!("a payer cannot do {other}"),
        };
        Reply::of(request.send().await.unwrap()).await
    }

    /// The payer goes there and pays. What comes back has `return_to`, where the provider sends his browser: nobody
    /// has gone there yet.
    pub async fn payer_pays(&self, payment: &Value) -> Value {
        if payment["action"]["kind"] == "client_parameters" {
            return self.app(payment, "pay").await.json;
        }
        // A code that only the provider's own app understands is scanned by nobody here: he pays there.
        let scanned = payment["action"]["kind"] == "qr_code"
            && !text(&payment["action"], "content").starts_with("http");
        if !scanned {
            let page = self.payer_opens(payment).await;
            assert_eq!(page.status, 200, "{}", page.text);
        }
        self.act(payment, "pay").await
    }

    /// The payer's app, or the provider's client library in it: `pay`, `cancel`, `open`, `unknown`. A provider whose client library
    /// answers the app has this address in its box; `body` is what the gateway handed over.
    pub async fn app(&self, payment: &Value, act: &str) -> Reply {
        let url = format!("{}/{}/app/pay?act={act}", self.simulator.url, self.provider());
        let parameters = text(&payment["action"], "content").to_owned();
        Reply::of(self.client.post(url).body(parameters).send().await.unwrap()).await
    }

    /// The payer or the provider acts on the trade itself: `open`, `pay`, `cancel`, `close`, `finish`.
    pub async fn act(&self, payment: &Value, act: &str) -> Value {
        self.control(&format!("trades/{}/{act}", text(payment, "reference")), json!({})).await
    }

    /// The payer's browser goes where the provider sends it, or posts the form there that it was given.
    pub async fn comes_back(&self, paid: &Value) -> Reply {
        let url = text(paid, "return_to");
        let request = match serde_json::from_value(paid["return_form"].clone()).unwrap() {
            None => self.client.get(url),
            Some::<Vec<(String, String)>>(fields) => self.client.post(url).form(&fields),
        };
        Reply::of(request.send().await.unwrap()).await
    }
}
