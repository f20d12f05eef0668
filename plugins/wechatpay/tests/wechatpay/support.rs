//! Keys, contexts and signed replies for the other tests. The published merchant's key plays WeChat Pay as well: what it
//! signs, the slot of the public key verifies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use tollgate_sdk::contract::requests::{Operation, Outcome, Progress, Report, Step};
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::contract::types::{
    Body, Context, Fault, Fields, HttpRequest, HttpResponse, Money, Payment, Refund, Value,
};
use tollgate_sdk::harness::{self, MemoryKeys};
use tollgate_sdk::keys::{Keyring, Pick, RSA_PKCS1_SHA256};
use tollgate_wechatpay::certificates::{API_V3_KEY, CERTIFICATES, PUBLIC_KEYS};
use tollgate_wechatpay::gateway::MERCHANT_KEY;

pub const APPID: &str = "wx55955316af4ef13";
pub const MCHID: &str = "1600314069";
pub const SERIAL: &str = "25F8AA5452D55497C24BA57DC81B1E5915DC2E77";
pub const KEY_ID: &str = "PUB_KEY_ID_0000000000000000000000000001";
pub const PLATFORM_SERIAL: &str = "45F59D4DABF31918AFCEC556D5D2C6E376675D57";
pub const V3_KEY: &[u8] = b"53D67FCB97E68F9998CBD17ED7A8D1E2";
pub const OURS: &str = "T0000000000000000000001A";
/// 2021-07-16T22:02:24+08:00, when the published reply was fresh.
pub const NOW_MS: i64 = 1_626_444_144_000;

pub fn bytes(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    std::fs::read(path).unwrap()
}

pub fn vector(name: &str) -> String {
    String::from_utf8(bytes(name)).unwrap()
}

pub fn json(name: &str) -> Json {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// DER of a PEM or of bare base64.
fn der(name: &str) -> Vec<u8> {
    let lines = vector(name);
    let base64: String = lines.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).unwrap()
}

fn own_keys() -> MemoryKeys {
    MemoryKeys::default()
        .private(MERCHANT_KEY, &der("wechatAppPrivateKey.pem"))
        .unwrap()
        .secret(API_V3_KEY, V3_KEY)
}

/// An account in public-key mode.
pub fn keys() -> MemoryKeys {
    own_keys().public(PUBLIC_KEYS, Some(KEY_ID), &der("merchant-public-key.spki.b64")).fact(
        PUBLIC_KEYS,
        "id",
        &[KEY_ID],
    )
}

/// An account in certificate mode that holds the certificate of the published reply.
pub fn certificate_keys() -> MemoryKeys {
    own_keys().public(CERTIFICATES, Some(PLATFORM_SERIAL), &der("merchant-public-key.spki.b64"))
}

/// An account in certificate mode whose trust holds for this certificate, of which the merchant's key is the other half.
pub fn trusting(certificate: &str) -> MemoryKeys {
    own_keys().public(CERTIFICATES, Some(certificate), &der("merchant-public-key.spki.b64"))
}

pub fn context() -> Context {
    harness::context(
        NOW_MS,
        &[("appid", APPID), ("mchid", MCHID), ("merchant_serial", SERIAL)],
        &[("api", "https://api.test"), ("h5", "https://h5.test")],
    )
}

pub fn sign(text: &str) -> String {
    let data = [Piece::Text(text.as_bytes().to_vec())];
    STANDARD.encode(keys().sign(Pick::Slot(MERCHANT_KEY), RSA_PKCS1_SHA256, &data).unwrap())
}

/// The signature headers of a message at this second, named as they come.
pub fn headers(seconds: i64, serial: &str, body: &str) -> Fields {
    signature_headers(
        &seconds.to_string(),
        "nonce",
        &sign(&format!("{seconds}\nnonce\n{body}\n")),
        serial,
    )
}

pub fn signature_headers(seconds: &str, nonce: &str, signature: &str, serial: &str) -> Fields {
    let pairs = [
        ("Wechatpay-Timestamp", seconds),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Signature", signature),
        ("Wechatpay-Serial", serial),
    ];
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A reply that is signed now.
pub fn reply(status: u16, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        headers: headers(NOW_MS / 1000, KEY_ID, body),
        body: body.as_bytes().to_vec(),
    }
}

/// A refusal, which carries no signature.
pub fn refusal(status: u16, code: &str) -> HttpResponse {
    let body = format!(r#"{{"code":"{code}","message":"words"}}"#);
    HttpResponse { status, headers: Vec::new(), body: body.into_bytes() }
}

pub fn cny(minor: i64) -> Money {
    Money { minor, currency: "CNY".to_owned(), exponent: 2 }
}

pub fn payment(method: &str) -> Payment {
    Payment {
        payment_ref: OURS.to_owned(),
        provider_ref: None,
        method: method.to_owned(),
        amount: cny(8_888),
        created_ms: NOW_MS,
        kept: Vec::new(),
    }
}

pub fn refund() -> Refund {
    Refund {
        payment: payment("native"),
        refund_ref: "R0000000000000000000001A".to_owned(),
        provider_refund_ref: None,
        amount: cny(100),
        created_ms: NOW_MS,
        kept: Vec::new(),
    }
}

pub fn build(operation: &Operation) -> Result<HttpRequest, Fault> {
    match tollgate_wechatpay::build(&context(), &keys(), operation)? {
        Step::Send((request, state)) => {
            assert!(state.is_empty());
            Ok(request)
        }
        other => panic!("{other:?}"),
    }
}

pub fn interpret(operation: &Operation, response: &HttpResponse) -> Result<Outcome, Fault> {
    match tollgate_wechatpay::interpret(&context(), &keys(), operation, response)? {
        Progress::Done(outcome) => Ok(outcome),
        other => panic!("{other:?}"),
    }
}

pub fn report(operation: &Operation, response: &HttpResponse) -> Report {
    match interpret(operation, response).unwrap() {
        Outcome::Report(report) => report,
        other => panic!("{other:?}"),
    }
}

fn header<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    let mut found = request.headers.iter().filter(|(header, _)| header == name);
    match (found.next(), found.next()) {
        (Some((_, Value::Text(text))), None) => text,
        other => panic!("{name}: {other:?}"),
    }
}

/// Checks a request as the other side does, by its own reading of the rules, and gives its path with query and its body.
pub fn accept(request: &HttpRequest) -> (String, Json) {
    let target = request.url.strip_prefix("https://api.test").unwrap().to_owned();
    let body = match &request.body {
        Body::Empty => String::new(),
        Body::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    let parameters = header(request, "authorization").strip_prefix("WECHATPAY2-SHA256-RSA2048 ");
    let parameter = |name: &str| {
        let quoted = parameters.unwrap().split(',').find_map(|one| one.strip_prefix(name));
        quoted.unwrap().strip_prefix("=\"").unwrap().strip_suffix('"').unwrap().to_owned()
    };
    assert_eq!((parameter("mchid").as_str(), parameter("serial_no").as_str()), (MCHID, SERIAL));
    let lines = [
        request.method.as_str(),
        target.as_str(),
        &parameter("timestamp"),
        &parameter("nonce_str"),
        body.as_str(),
    ];
    assert_eq!(parameter("signature"), sign(&(lines.join("\n") + "\n")));
    assert_eq!(parameter("timestamp"), (NOW_MS / 1000).to_string());
    assert!(!header(request, "user-agent").is_empty());
    assert_eq!(header(request, "accept"), "application/json");
    assert_eq!(header(request, "wechatpay-serial"), KEY_ID);
    (target, serde_json::from_str(&body).unwrap_or_default())
}
