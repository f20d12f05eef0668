//! Scripted faults of gateway calls, each seen from the merchant's side.
#![allow(clippy::unwrap_used)]
#[allow(dead_code)]
mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Merchant, Reply};

async fn refund(merchant: &Merchant, number: &str) -> reqwest::Result<reqwest::Response> {
    let biz = json!({ "out_trade_no": "A", "out_request_no": number, "refund_amount": "1.00" });
    merchant.post(&merchant.params("alipay.trade.refund", &biz, &[])).await
}

async fn refunded(merchant: &Merchant) -> Value {
    merchant.control_get("trades/A").await["refunded"].clone()
}

#[tokio::test]
async fn a_lost_reply_does_the_work_and_a_drop_does_not() {
    let merchant = Merchant::new().await;
    merchant.paid("A", "10.00", None).await;
    merchant.fault(json!({ "on": "refund", "verb": "drop" })).await;
    assert!(refund(&merchant, "N1").await.is_err());
    assert_eq!(refunded(&merchant).await, "0.00");
    merchant.fault(json!({ "on": "refund", "verb": "lose_reply" })).await;
    assert!(refund(&merchant, "N1").await.is_err());
    assert_eq!(refunded(&merchant).await, "1.00");
    let again = Reply::read(refund(&merchant, "N1").await.unwrap().text().await.unwrap());
    assert_eq!(again.json["fund_change"], "N");
}

#[tokio::test]
async fn system_errors_and_refusals_are_worded_as_the_provider_does() {
    let merchant = Merchant::new().await;
    merchant.paid("A", "10.00", None).await;
    let read = async |number| {
        Reply::read(refund(&merchant, number).await.unwrap().text().await.unwrap()).json
    };
    merchant.fault(json!({ "on": "refund", "verb": "system_error" })).await;
    assert_eq!(read("N1").await["code"], "20000");
    assert_eq!(refunded(&merchant).await, "0.00");
    merchant.fault(json!({ "on": "refund", "verb": "system_error", "value": "done" })).await;
    assert_eq!(read("N1").await["code"], "20000");
    assert_eq!(refunded(&merchant).await, "1.00");
    let rule =
        json!({ "on": "refund", "verb": "refuse", "value": "ACQ.SELLER_BALANCE_NOT_ENOUGH" });
    merchant.fault(rule).await;
    assert_eq!(read("N2").await["sub_code"], "ACQ.SELLER_BALANCE_NOT_ENOUGH");
}

#[tokio::test]
async fn replies_are_unsigned_badly_signed_or_no_replies_at_all() {
    let merchant = Merchant::new().await;
    merchant.paid("A", "10.00", None).await;
    let query = async || {
        let params = merchant.params("alipay.trade.query", &json!({ "out_trade_no": "A" }), &[]);
        merchant.post(&params).await.unwrap()
    };
    merchant.fault(json!({ "on": "query", "verb": "unsigned" })).await;
    assert!(Reply::read(query().await.text().await.unwrap()).sign.is_none());
    merchant.fault(json!({ "on": "query", "verb": "bad_signature" })).await;
    let reply = Reply::read(query().await.text().await.unwrap());
    assert!(!merchant.provider_signed(reply.member.as_bytes(), &reply.sign.unwrap()));
    merchant.fault(json!({ "on": "query", "verb": "error_500" })).await;
    assert_eq!(query().await.status(), 500);
    merchant.fault(json!({ "on": "query", "verb": "html" })).await;
    assert!(query().await.text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(merchant.query("A").await["trade_status"], "TRADE_SUCCESS");
}

#[tokio::test]
async fn lies_are_correctly_signed() {
    let merchant = Merchant::new().await;
    merchant.page_pay("A", "10.00", None).await;
    merchant.fault(json!({ "on": "query", "verb": "lie_status", "value": "TRADE_SUCCESS" })).await;
    assert_eq!(merchant.query("A").await["trade_status"], "TRADE_SUCCESS");
    assert_eq!(merchant.query("A").await["trade_status"], "WAIT_BUYER_PAY");
    merchant.fault(json!({ "on": "query", "verb": "wrong_amount" })).await;
    assert_eq!(merchant.query("A").await["total_amount"], "10.01");
    merchant.fault(json!({ "on": "query", "verb": "set", "set": { "trade_no": "1" } })).await;
    assert_eq!(merchant.query("A").await["trade_no"], "1");
}

#[tokio::test]
async fn a_delay_delays_and_counts_down() {
    let merchant = Merchant::new().await;
    merchant.page_pay("A", "10.00", None).await;
    merchant.fault(json!({ "on": "query", "verb": "delay", "ms": 300, "times": 1 })).await;
    let start = Instant::now();
    merchant.query("A").await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(merchant.control_get("faults").await["faults"], json!([]));
    assert_eq!(merchant.control_get("calls?reference=A").await["alipay.trade.query"], 1);
}

#[tokio::test]
async fn returns_are_bent_and_unknown_points_are_refused() {
    let merchant = Merchant::new().await;
    merchant.page_pay("A", "10.00", None).await;
    merchant.fault(json!({ "on": "return", "verb": "wrong_amount", "value": "0.01" })).await;
    let paid = merchant.pay("A").await;
    assert!(paid["return_to"].as_str().unwrap().contains("total_amount=0.01"));
    let url = format!("{}/control/alipay/faults", merchant.simulator.url);
    let rule = json!({ "on": "nowhere", "verb": "drop" });
    assert_eq!(merchant.client.post(url).json(&rule).send().await.unwrap().status(), 422);
}
