//! What a shop does at the gateway.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::reply::text;
use crate::{Reply, World, until};

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A number that nothing else in this process has.
pub fn number(prefix: &str) -> String {
    format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Where the payer of a method is.
pub fn surface(method: &str) -> &'static str {
    match method {
        "wap" | "h5" => "phone",
        "app" => "app",
        "jsapi" => "in-app-browser",
        _ => "desktop",
    }
}

impl World {
    /// An order of so many minor units of the provider's currency: fen, cents.
    pub async fn order(&self, amount: i64) -> Value {
        let body = json!({
            "number": number("A"), "amount": amount, "currency": self.credentials("currency"),
            "subject": "Green tea",
        });
        self.post("/v1/orders", body).await.ok()
    }

    /// Starts to pay an order.
    pub async fn try_pay(&self, order: &Value, method: &str) -> Reply {
        let path = format!("/v1/orders/{}/payments", text(order, "id"));
        self.post(&path, json!({ "method": method, "surface": surface(method) })).await
    }

    /// Starts to pay an order, which works.
    pub async fn pay(&self, order: &Value, method: &str) -> Value {
        self.try_pay(order, method).await.ok()
    }

    /// Account, order and payment at once, for tests that are about what comes after.
    pub async fn started(&self, amount: i64, method: &str) -> Value {
        self.account().await;
        let order = self.order(amount).await;
        self.pay(&order, method).await
    }

    /// A payment that was paid, notified and confirmed.
    pub async fn paid(&self, amount: i64) -> Value {
        let payment = self.started(amount, "page").await;
        self.payer_pays(&payment).await;
        self.payment_until(&payment, "succeeded").await
    }

    /// A payment as the gateway knows it now.
    pub async fn payment(&self, payment: &Value) -> Value {
        self.get(&format!("/v1/payments/{}", text(payment, "id"))).await.ok()
    }

    /// The order of a payment, or an order, as the gateway knows it now.
    pub async fn order_of(&self, what: &Value) -> Value {
        let id = what["order_id"].as_str().unwrap_or_else(|| text(what, "id"));
        self.get(&format!("/v1/orders/{id}")).await.ok()
    }

    /// A refund as the gateway knows it now.
    pub async fn refund_now(&self, refund: &Value) -> Value {
        self.get(&format!("/v1/refunds/{}", text(refund, "id"))).await.ok()
    }

    /// Waits for a payment's state.
    pub async fn payment_until(&self, payment: &Value, state: &str) -> Value {
        let what = format!("payment {state}");
        until(&what, async || Some(self.payment(payment).await).filter(|now| now["state"] == state))
            .await
    }

    /// Waits for an order's state.
    pub async fn order_until(&self, what: &Value, state: &str) -> Value {
        let wait = format!("order {state}");
        until(&wait, async || Some(self.order_of(what).await).filter(|now| now["state"] == state))
            .await
    }

    /// Waits for a refund's state.
    pub async fn refund_until(&self, refund: &Value, state: &str) -> Value {
        let what = format!("refund {state}");
        until(&what, async || {
            Some(self.refund_now(refund).await).filter(|now| now["state"] == state)
        })
        .await
    }

    /// Asks for so much of a payment back.
    pub async fn refund(&self, payment: &Value, number: &str, amount: i64) -> Reply {
        let body = json!({ "payment_id": payment["id"], "number": number, "amount": amount });
        self.post("/v1/refunds", body).await
    }

    /// Has the provider asked about a payment now.
    pub async fn sync(&self, payment: &Value) -> Reply {
        self.post(&format!("/v1/payments/{}/sync", text(payment, "id")), json!({})).await
    }

    /// Ends an order.
    pub async fn close(&self, order: &Value) -> Reply {
        self.post(&format!("/v1/orders/{}/close", text(order, "id")), json!({})).await
    }

    /// The kinds of an order's events, in order. Their sequence is checked on the way.
    pub async fn events(&self, what: &Value) -> Vec<String> {
        let id = what["order_id"].as_str().unwrap_or_else(|| text(what, "id"));
        let list = self.get(&format!("/v1/events?order_id={id}&limit=100")).await.ok();
        let events = list["data"].as_array().unwrap();
        let sequences: Vec<_> =
            events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>(), "{list}");
        events.iter().map(|event| text(event, "kind").to_owned()).collect()
    }

    /// Reconciles an account's day, and waits until that is done.
    pub async fn reconcile(&self, account: &Value, day: &str) -> Value {
        let body = json!({ "account_id": account["id"], "period": day });
        let made = self.post("/v1/reconciliations", body).await.ok();
        let path = format!("/v1/reconciliations/{}", text(&made, "id"));
        until("reconciliation done", async || {
            let now = self.get(&path).await.ok();
            (now["state"] != "waiting_for_bill").then_some(now)
        })
        .await
    }

    /// The differences that a reconciliation found.
    pub async fn discrepancies(&self, reconciliation: &Value) -> Vec<Value> {
        let id = text(reconciliation, "id");
        let list =
            self.get(&format!("/v1/reconciliations/{id}/discrepancies?limit=100")).await.ok();
        list["data"].as_array().unwrap().clone()
    }
}
