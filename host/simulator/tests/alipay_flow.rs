//! Paying, telling, refunding and closing over real sockets; signatures checked by hand.
#![allow(clippy::unwrap_used)]
#[allow(dead_code)]
mod support;

use serde_json::json;
use support::{APP, Merchant, Reply, Shop, field, form, text_without};
use tollgate_simulator::Config;

#[tokio::test]
async fn a_page_payment_returns_notifies_and_is_found_by_query() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    assert_eq!(merchant.query("A1").await["sub_code"], "ACQ.TRADE_NOT_EXIST");
    let page = merchant.page_pay("A1", "12.34", Some(&shop)).await;
    assert!(page.contains("¥ 12.34") && page.contains("Tea &#60;b&#62; 茶 +1%"), "{page}");
    assert!(!page.contains("<script"));
    assert_eq!(merchant.query("A1").await["trade_status"], "WAIT_BUYER_PAY");

    let action = page.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
    let pressed = merchant.client.post(action).form(&[("action", "pay")]).send().await.unwrap();
    assert_eq!(pressed.status(), 303);
    let address = url::Url::parse(pressed.headers()["location"].to_str().unwrap()).unwrap();
    let back: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let signed = text_without(&back, &["sign", "sign_type"]);
    assert!(merchant.provider_signed(signed.as_bytes(), field(&back, "sign")));
    assert_eq!(field(&back, "total_amount"), "12.34");
    assert_eq!(field(&back, "method"), "alipay.trade.page.pay.return");
    assert_eq!(field(&back, "trade_status"), "");

    let (kind, body) = shop.heard(1).await.remove(0);
    assert_eq!(kind, "application/x-www-form-urlencoded; text/html; charset=utf-8");
    let told = form(&body);
    let signed = text_without(&told, &["sign", "sign_type"]);
    assert!(merchant.provider_signed(signed.as_bytes(), field(&told, "sign")));
    let expected = [("app_id", APP), ("trade_status", "TRADE_SUCCESS"), ("total_amount", "12.34")];
    for (name, value) in expected {
        assert_eq!(field(&told, name), value);
    }
    let paid = merchant.query("A1").await;
    assert_eq!((&paid["trade_status"], &paid["code"]), (&json!("TRADE_SUCCESS"), &json!("10000")));
    assert_eq!(paid["trade_no"].as_str().unwrap(), field(&told, "trade_no"));
    merchant.simulator.stop().await;
}

#[tokio::test]
async fn requests_are_refused_for_what_is_wrong_with_them() {
    let merchant = Merchant::new().await;
    let good = merchant.params("alipay.trade.query", &json!({ "out_trade_no": "A" }), &[]);
    let with = |name: &str, value: &str| {
        let mut params = good.clone();
        params.iter_mut().find(|(known, _)| known == name).unwrap().1 = value.to_owned();
        params
    };
    let rows = [
        (with("app_id", "2021000000000000"), "isv.invalid-app-id"),
        (with("sign_type", "RSA"), "isv.invalid-signature-type"),
        (with("version", "1.1"), "isv.invalid-signature"),
        (with("sign", "AAAA"), "isv.invalid-signature"),
        (with("sign", ""), "isv.missing-signature"),
        (with("biz_content", "{}"), "isv.invalid-signature"),
    ];
    for (params, sub_code) in rows {
        let reply = Reply::read(merchant.post(&params).await.unwrap().text().await.unwrap());
        assert_eq!(reply.json["sub_code"], sub_code);
        assert!(reply.sign.is_none());
    }
    let mut twice = good.clone();
    twice.push(("version".to_owned(), "1.0".to_owned()));
    let reply = Reply::read(merchant.post(&twice).await.unwrap().text().await.unwrap());
    assert_eq!(reply.json["sub_code"], "isv.invalid-parameter");
    let reply = merchant.call("alipay.trade.nothing", json!({})).await;
    assert!(reply.raw.starts_with("{\"error_response\":{\"code\":\"40002\""), "{}", reply.raw);
    assert_eq!(merchant.control_get("calls").await["alipay.trade.nothing"], 1);
}

#[tokio::test]
async fn refunds_tell_the_sum_and_move_money_once() {
    let merchant = Merchant::new().await;
    let shop = Shop::answering(&[]).await;
    merchant.paid("R1", "10.00", Some(&shop)).await;
    let refund = |number: &str, yuan: &str| {
        let biz = json!({ "out_trade_no": "R1", "out_request_no": number, "refund_amount": yuan });
        merchant.ask("alipay.trade.refund", biz)
    };
    let first = refund("N1", "3.00").await;
    assert_eq!((&first["fund_change"], &first["refund_fee"]), (&json!("Y"), &json!("3.00")));
    let repeat = refund("N1", "3.00").await;
    assert_eq!((&repeat["fund_change"], &repeat["refund_fee"]), (&json!("N"), &json!("3.00")));
    assert_eq!(refund("N1", "4.00").await["sub_code"], "ACQ.DISCORDANT_REPEAT_REQUEST");
    assert_eq!(refund("N2", "7.01").await["sub_code"], "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
    assert_eq!(refund("N2", "7.00").await["refund_fee"], "10.00");
    assert_eq!(merchant.query("R1").await["trade_status"], "TRADE_CLOSED");

    let ask = |number: &str| {
        let biz = json!({ "out_trade_no": "R1", "out_request_no": number });
        merchant.ask("alipay.trade.fastpay.refund.query", biz)
    };
    let known = ask("N1").await;
    assert_eq!(
        (&known["refund_status"], &known["refund_amount"]),
        (&json!("REFUND_SUCCESS"), &json!("3.00"))
    );
    let unknown = ask("N9").await;
    assert_eq!((&unknown["code"], unknown.get("refund_status")), (&json!("10000"), None));

    let mut told: Vec<_> = shop.heard(3).await.iter().map(|(_, body)| form(body)).collect();
    told.sort_by_key(|fields| field(fields, "refund_fee").len());
    let rows = [("", "TRADE_SUCCESS"), ("3.00", "TRADE_SUCCESS"), ("10.00", "TRADE_CLOSED")];
    for (fields, (fee, status)) in told.iter().zip(rows) {
        assert_eq!((field(fields, "refund_fee"), field(fields, "trade_status")), (fee, status));
    }
    assert_eq!(field(&told[1], "out_biz_no"), "N1");
}

#[tokio::test]
async fn close_and_cancel_follow_the_trade() {
    let merchant = Merchant::new().await;
    let act = async |verb: &str, reference: &str| {
        let method = format!("alipay.trade.{verb}");
        merchant.ask(&method, json!({ "out_trade_no": reference })).await
    };
    assert_eq!(act("close", "C1").await["sub_code"], "ACQ.TRADE_NOT_EXIST");
    merchant.page_pay("C1", "1.00", None).await;
    assert_eq!(act("close", "C1").await["out_trade_no"], "C1");
    assert_eq!(merchant.query("C1").await["trade_status"], "TRADE_CLOSED");
    merchant.paid("C2", "1.00", None).await;
    assert_eq!(act("close", "C2").await["sub_code"], "ACQ.TRADE_STATUS_ERROR");
    assert_eq!(act("cancel", "C2").await["action"], "refund");
    assert_eq!(act("cancel", "C3").await.get("action"), None);
}

#[tokio::test]
async fn a_code_makes_a_trade_only_when_it_is_scanned() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "Q1", "total_amount": "0.50", "subject": "Tea" });
    let reply = merchant.call("alipay.trade.precreate", biz).await;
    assert!(reply.member.contains("http:\\/\\/127.0.0.1"), "slashes are escaped: {}", reply.member);
    let code = reply.json["qr_code"].as_str().unwrap();
    assert_eq!(merchant.query("Q1").await["sub_code"], "ACQ.TRADE_NOT_EXIST");
    assert_eq!(merchant.client.get(code).send().await.unwrap().status(), 200);
    assert_eq!(merchant.query("Q1").await["trade_status"], "WAIT_BUYER_PAY");
}

#[tokio::test]
async fn the_app_gets_a_signed_result() {
    let merchant = Merchant::new().await;
    let biz = json!({ "out_trade_no": "P1", "total_amount": "0.50", "subject": "Tea" });
    let params = merchant.params("alipay.trade.app.pay", &biz, &[]);
    let order = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let press = |act: &str| {
        let url = format!("{}/app/pay?act={act}", merchant.gateway);
        merchant.client.post(url).body(order.clone()).send()
    };
    let json = |response: reqwest::Response| response.json::<serde_json::Value>();
    assert_eq!(json(press("cancel").await.unwrap()).await.unwrap()["resultStatus"], "6001");
    let paid = json(press("pay").await.unwrap()).await.unwrap();
    assert_eq!(paid["resultStatus"], "9000");
    let result = Reply::read(paid["result"].as_str().unwrap().to_owned());
    assert!(merchant.provider_signed(result.member.as_bytes(), &result.sign.unwrap()));
    assert_eq!(result.json["total_amount"], "0.50");
}

#[tokio::test]
async fn requests_with_certificates_get_the_certificate_named() {
    let merchant = Merchant::new().await;
    let provider = &merchant.simulator.providers()[0];
    let secrets = &provider["certificate_account"]["secrets"];
    for name in ["app-certificate", "alipay-certificate", "alipay-root"] {
        assert!(secrets[name].as_str().unwrap().starts_with("-----BEGIN CERTIFICATE"), "{name}");
    }
    let biz = json!({ "out_trade_no": "X" });
    let wrong = merchant.params("alipay.trade.query", &biz, &[("app_cert_sn", "0")]);
    let reply = Reply::read(merchant.post(&wrong).await.unwrap().text().await.unwrap());
    assert_eq!(reply.json["sub_code"], "isv.invalid-app-cert-sn");
}

#[tokio::test]
async fn keys_outlive_a_restart_when_there_is_a_folder() {
    let folder = std::env::temp_dir().join(format!("tollgate-simulator-{}", std::process::id()));
    let config = Config { data: Some(folder.clone()), ..Config::default() };
    let keys = |merchant: &Merchant| {
        let account = merchant.simulator.providers()[0]["account"].clone();
        account["secrets"].clone()
    };
    let first = Merchant::with(config.clone()).await;
    let second = Merchant::with(config).await;
    let (one, other) = (keys(&first), keys(&second));
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(one, other);
}
