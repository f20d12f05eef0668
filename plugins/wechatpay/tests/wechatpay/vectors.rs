//! The published messages, byte for byte.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tollgate_sdk::contract::requests::{KeyRequest, NextAction, Operation, Outcome, Progress};
use tollgate_sdk::contract::types::HttpResponse;
use tollgate_sdk::harness::MemoryKeys;
use tollgate_wechatpay::certificates::{self, API_V3_KEY, CERTIFICATES, Sealed};
use tollgate_wechatpay::gateway;

use crate::pay::pay;
use crate::support::*;

#[test]
fn the_published_request_is_signed_as_published() {
    let text = vector("request.signed-text.txt");
    let lines: Vec<&str> = text.lines().collect();
    let [method, target, seconds, nonce, body] = lines.as_slice() else { panic!("{lines:?}") };
    let seconds = seconds.parse().unwrap();
    assert_eq!(gateway::signed_text(method, target, seconds, nonce, body), text);
    assert_eq!(sign(&text), vector("request.sign.b64").trim());
}

fn published_reply(serial: &str) -> HttpResponse {
    let reply = json("reply.json");
    let told = |name: &str| reply[name].as_str().unwrap();
    HttpResponse {
        status: 200,
        headers: signature_headers(told("timestamp"), told("nonce"), told("signature"), serial),
        body: told("body").as_bytes().to_vec(),
    }
}

/// In both modes, and each key by the name that stands beside the signature.
#[test]
fn the_published_reply_leads_to_its_page() {
    let operation = Operation::Pay(pay("h5"));
    for (keys, serial) in [(keys(), KEY_ID), (certificate_keys(), PLATFORM_SERIAL)] {
        let reply = published_reply(serial);
        let done = tollgate_wechatpay::interpret(&context(), &keys, &operation, &reply).unwrap();
        let Progress::Done(Outcome::Report(report)) = done else { panic!("{done:?}") };
        let NextAction::Redirect(url) = report.action else { panic!("{:?}", report.action) };
        let page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb\
                    ?prepay_id=wx16220223998099f898c5b24eed5c320000&package=4049184564";
        assert_eq!(url, format!("{page}&redirect_url=https%3A%2F%2Fshop.test%2Fback%2F1"));
    }
}

#[test]
fn any_change_of_the_published_reply_is_refused() {
    let operation = Operation::Pay(pay("h5"));
    let changes: [fn(&mut HttpResponse); 6] = [
        |reply| reply.body.push(b' '),
        |reply| reply.body[20] ^= 1,
        |reply| reply.headers[0].1 = "1626444145".to_owned(),
        |reply| reply.headers[1].1.push('0'),
        |reply| reply.headers[2].1.replace_range(..1, "V"),
        |reply| drop(reply.headers.remove(2)),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut reply = published_reply(KEY_ID);
        change(&mut reply);
        let fault = interpret(&operation, &reply).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.outcome_known), ("signature", false), "{number}");
    }
}

#[test]
fn a_sealed_text_opens_with_its_own_data_alone() {
    let vector = json("sealed.json");
    let told = |name: &str| vector[name].as_str().unwrap();
    let keys = MemoryKeys::default().secret(API_V3_KEY, told("key").as_bytes());
    let open = |algorithm: &str, aad: &str, ciphertext: &str| {
        let sealed: Sealed = serde_json::from_value(serde_json::json!({
            "algorithm": algorithm, "nonce": told("nonce"), "associated_data": aad, "ciphertext": ciphertext,
        }))
        .unwrap();
        sealed.open(&keys).map_err(|fault| fault.code)
    };
    let (usual, aad) = ("AEAD_AES_256_GCM", told("associated_data"));
    let plain = told("plain").as_bytes().to_vec();
    assert_eq!(open(usual, aad, told("ciphertext")), Ok(plain.clone()));
    assert_eq!(open(usual, "", told("ciphertext")), Err("signature".to_owned()));
    assert_eq!(open("AES_256_ECB", aad, told("ciphertext")), Err("protocol".to_owned()));
    assert_eq!(open(usual, aad, "!"), Err("protocol".to_owned()));
    let without = retagged(told("ciphertext"), told("tag_without_associated_data"));
    assert_eq!(open(usual, "", &without), Ok(plain));
    assert_eq!(open(usual, aad, &without), Err("signature".to_owned()));
}

/// The same ciphertext with another tag: the last 16 bytes.
fn retagged(ciphertext: &str, tag: &str) -> String {
    let mut bytes = STANDARD.decode(ciphertext).unwrap();
    bytes.truncate(bytes.len() - 16);
    bytes.extend(STANDARD.decode(tag).unwrap());
    STANDARD.encode(bytes)
}

fn fetch(keys: &MemoryKeys, body: &str, serial: &str) -> Result<Outcome, String> {
    let request = KeyRequest { slot: CERTIFICATES.to_owned(), id: Some(serial.to_owned()) };
    let reply = HttpResponse { headers: headers(NOW_MS / 1000, serial, body), ..reply(200, body) };
    certificates::interpret(&context(), keys, &request, &reply).map_err(|fault| fault.code)
}

/// The published list opens to the published certificate. Whoever signed the list, it is taken only if one of the
/// certificates in it did.
#[test]
fn the_published_certificates_open_and_are_taken_from_their_signer_alone() {
    let (body, file) = (vector("certificates.json"), vector("wechatPublicKey.crt"));
    let (certificate, serial) = (file.trim_end(), format!("test-{PLATFORM_SERIAL}"));
    let Ok(Outcome::Keys(fetched)) = fetch(&trusting(certificate), &body, &serial) else {
        panic!("refused")
    };
    let [key] = fetched.as_slice() else { panic!("{} keys", fetched.len()) };
    assert_eq!(key.id, serial);
    assert_eq!(String::from_utf8_lossy(&key.encoded), certificate);

    let other = trusting("another certificate");
    assert_eq!(fetch(&other, &body, &serial).err().as_deref(), Some("signature"));
    let sealed_by_others = body.replace("\"kbbH", "\"kbbI");
    let keys = trusting(certificate);
    assert_eq!(fetch(&keys, &sealed_by_others, &serial).err().as_deref(), Some("signature"));
    assert_eq!(fetch(&keys, r#"{"data":[]}"#, &serial).err().as_deref(), Some("not-found"));
}
