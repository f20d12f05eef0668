//! Notifications and replies to the notifier.

use serde_json::Value as Json;
use tollgate_sdk::contract::notices::{Authority, Event, Reading, Verdict};
use tollgate_sdk::contract::types::{
    Channel, Fault, Fields, Inbound, PaymentStatus, RefundStatus, Subject,
};

use crate::support::*;

fn message(headers: Fields, body: &str) -> Inbound {
    Inbound {
        channel: Channel::Notification,
        method: "POST".to_owned(),
        url: "https://gate.test/notify/1".to_owned(),
        query: String::new(),
        headers,
        body: body.as_bytes().to_vec(),
        received_ms: NOW_MS,
    }
}

fn read(message: &Inbound) -> Result<Event, Fault> {
    match tollgate_wechatpay::read(&keys(), message)? {
        Reading::Events((Channel::Notification, mut events)) if events.len() == 1 => {
            Ok(events.remove(0))
        }
        other => panic!("{other:?}"),
    }
}

/// A notice as it stands in the file.
fn notice(name: &str) -> Inbound {
    let file = json(name);
    let told = |member: &str| file[member].as_str().unwrap();
    let headers = signature_headers(told("timestamp"), told("nonce"), told("signature"), KEY_ID);
    message(headers, told("body"))
}

/// The same, with another envelope that is signed anew.
fn with(change: impl Fn(&mut Json)) -> Inbound {
    let mut envelope: Json = serde_json::from_slice(&notice("notification.json").body).unwrap();
    change(&mut envelope);
    let body = envelope.to_string();
    message(headers(NOW_MS / 1000, KEY_ID, &body), &body)
}

#[test]
fn a_payment() {
    let event = read(&notice("notification.json")).unwrap();
    assert_eq!(event.authority, Authority::Authoritative);
    assert_eq!(event.dedupe_key, "5f8c1d60-1c3e-5a8e-9a52-1f0c3c4b7d10");
    let fact = event.fact;
    assert_eq!(fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(fact.payment_ref.as_deref(), Some("T1"));
    assert_eq!(fact.provider_ref.as_deref(), Some("4200000925202101284997714292"));
    assert_eq!(fact.amount, Some(cny(100)), "a coupon made the payer's part smaller");
    assert_eq!(fact.at.as_deref(), Some("2021-07-16T22:02:20+08:00"));
    let seen: Vec<_> = fact.seen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(seen, [("appid", APPID), ("mchid", MCHID)]);
}

#[test]
fn a_refund() {
    let fact = read(&notice("refund-notification.json")).unwrap().fact;
    let Subject::Refund(news) = &fact.about else { panic!("{fact:?}") };
    assert_eq!(news.status, RefundStatus::Succeeded);
    assert_eq!(news.refund_ref.as_deref(), Some("R1"));
    assert_eq!(news.provider_refund_ref.as_deref(), Some("50300806962021020105978994968"));
    assert_eq!((fact.payment_ref.as_deref(), fact.amount), (Some("T1"), Some(cny(40))));
    let seen: Vec<_> = fact.seen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(seen, [("mchid", MCHID)], "refunds name no app");
}

/// Five minutes in both directions, to the second.
#[test]
fn a_message_is_good_for_five_minutes() {
    for (late_ms, holds) in
        [(0, true), (300_000, true), (-300_000, true), (300_001, false), (-300_001, false)]
    {
        let message = Inbound { received_ms: NOW_MS + late_ms, ..notice("notification.json") };
        let code = read(&message).err().map(|fault| fault.code);
        assert_eq!(code.as_deref(), Some("signature").filter(|_| !holds), "{late_ms}");
    }
    for time in ["", "soon", "1626444144.0", "9223372036854775807", "-9223372036854775808"] {
        let mut message = notice("notification.json");
        message.headers[0].1 = time.to_owned();
        assert_eq!(read(&message).unwrap_err().code, "signature", "{time}");
    }
}

#[test]
fn what_is_not_signed_as_agreed_is_refused() {
    let changes: [fn(&mut Inbound); 9] = [
        |message| message.body.push(b'\n'),
        |message| message.headers[1].1.push('0'),
        |message| message.headers[2].1 = "WECHATPAY/SIGNTEST/abcd".to_owned(),
        |message| message.headers[2].1 = format!("WECHATPAY/SIGNTEST/{}", message.headers[2].1),
        |message| message.headers[2].1 = "AAAA".to_owned(),
        |message| message.headers[3].1 = "PUB_KEY_ID_0000000000000000000000000002".to_owned(),
        |message| drop(message.headers.remove(0)),
        |message| drop(message.headers.remove(3)),
        // Whichever of two were checked, the other could be the one that is used.
        |message| message.headers.push(("wechatpay-nonce".to_owned(), "another".to_owned())),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut message = notice("notification.json");
        change(&mut message);
        assert_eq!(read(&message).unwrap_err().code, "signature", "{number}");
    }
}

/// A certificate that is not held is asked for by its number, which the host may fetch.
#[test]
fn a_key_is_chosen_by_the_name_beside_the_signature() {
    let mut message = notice("notification.json");
    message.headers[3].1 = PLATFORM_SERIAL.to_owned();
    assert!(tollgate_wechatpay::read(&certificate_keys(), &message).is_ok());
    let fault = tollgate_wechatpay::read(&trusting("another"), &message).unwrap_err();
    assert!(fault.message.contains("no such key"), "{fault:?}");
}

#[test]
fn an_envelope_that_is_signed_is_read_with_care_all_the_same() {
    for (change, code) in [
        ((|e| e["resource"]["algorithm"] = "AES_256_CBC".into()) as fn(&mut Json), "protocol"),
        (|e| e["resource"]["ciphertext"] = "AAAA".into(), "signature"),
        (|e| e["resource"]["nonce"] = "short".into(), "signature"),
        (|e| e["resource"]["associated_data"] = "".into(), "signature"),
        (|e| e["resource_type"] = "plain".into(), "protocol"),
        (|e| e["id"] = "".into(), "protocol"),
        (|e| e["resource"] = Json::Null, "protocol"),
        // What is in it is the payment's, not a refund's.
        (|e| e["event_type"] = "REFUND.SUCCESS".into(), "protocol"),
    ] {
        let message = with(change);
        let fault = read(&message).unwrap_err();
        assert_eq!(fault.code, code, "{}", String::from_utf8_lossy(&message.body));
    }
    let other = read(&with(|e| e["event_type"] = "COUPON.USE".into())).unwrap();
    assert_eq!(other.fact.about, Subject::Other("ignored".to_owned()));
}

#[test]
fn what_a_browser_or_an_app_brings_proves_nothing() {
    for (channel, method) in [
        (Channel::ClientResult, "POST"),
        (Channel::BrowserReturn, "GET"),
        (Channel::Notification, "GET"),
    ] {
        let message = Inbound { channel, method: method.to_owned(), ..notice("notification.json") };
        assert_eq!(read(&message).unwrap_err().code, "protocol", "{channel:?} {method}");
    }
}

/// The status decides: a 200 with FAIL counts as taken.
#[test]
fn the_notifier_hears_by_the_status() {
    for (verdict, status, code) in [
        (Verdict::Accepted, 200, "SUCCESS"),
        (Verdict::Duplicate, 200, "SUCCESS"),
        (Verdict::Rejected, 401, "FAIL"),
        (Verdict::Busy, 503, "FAIL"),
    ] {
        let reply = tollgate_wechatpay::acknowledge(verdict);
        let body: Json = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, &body["code"]), (status, &Json::from(code)));
    }
}
