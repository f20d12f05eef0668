//! Starting a payment: what is asked for each product, and what the payer gets.

use serde_json::{Value as Json, json};
use tollgate_sdk::contract::requests::{NextAction, Operation, PayRequest};
use tollgate_sdk::contract::types::{PaymentStatus, Subject};

use crate::support::*;

/// A payment of this product whose payer is named in every way.
pub fn pay(method: &str) -> PayRequest {
    PayRequest {
        payment: payment(method),
        order_ref: "order-1".to_owned(),
        subject: "茶 & 水".to_owned(),
        description: None,
        items: Vec::new(),
        deliver_to: None,
        notify_url: "https://gate.test/notify/1".to_owned(),
        return_url: "https://shop.test/back/1".to_owned(),
        cancel_url: None,
        payer_ip: Some("203.0.113.7".to_owned()),
        payer_id: Some("ofyak5qR_1wYsC99CsWA6R9MJazA".to_owned()),
        locale: None,
        expires_ms: NOW_MS + 24 * 3_600_000,
        manual_capture: false,
        private_fields: Vec::new(),
        extra: Vec::new(),
    }
}

#[test]
fn an_order_is_asked_for_by_product() {
    for (method, payer, scene) in [
        ("native", Json::Null, json!({ "payer_client_ip": "203.0.113.7" })),
        (
            "h5",
            Json::Null,
            json!({ "payer_client_ip": "203.0.113.7", "h5_info": { "type": "Wap" } }),
        ),
        (
            "jsapi",
            json!({ "openid": "ofyak5qR_1wYsC99CsWA6R9MJazA" }),
            json!({ "payer_client_ip": "203.0.113.7" }),
        ),
        ("app", Json::Null, json!({ "payer_client_ip": "203.0.113.7" })),
    ] {
        let (path, mut content) = accept(&build(&Operation::Pay(pay(method))).unwrap());
        assert_eq!(path, format!("/v3/pay/transactions/{method}"));
        let members = content.as_object_mut().unwrap();
        assert_eq!(members.remove("payer").unwrap_or_default(), payer, "{method}");
        assert_eq!(members.remove("scene_info").unwrap_or_default(), scene, "{method}");
        assert_eq!(
            content,
            json!({
                "appid": APPID, "mchid": MCHID, "description": "茶 & 水", "out_trade_no": OURS,
                "time_expire": "2021-07-17T22:02:24+08:00", "notify_url": "https://gate.test/notify/1",
                "amount": { "total": 8_888, "currency": "CNY" },
            })
        );
    }
}

#[test]
fn what_wechat_pay_cannot_express_is_refused_before_anybody_is_asked() {
    type Change = fn(&mut PayRequest);
    let changes: [(Change, &str); 8] = [
        (|request| request.payment.amount.currency = "USD".to_owned(), "invalid-request"),
        (|request| request.payment.amount.exponent = 0, "invalid-request"),
        (|request| request.payment.amount.minor = 0, "invalid-request"),
        (|request| request.payment.amount.minor = 10_000_000_001, "invalid-request"),
        (|request| request.payment.method = "micropay".to_owned(), "invalid-request"),
        (|request| request.expires_ms = i64::MIN, "invalid-request"),
        (|request| request.payer_id = None, "invalid-request"),
        (|request| request.manual_capture = true, "unsupported"),
    ];
    for (number, (change, code)) in changes.into_iter().enumerate() {
        let mut request = pay("jsapi");
        change(&mut request);
        let fault = build(&Operation::Pay(request)).unwrap_err();
        assert_eq!(fault.code, code, "{number}: {fault:?}");
    }
    let nowhere = PayRequest { payer_ip: None, ..pay("h5") };
    assert_eq!(build(&Operation::Pay(nowhere)).unwrap_err().code, "invalid-request");
}

#[test]
fn an_order_can_be_paid_for_seven_days_at_most() {
    let long = PayRequest { expires_ms: NOW_MS + 30 * 86_400_000, ..pay("native") };
    let (_, content) = accept(&build(&Operation::Pay(long)).unwrap());
    let week = PayRequest { expires_ms: NOW_MS + 7 * 86_400_000, ..pay("native") };
    let (_, of_a_week) = accept(&build(&Operation::Pay(week)).unwrap());
    assert_eq!(content["time_expire"], of_a_week["time_expire"]);
}

#[test]
fn a_subject_is_cut_between_letters() {
    let long = PayRequest { subject: "茶".repeat(130), ..pay("native") };
    let (_, content) = accept(&build(&Operation::Pay(long)).unwrap());
    assert_eq!(content["description"], "茶".repeat(127));
}

#[test]
fn a_code_is_shown_until_it_is_no_longer_good() {
    let reply = reply(200, r#"{"code_url":"weixin://wxpay/bizpayurl?pr=p4lpSuKzz"}"#);
    let told = report(&Operation::Pay(pay("native")), &reply);
    assert_eq!(told.action, NextAction::QrCode("weixin://wxpay/bizpayurl?pr=p4lpSuKzz".to_owned()));
    assert_eq!(told.action_expires_ms, Some(NOW_MS + 2 * 3_600_000));
    assert_eq!(told.fact.about, Subject::Payment(PaymentStatus::Pending));
    let short = PayRequest { expires_ms: NOW_MS + 60_000, ..pay("native") };
    assert_eq!(report(&Operation::Pay(short), &reply).action_expires_ms, Some(NOW_MS + 60_000));
}

/// The lines that are signed, and the names of the members, differ between the two.
#[test]
fn client_libraries_get_parameters_that_are_signed() {
    let (seconds, nonce) = ("1626444144", "0123456789abcdefghijklmnopqrstuv");
    let parameters = |method: &str| {
        let told = report(&Operation::Pay(pay(method)), &reply(200, r#"{"prepay_id":"wx1"}"#));
        let NextAction::ClientParameters(text) = told.action else { panic!("{:?}", told.action) };
        serde_json::from_str::<Json>(&text).unwrap()
    };
    let page_sign = sign(&format!("{APPID}\n{seconds}\n{nonce}\nprepay_id=wx1\n"));
    assert_eq!(
        parameters("jsapi"),
        json!({
            "appId": APPID, "timeStamp": seconds, "nonceStr": nonce, "package": "prepay_id=wx1",
            "signType": "RSA", "paySign": page_sign,
        })
    );
    assert_eq!(
        parameters("app"),
        json!({
            "appid": APPID, "partnerid": MCHID, "prepayid": "wx1", "package": "Sign=WXPay", "noncestr": nonce,
            "timestamp": seconds, "sign": sign(&format!("{APPID}\n{seconds}\n{nonce}\nwx1\n")),
        })
    );
}

#[test]
fn refusals_of_an_order() {
    let operation = Operation::Pay(pay("native"));
    for (status, code) in [(400, "PARAM_ERROR"), (403, "NO_AUTH"), (400, "INVALID_REQUEST")] {
        let fact = report(&operation, &refusal(status, code)).fact;
        assert_eq!(fact.about, Subject::Payment(PaymentStatus::Failed), "{code}");
        assert_eq!((fact.raw_status.as_str(), fact.reason.as_deref()), (code, Some("words")));
    }
    // One that is there already, from a try whose answer was lost: a query tells.
    for (status, code) in [(403, "OUT_TRADE_NO_USED"), (400, "ORDERPAID"), (400, "ORDER_CLOSED")] {
        assert_eq!(interpret(&operation, &refusal(status, code)).unwrap_err().code, "duplicate");
    }
    for (status, code, fault) in [
        (500, "SYSTEM_ERROR", "unavailable"),
        (403, "SYSTEM_ERROR", "unavailable"),
        (429, "FREQUENCY_LIMITED", "rate-limited"),
        (502, "", "unavailable"),
    ] {
        let told = interpret(&operation, &refusal(status, code)).unwrap_err();
        assert_eq!((told.code.as_str(), told.outcome_known), (fault, false), "{status} {code}");
        assert!(told.retry_after_ms.is_some(), "{status} {code}");
    }
    let nothing = interpret(&operation, &reply(200, "{}")).unwrap_err();
    assert_eq!((nothing.code.as_str(), nothing.outcome_known), ("protocol", false));
}
