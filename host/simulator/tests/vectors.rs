//! The published Alipay messages through the simulator's own canonical strings and signatures.
#![allow(clippy::unwrap_used)]
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tollgate_simulator::alipay::canonical::{
    Field, notice_text, read_form, request_text, write_form,
};
use tollgate_simulator::rsa::{SigningKey, verify};

fn vectors() -> Value {
    serde_json::from_str(include_str!("fixtures/alipay-vectors.json")).unwrap()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).unwrap().as_str().unwrap()
}

fn spki(value: &Value, name: &str) -> Vec<u8> {
    STANDARD.decode(text(value, name)).unwrap()
}

fn sign_of(fields: &[Field]) -> String {
    let field = fields.iter().find(|field| field.name == "sign").unwrap();
    String::from_utf8(field.value.clone()).unwrap()
}

#[test]
fn the_request_is_signed_byte_for_byte() {
    let vectors = vectors();
    let signed = text(&vectors, "/request/text");
    let key = include_str!("fixtures/alipay-app-private-key.pkcs1.b64");
    let key = SigningKey::from_der(&STANDARD.decode(key.trim()).unwrap()).unwrap();
    assert_eq!(key.sign(signed.as_bytes()), text(&vectors, "/request/sign"));
    assert_eq!(key.spki(), spki(&vectors, "/merchant_public_key"));

    let fields: Vec<Field> = signed
        .split('&')
        .rev()
        .map(|pair| pair.split_once('=').unwrap())
        .chain([("sign", "x"), ("empty", "")])
        .map(|(name, value)| Field { name: name.to_owned(), value: value.into() })
        .collect();
    let received = read_form(write_form(&fields).as_bytes());
    assert_eq!(request_text(&received), signed.as_bytes());
}

#[test]
fn the_return_verifies_and_a_changed_amount_does_not() {
    let vectors = vectors();
    let spki = spki(&vectors, "/provider_public_key");
    let query = text(&vectors, "/return_query");
    let fields = read_form(query.as_bytes());
    assert!(verify(&spki, &notice_text(&fields), &sign_of(&fields)));
    let changed = read_form(query.replace("total_amount=0.01", "total_amount=0.02").as_bytes());
    assert!(!verify(&spki, &notice_text(&changed), &sign_of(&changed)));
}

#[test]
fn the_notification_verifies_through_the_wire_form() {
    let vectors = vectors();
    let spki = spki(&vectors, "/provider_public_key");
    let fields: Vec<Field> = vectors["notification"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| Field {
            name: pair[0].as_str().unwrap().to_owned(),
            value: pair[1].as_str().unwrap().into(),
        })
        .collect();
    let received = read_form(write_form(&fields).as_bytes());
    assert_eq!(received, fields);
    assert!(verify(&spki, &notice_text(&received), &sign_of(&received)));
    assert!(!verify(&spki, &request_text(&received), &sign_of(&received)));
}

#[test]
fn the_reply_verifies_over_its_raw_bytes() {
    let vectors = vectors();
    let spki = spki(&vectors, "/provider_public_key");
    let (reply, sign) = (text(&vectors, "/reply/text"), text(&vectors, "/reply/sign"));
    assert!(verify(&spki, reply.as_bytes(), sign));
    assert!(!verify(&spki, reply.replace(':', ": ").as_bytes(), sign));
}
