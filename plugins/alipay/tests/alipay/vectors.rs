//! The published messages, byte for byte.

use tollgate_alipay::{certificates, gateway, query, reply};
use tollgate_sdk::contract::notices::{Authority, Reading};
use tollgate_sdk::contract::types::{
    Channel, HttpResponse, Inbound, PaymentStatus, Subject, Value,
};
use tollgate_sdk::harness::{self, MemoryKeys};

use crate::support::{APP_ID, NOW_MS, SELLER_ID, cny, der, vector};

const ISSUER: &str = "CN=Ant Financial Certification Authority Class 2 R1 test,\
    OU=Certification Authority test,O=Ant Financial test,C=CN";

/// An account in certificate mode, with the facts that the published certificate files state.
fn certificate_keys() -> MemoryKeys {
    let ant = "OU=Certification Authority,O=Ant Financial,C=CN";
    MemoryKeys::default()
        .private("app-private-key", &der("alipay-app-private-key.pkcs1.b64"))
        .unwrap()
        .fact("app-certificate", "issuer", &[ISSUER])
        .fact("app-certificate", "serial-decimal", &["42717148566940702771351790021258524976"])
        .public("alipay-certificate", Some("id"), &der("alipay-public-key.spki.b64"))
        .fact("alipay-certificate", "issuer", &[ISSUER])
        .fact("alipay-certificate", "serial-decimal", &["42717148536941068122445314511311197845"])
        .fact(
            "alipay-root",
            "issuer",
            &[
                "CN=ROOTCA,O=NRCAC,C=CN",
                &format!("CN=Ant Financial Certification Authority R1,{ant}"),
                &format!("CN=Ant Financial Certification Authority E1,{ant}"),
                "CN=iTrusChina Class 2 Root CA - G3,OU=China Trust Network,O=iTrusChina,C=CN",
            ],
        )
        .fact(
            "alipay-root",
            "serial-decimal",
            &[
                "7629940819692799611",
                "2292228364100439313",
                "4719484692854726474",
                "95790491425698859646659490580052089075020051350",
            ],
        )
        .fact(
            "alipay-root",
            "signature-algorithm",
            &[
                "1.2.156.10197.1.501",
                "1.2.840.113549.1.1.11",
                "1.2.840.10045.4.3.3",
                "1.2.840.113549.1.1.5",
            ],
        )
}

fn alipay_keys() -> MemoryKeys {
    MemoryKeys::default().public("alipay-public-key", None, &der("alipay-public-key.spki.b64"))
}

#[test]
fn a_request_in_certificate_mode_is_signed_as_published() {
    let context = harness::context(
        NOW_MS,
        &[("app_id", APP_ID)],
        &[("gateway", "https://openapi-sandbox.dl.alipaydev.com/")],
    );
    let url = "http://hk.ysdor.cn/index.php";
    let content = query::ByOurs { out_trade_no: "1703141270" };
    let keys = certificate_keys();
    let call = gateway::sign(&context, &keys, query::QUERY, &content, url, url).unwrap();
    let request = crate::support::sent(call.send());
    assert_eq!(request.url, "https://openapi-sandbox.dl.alipaydev.com/gateway.do");
    let mut values = crate::support::values(&request);
    values.sort();
    let (signs, signed): (Vec<_>, Vec<_>) =
        values.into_iter().partition(|(name, _)| name == "sign");
    let text: Vec<String> = signed.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(text.join("&"), vector("request.signed-text.txt"));
    assert_eq!(signs[0].1, vector("request.sign.b64"));
    assert!(request.query.iter().any(|(n, v)| n == "charset" && *v == Value::Text("utf-8".into())));
    assert!(request.query.iter().all(|(name, _)| name != "biz_content"));
}

#[test]
fn serial_numbers_are_as_published() {
    for (decimal, expected) in [
        ("42717148566940702771351790021258524976", "e90dd23a37c5c7b616e003970817ff82"),
        ("42717148536941068122445314511311197845", "6f1e366a31d9575cd546914add04f4af"),
    ] {
        assert_eq!(certificates::serial(ISSUER, decimal), expected);
    }
}

fn inbound(channel: Channel, method: &str, query: &str, body: &str) -> Inbound {
    let kind = "application/x-www-form-urlencoded; text/html; charset=utf-8";
    Inbound {
        channel,
        method: method.to_owned(),
        url: "https://shop.test/notify/1".to_owned(),
        query: query.to_owned(),
        headers: vec![("Content-Type".to_owned(), kind.to_owned())],
        body: body.as_bytes().to_vec(),
        received_ms: NOW_MS,
    }
}

#[test]
fn the_published_return_is_a_hint() {
    let message = inbound(Channel::BrowserReturn, "GET", &vector("return.query.txt"), "");
    for keys in [alipay_keys(), certificate_keys()] {
        let Ok(Reading::Events((Channel::BrowserReturn, events))) =
            tollgate_alipay::read(&keys, &message, None)
        else {
            panic!("refused")
        };
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.authority, Authority::Hint);
        assert_eq!(event.fact.about, Subject::Payment(PaymentStatus::Unknown));
        assert_eq!(event.fact.payment_ref.as_deref(), Some("1703141270"));
        assert_eq!(event.fact.provider_ref.as_deref(), Some("2023122122001499160501586202"));
        assert_eq!(event.fact.amount, Some(cny(1)));
        assert_eq!(event.fact.at.as_deref(), Some("2023-12-21T14:48:44+08:00"));
        assert_eq!(event.dedupe_key, "return:1703141270:2023-12-21 14:48:44");
    }
}

#[test]
fn the_published_notification_is_a_payment() {
    let body = vector("notification.form.txt");
    // The route called it a return: what it is, the message says.
    let message = inbound(Channel::BrowserReturn, "POST", "", &body);
    let Ok(Reading::Events((Channel::Notification, events))) =
        tollgate_alipay::read(&alipay_keys(), &message, None)
    else {
        panic!("refused")
    };
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.authority, Authority::Authoritative);
    assert_eq!(event.dedupe_key, "2023122101222162644199160501632046");
    let fact = &event.fact;
    assert_eq!(fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(fact.payment_ref.as_deref(), Some("1703147160"));
    assert_eq!(fact.provider_ref.as_deref(), Some("2023122122001499160501589436"));
    assert_eq!((fact.amount.clone(), fact.refunded.clone()), (Some(cny(1)), None));
    assert_eq!(fact.raw_status, "TRADE_SUCCESS");
    assert_eq!(fact.at.as_deref(), Some("2023-12-21T16:26:43+08:00"));
    let seen: Vec<_> = fact.seen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(seen, [("app_id", APP_ID), ("seller_id", SELLER_ID)]);
}

#[test]
fn any_change_of_a_published_notification_is_refused() {
    let body = vector("notification.form.txt");
    for (from, to) in [
        ("total_amount=0.01", "total_amount=0.02"),
        ("trade_status=TRADE_SUCCESS", "trade_status=TRADE_CLOSED"),
        ("%2B%E6", "+%E6"),
        ("&point_amount=0.00", ""),
        ("point_amount=0.00", "point_amount=0.00&extra=1"),
        ("sign=Rs7", "sign=Rs8"),
        ("sign=Rs7", "sign=!!!"),
        ("sign_type=RSA2", "sign_type=RSA"),
        ("sign_type=RSA2", "sign_type="),
    ] {
        let changed = body.replace(from, to);
        assert_ne!(changed, body, "{from}");
        let message = inbound(Channel::Notification, "POST", "", &changed);
        let fault = tollgate_alipay::read(&alipay_keys(), &message, None).unwrap_err();
        assert_eq!(fault.code, "signature", "{from} -> {to}");
    }
}

#[test]
fn the_published_reply_verifies_over_its_raw_bytes() {
    let method = "alipay.fund.trans.uni.transfer";
    let body = vector("reply.json");
    let response = |body: &str| HttpResponse {
        status: 200,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let serial = body
        .replace("\"sign\"", "\"alipay_cert_sn\":\"6f1e366a31d9575cd546914add04f4af\",\"sign\"");
    assert!(reply::Reply::verified(&alipay_keys(), method, &response(&body)).unwrap().worked());
    assert!(reply::Reply::verified(&certificate_keys(), method, &response(&serial)).is_ok());
    let spaced = body.replace("\"code\":\"10000\"", "\"code\": \"10000\"");
    let fault = reply::Reply::verified(&alipay_keys(), method, &response(&spaced)).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.outcome_known), ("signature", false));
    // A certificate that is not held is asked for by its number.
    let foreign = serial.replace("6f1e", "0000");
    let fault =
        reply::Reply::verified(&certificate_keys(), method, &response(&foreign)).unwrap_err();
    assert!(fault.message.contains("no such key"), "{fault:?}");
}
