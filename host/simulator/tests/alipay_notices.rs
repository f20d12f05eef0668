//! Notifications: repeats, the log, the valve, and the bent ones.
#![allow(clippy::unwrap_used)]
#[allow(dead_code)]
mod support;

use serde_json::json;
use support::{Merchant, Shop, field, form, text_without};
use tollgate_simulator::Config;

#[tokio::test]
async fn a_notification_is_repeated_until_the_body_is_exactly_success() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&["fail", "success\n", "<success>"]).await;
    merchant.paid("N1", "1.00", Some(&shop)).await;
    let heard = shop.heard(4).await;
    assert!(heard.iter().all(|notice| notice == &heard[0]));
    for _ in 0..100 {
        let log = merchant.control_get("notifications?reference=N1").await;
        if log["notifications"][0]["state"] == "acknowledged" {
            let attempts = log["notifications"][0]["attempts"].as_array().unwrap();
            let bodies: Vec<_> = attempts.iter().map(|one| one["body"].as_str().unwrap()).collect();
            assert_eq!(bodies, ["fail", "success\n", "<success>", "success"]);
            assert_eq!(attempts[0]["status"], 200);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never acknowledged");
}

#[tokio::test]
async fn the_schedule_is_the_providers_and_gives_up_after_eight_sends() {
    let merchant = Merchant::with(Config::default()).await;
    let shop = Shop::answering(&["no"; 20]).await;
    merchant.paid("N2", "1.00", Some(&shop)).await;
    shop.heard(1).await;
    let clock = format!("{}/control/clock", merchant.simulator.url);
    for (index, minutes) in [4, 10, 10, 60, 120, 360, 900].into_iter().enumerate() {
        settle(&merchant, "due").await;
        let early = json!({ "advance_ms": minutes * 60_000 - 30_000 });
        merchant.client.post(&clock).json(&early).send().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        assert_eq!(shop.count(), index + 1, "sent before {minutes} minutes were over");
        let rest = json!({ "advance_ms": 30_000 });
        merchant.client.post(&clock).json(&rest).send().await.unwrap();
        shop.heard(index + 2).await;
    }
    settle(&merchant, "gave_up").await;
}

async fn settle(merchant: &Merchant, state: &str) {
    for _ in 0..200 {
        let log = merchant.control_get("notifications").await;
        if log["notifications"][0]["state"] == state {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the delivery never became {state}");
}

#[tokio::test]
async fn notifications_can_be_held_and_lost() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    merchant.control_post("settings", json!({ "notifications": "lose" })).await;
    merchant.paid("L1", "1.00", Some(&shop)).await;
    merchant.control_post("settings", json!({ "notifications": "hold" })).await;
    merchant.paid("H1", "1.00", Some(&shop)).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(shop.count(), 0);
    merchant.control_post("settings", json!({ "notifications": "send" })).await;
    let heard = shop.heard(1).await;
    assert_eq!(field(&form(&heard[0].1), "out_trade_no"), "H1");
    let lost = merchant.control_get("notifications?reference=L1").await;
    assert_eq!(lost["notifications"][0]["state"], "lost");
    assert_eq!(merchant.query("L1").await["trade_status"], "TRADE_SUCCESS");
}

#[tokio::test]
async fn each_bent_notification_is_bent_in_its_own_way() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    merchant.paid("B1", "5.00", Some(&shop)).await;
    shop.heard(1).await;
    // Name, changed field with its value, whether V1 verifies, whether V2 verifies.
    let rows = [
        ("truth", ("trade_status", "TRADE_SUCCESS"), true, false),
        ("forge", ("trade_status", "TRADE_SUCCESS"), false, false),
        ("wrong_amount", ("total_amount", "5.01"), true, false),
        ("other_app", ("app_id", "2021000000000001"), true, false),
        ("other_seller", ("seller_id", "2088000000000001"), true, false),
        ("sign_type_rsa", ("sign_type", "RSA"), true, false),
        ("v2", ("sign_type", "RSA2"), false, true),
        ("finished", ("trade_status", "TRADE_FINISHED"), true, false),
        ("closed_after_paid", ("trade_status", "TRADE_CLOSED"), true, false),
        ("wait_after_paid", ("trade_status", "WAIT_BUYER_PAY"), true, false),
    ];
    for (kind, (name, value), v1, v2) in rows {
        let order = json!({ "reference": "B1", "kind": kind });
        let built = merchant.control_post("notifications?dry_run", order).await;
        let fields = form(built["message"].as_str().unwrap());
        assert_eq!(field(&fields, name), value, "{kind}");
        let sign = field(&fields, "sign").to_owned();
        let text = text_without(&fields, &["sign", "sign_type"]);
        assert_eq!(merchant.provider_signed(text.as_bytes(), &sign), v1, "{kind}");
        let text = text_without(&fields, &["sign"]);
        assert_eq!(merchant.provider_signed(text.as_bytes(), &sign), v2, "{kind}");
    }
    assert_eq!(shop.count(), 1, "a dry run sends nothing");
    let order = json!({ "reference": "B1", "kind": "duplicate_field" });
    let built = merchant.control_post("notifications?dry_run=1", order).await;
    assert_eq!(built["message"].as_str().unwrap().matches("total_amount=").count(), 2);
    let order = json!({ "reference": "B1", "kind": "unsigned" });
    let built = merchant.control_post("notifications?dry_run=1", order).await;
    assert!(!built["message"].as_str().unwrap().contains("&sign="));
}

#[tokio::test]
async fn duplicates_come_all_at_once_and_with_the_same_bytes() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    merchant.paid("D1", "5.00", Some(&shop)).await;
    shop.heard(1).await;
    let order = json!({ "reference": "D1", "kind": "duplicate", "times": 50, "parallel": true });
    let sent = merchant.control_post("notifications", order).await;
    assert_eq!((&sent["status"], &sent["body"]), (&json!(200), &json!("success")));
    assert_eq!(sent["answers"].as_array().unwrap().len(), 50);
    let heard = shop.heard(51).await;
    assert!(heard.iter().all(|notice| notice == &heard[0]));
}

#[tokio::test]
async fn faults_bend_notifications_on_their_way() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    merchant.fault(json!({ "on": "notify", "verb": "duplicate", "value": "2" })).await;
    merchant.fault(json!({ "on": "notify", "verb": "wrong_amount", "value": "0.01" })).await;
    merchant.paid("F1", "5.00", Some(&shop)).await;
    for (_, body) in shop.heard(3).await {
        assert_eq!(field(&form(&body), "total_amount"), "0.01");
    }
    merchant.fault(json!({ "on": "notify", "verb": "drop" })).await;
    merchant.paid("F2", "5.00", Some(&shop)).await;
    shop.heard(4).await;
    let log = merchant.control_get("notifications?reference=F2").await;
    assert_eq!(log["notifications"][0]["attempts"][0]["error"], "lost on purpose");
}
