//! What strict reading refuses, and by which name.

use super::*;
use crate::api::orders::NewOrder;

fn order(rest: &str) -> String {
    format!(r#"{{"number":"1","currency":"CNY","subject":"Tea",{rest}}}"#)
}

#[test]
fn what_is_right_is_read() {
    let items = r#"[{"name":"Cup","price":600,"quantity":2}]"#;
    let text = order(&format!(r#""amount":1200,"items":{items},"metadata":{{"a":"b"}}"#));
    let read: NewOrder = read(text.as_bytes()).unwrap();
    assert_eq!(read.amount, 1200);
}

#[test]
fn what_is_wrong_is_refused_by_the_name_of_the_field() {
    let whole = "must be a whole number that fits 64 bits";
    let rows = [
        (r#""amount":12.5"#, "amount", whole),
        (r#""amount":12.0"#, "amount", whole),
        (r#""amount":1e2"#, "amount", whole),
        (r#""amount":"1250""#, "amount", whole),
        (r#""amount":null"#, "amount", whole),
        (r#""amount":true"#, "amount", whole),
        (r#""amount":9223372036854775808"#, "amount", whole),
        (r#""amount":123456789012345678901234567890"#, "amount", whole),
        (r#""amount":1e999"#, "amount", "is too large"),
        (r#""subtitle":"x","amount":1"#, "subtitle", "is not a field of this request"),
        (r#""amount":1,"amount":2"#, "amount", "stands there twice"),
        (r#""amount":1,"metadata":{"a":"b","a":"c"}"#, "metadata.a", "stands there twice"),
        (r#""amount":1,"metadata":{"a":5}"#, "metadata.a", "must be a text"),
        (r#""amount":1,"items":{}"#, "items", "must be a list"),
        (r#""amount":1,"items":[{"name":"a","price":1}]"#, "items[0].quantity", "is required"),
        (
            r#""amount":1,"items":[{"name":"a","price":1,"quantity":1,"colour":"red"}]"#,
            "items[0].colour",
            "is not a field of this request",
        ),
        (r#""amount":1,"items":[{"name":"a","price":0.5,"quantity":1}]"#, "items[0].price", whole),
        (
            r#""amount":1,"items":[{"name":"a","price":1,"quantity":-1}]"#,
            "items[0].quantity",
            "must be a whole number from 0 to 4294967295",
        ),
        (r#""amount":1,"deliver_to":"home""#, "deliver_to", "must be an object"),
        (r#""amount":1,"subtitle":"a\u0000b""#, "subtitle", "must not hold the character NUL"),
        (
            r#""amount":1,"metadata":{"a":"\u0000"}"#,
            "metadata.a",
            "must not hold the character NUL",
        ),
        (
            r#""amount":1,"metadata":{"\u0000":"b"}"#,
            "metadata",
            "has a name that holds the character NUL",
        ),
        (r#""description":"no amount""#, "amount", "is required"),
    ];
    for (rest, field, rule) in rows {
        let problem = read::<NewOrder>(order(rest).as_bytes()).err().unwrap();
        assert_eq!(problem.code(), "invalid-request", "{rest}");
        let error = &problem.errors()[0];
        assert_eq!((error.field.as_str(), error.rule.as_str()), (field, rule), "{rest}");
    }
}

#[test]
fn what_is_not_json_is_refused_as_such() {
    for text in ["", "{", "{]", "nonsense", r#"{"amount":1}{}"#, "{\"a\":\"\u{1}\"}", r#"{"a":01}"#]
    {
        let problem = read::<NewOrder>(text.as_bytes()).err().unwrap();
        assert_eq!((problem.code(), problem.status().as_u16()), ("malformed-json", 400), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(read::<NewOrder>(deep.as_bytes()).err().unwrap().code(), "malformed-json");
    assert_eq!(read::<NewOrder>(&[b'"', 0xff, b'"']).err().unwrap().code(), "malformed-json");
    assert_eq!(read::<NewOrder>(b"[]").err().unwrap().errors()[0].field, "body");
}

#[test]
fn what_was_there_instead_is_not_repeated() {
    let text = order(r#""amount":"canary-of-a-secret""#);
    let problem = read::<NewOrder>(text.as_bytes()).err().unwrap();
    assert!(!problem.detail().contains("canary"));
    assert!(!problem.errors()[0].rule.contains("canary"));
}

#[test]
fn only_json_is_taken_for_json() {
    let rows = [
        ("application/json", true),
        ("Application/JSON; charset=UTF-8", true),
        (r#"application/json; charset="utf-8""#, true),
        ("application/json;charset=gbk", false),
        (r#"application/json;charset="gbk""#, false),
        ("application/json;boundary=utf-8", false),
        ("text/json", false),
        ("application/x-www-form-urlencoded", false),
        ("", false),
    ];
    for (kind, wanted) in rows {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        assert_eq!(is_json(&headers), wanted, "{kind}");
    }
    assert!(!is_json(&HeaderMap::new()));
}
