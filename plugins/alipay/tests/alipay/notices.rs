//! Notifications, app results and replies to the notifier, signed here.

use tollgate_sdk::contract::notices::{Authority, Event, Reading, Verdict};
use tollgate_sdk::contract::types::{Channel, Fault, Inbound, PaymentStatus, Subject};
use tollgate_sdk::{canonical, form};

use crate::support::*;

const FORM: &str = "application/x-www-form-urlencoded; text/html; charset=utf-8";

fn message(channel: Channel, kind: &str, body: &str) -> Inbound {
    Inbound {
        channel,
        method: "POST".to_owned(),
        url: "https://shop.test/notify/1".to_owned(),
        query: String::new(),
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.as_bytes().to_vec(),
        received_ms: NOW_MS,
    }
}

fn event(message: &Inbound) -> Result<Event, Fault> {
    match tollgate_alipay::read(&keys(), message, Some(&payment("app")))? {
        Reading::Events((_, mut events)) => Ok(events.remove(0)),
        Reading::Ask(asked) => panic!("{asked:?}"),
    }
}

/// A notification that Alipay would send, with some fields of its own; an empty value takes a field away.
fn notice(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut fields: std::collections::BTreeMap<&str, &str> = [
        ("app_id", APP_ID),
        ("charset", "utf-8"),
        ("gmt_create", "2023-12-21 16:26:32"),
        ("notify_id", "n1"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", OURS),
        ("seller_id", SELLER_ID),
        ("subject", "a+b%20&=\u{1f375}\u{4f60}"),
        ("total_amount", "88.88"),
        ("trade_no", "20231221"),
        ("trade_status", "TRADE_SUCCESS"),
        ("version", "1.0"),
    ]
    .into();
    fields.extend(changes.iter().copied());
    fields.retain(|_, value| !value.is_empty());
    let sign = sign(&canonical::join(fields.clone()));
    let mut pairs: Vec<(String, String)> =
        fields.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    pairs.push(("sign_type".to_owned(), "RSA2".to_owned()));
    pairs.push(("sign".to_owned(), sign));
    pairs
}

fn body(pairs: &[(String, String)]) -> String {
    form::encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[test]
fn trade_notices() {
    use PaymentStatus::{Closed, Pending, Succeeded, Unknown};
    let paid = ("gmt_payment", "2023-12-21 16:26:43");
    type Change = (&'static str, &'static str);
    type Row = (Vec<Change>, PaymentStatus, Option<i64>, Option<i64>);
    let rows: Vec<Row> = vec![
        (vec![("trade_status", "WAIT_BUYER_PAY")], Pending, None, None),
        (vec![paid], Succeeded, Some(8_888), None),
        (vec![("trade_status", "TRADE_FINISHED"), paid], Succeeded, Some(8_888), None),
        // A partial refund: the same paid trade, told again.
        (
            vec![paid, ("refund_fee", "1.00"), ("gmt_refund", "2023-12-22 11:00:00.123")],
            Succeeded,
            Some(8_888),
            Some(100),
        ),
        (vec![("trade_status", "TRADE_CLOSED")], Closed, None, None),
        (vec![("trade_status", "TRADE_CLOSED"), ("refund_fee", "0.00")], Closed, None, None),
        (vec![("trade_status", "TRADE_CLOSED"), paid], Succeeded, Some(8_888), Some(8_888)),
        (
            vec![("trade_status", "TRADE_CLOSED"), ("refund_fee", "88.88")],
            Succeeded,
            Some(8_888),
            Some(8_888),
        ),
        (vec![("trade_status", "TRADE_SOMETHING")], Unknown, None, None),
    ];
    for (changes, status, amount, refunded) in rows {
        let text = body(&notice(&changes));
        let event = event(&message(Channel::Notification, FORM, &text)).unwrap();
        assert_eq!(event.fact.about, Subject::Payment(status), "{changes:?}");
        assert_eq!(event.fact.amount, amount.map(cny), "{changes:?}");
        assert_eq!(event.fact.refunded, refunded.map(cny), "{changes:?}");
        assert_eq!(event.authority, Authority::Authoritative);
    }
}

#[test]
fn another_kind_of_notice_is_taken_and_not_used() {
    let text = body(&notice(&[("notify_type", "dispute_sync"), ("out_trade_no", "")]));
    let event = event(&message(Channel::Notification, FORM, &text)).unwrap();
    assert_eq!(event.fact.about, Subject::Other("ignored".to_owned()));
    assert_eq!(event.fact.payment_ref, None);
}

#[test]
fn refused_before_or_after_the_signature() {
    let good = notice(&[]);
    let with = |name: &str, value: &str| {
        let mut pairs = good.clone();
        pairs.push((name.to_owned(), value.to_owned()));
        body(&pairs)
    };
    let version_two = {
        // The kind of signature that covers `sign_type`: not one of a payment.
        let mut fields: std::collections::BTreeMap<_, _> = good.iter().cloned().collect();
        fields.remove("sign");
        let text = canonical::join(fields.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        fields.insert("sign".to_owned(), sign(&text));
        body(&fields.into_iter().collect::<Vec<_>>())
    };
    for (what, text, code) in [
        ("an amount twice", with("total_amount", "88.88"), "protocol"),
        ("a field that is not signed", with("seller_email", "a@b"), "signature"),
        ("V2", version_two, "signature"),
        ("another charset", body(&notice(&[("charset", "GBK")])), "protocol"),
        ("no charset", body(&notice(&[("charset", "")])), "protocol"),
        ("another version", body(&notice(&[("version", "2.0")])), "protocol"),
        ("no app", body(&notice(&[("app_id", "")])), "protocol"),
        ("no seller", body(&notice(&[("seller_id", "")])), "protocol"),
        ("no order", body(&notice(&[("out_trade_no", "")])), "protocol"),
        ("no id", body(&notice(&[("notify_id", "")])), "protocol"),
        ("no status: the fields of a return", body(&notice(&[("trade_status", "")])), "protocol"),
        ("no amount", body(&notice(&[("total_amount", "")])), "protocol"),
        ("thousands", body(&notice(&[("total_amount", "8,888.00")])), "protocol"),
        ("negative", body(&notice(&[("total_amount", "-88.88")])), "protocol"),
        ("half an escape", "a=%e".to_owned(), "protocol"),
        ("nothing", String::new(), "signature"),
    ] {
        let fault = event(&message(Channel::Notification, FORM, &text)).unwrap_err();
        assert_eq!(fault.code, code, "{what}: {fault:?}");
    }
    let good = body(&good);
    assert!(
        event(&message(Channel::Notification, "APPLICATION/X-WWW-FORM-URLENCODED", &good)).is_ok()
    );
    for kind in ["application/json", "", "text/html"] {
        let fault = event(&message(Channel::Notification, kind, &good)).unwrap_err();
        assert_eq!(fault.code, "protocol", "{kind}");
    }
}

#[test]
fn a_notification_is_no_return() {
    let mut message = message(Channel::BrowserReturn, "", "");
    message.method = "GET".to_owned();
    message.query = body(&notice(&[]));
    assert_eq!(event(&message).unwrap_err().code, "protocol");
}

#[test]
fn keys_that_are_missing_are_our_fault() {
    let text = body(&notice(&[]));
    let keys = tollgate_sdk::harness::MemoryKeys::default();
    let message = message(Channel::Notification, FORM, &text);
    assert_eq!(tollgate_alipay::read(&keys, &message, None).unwrap_err().code, "config");
}

fn app_result() -> String {
    let inner = format!(
        r#"{{"code":"10000","msg":"Success","app_id":"{APP_ID}","charset":"utf-8","timestamp":"2023-12-21 16:26:45","out_trade_no":"{OURS}","total_amount":"88.88","trade_no":"20231221","seller_id":"{SELLER_ID}","sign":"x\/y"}}"#
    );
    let sign = sign(&inner);
    format!(r#"{{"alipay_trade_app_pay_response":{inner},"sign":"{sign}","sign_type":"RSA2"}}"#)
}

#[test]
fn an_app_brings_what_it_was_told() {
    let result = app_result();
    let whole =
        serde_json::json!({"memo": "", "result": result, "resultStatus": "9000"}).to_string();
    for text in [&result, &whole] {
        let event = event(&message(Channel::ClientResult, "application/json", text)).unwrap();
        assert_eq!(event.authority, Authority::Hint);
        assert_eq!(event.fact.about, Subject::Payment(PaymentStatus::Unknown));
        assert_eq!(event.fact.payment_ref.as_deref(), Some(OURS));
        assert_eq!(event.fact.amount, Some(cny(8_888)));
        assert_eq!(event.fact.seen.len(), 2);
    }
    for (from, to, code) in [
        ("88.88", "88.89", "signature"),
        ("\"RSA2\"", "\"RSA\"", "signature"),
        ("x\\/y", "x/y", "signature"),
        ("alipay_trade_app_pay_response", "other_response", "protocol"),
    ] {
        let text = result.replace(from, to);
        assert_ne!(text, result);
        let fault = event(&message(Channel::ClientResult, "", &text)).unwrap_err();
        assert_eq!(fault.code, code, "{from}");
    }
}

#[test]
fn a_payer_who_gave_up_brings_a_question() {
    let text = r#"{"memo":"","result":"","resultStatus":"6001"}"#;
    let asked = message(Channel::ClientResult, "", text);
    let event = event(&asked).unwrap();
    assert_eq!((event.authority, event.fact.raw_status.as_str()), (Authority::Hint, "6001"));
    assert_eq!(event.fact.payment_ref.as_deref(), Some(OURS));
    assert_eq!(tollgate_alipay::read(&keys(), &asked, None).unwrap_err().code, "protocol");
}

#[test]
fn the_notifier_hears_exactly_seven_bytes() {
    for verdict in [Verdict::Accepted, Verdict::Duplicate] {
        let reply = tollgate_alipay::acknowledge(verdict);
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"success"[..]));
    }
    for verdict in [Verdict::Rejected, Verdict::Busy] {
        let reply = tollgate_alipay::acknowledge(verdict);
        assert_eq!(reply.body, b"fail");
        assert!(reply.status >= 400);
    }
}
