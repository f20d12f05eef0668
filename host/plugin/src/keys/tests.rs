//! Keys against published material, and slots that must be refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use secrecy::SecretString;

use super::crypto::{permitted, sign, verify};
use super::slot::Member;
use super::trust::Vouched;
use super::uses::Verb;
use super::{KeyUse, Keys};
use crate::contract::{FetchedKey, Piece, Trust};
use crate::manifest::tests::{anyone_of, manifest, slot};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/", $name))
    };
}

const KEY: &str = fixture!("merchant-key.pkcs1.b64");
const PROVIDER: &str = fixture!("provider.crt");
const ROOTS: &str = fixture!("roots.crt");

fn keys(slots: &[(&str, &str, &[&str], &[&str])]) -> Result<Keys, super::KeyError> {
    let mut manifest = manifest();
    let mut secrets = BTreeMap::new();
    for (name, kind, uses, texts) in slots {
        manifest.slots.push(slot(name, kind, uses));
        let texts = texts.iter().map(|text| SecretString::from(*text)).collect();
        secrets.insert((*name).to_owned(), texts);
    }
    Keys::parse(&manifest, &secrets, false)
}

fn text(s: &str) -> Vec<Piece> {
    vec![Piece::Text(s.as_bytes().to_vec())]
}

fn signed(keys: &Keys, slot: &str, algorithm: &str, data: &[Piece]) -> Vec<u8> {
    let slot = keys.slot(slot).unwrap();
    let use_ = permitted(slot, Verb::Sign, algorithm, Some(data)).unwrap();
    sign(use_, &slot.members[0], data).unwrap()
}

fn holds(member: &Member, keys: &Keys, slot: &str, algorithm: &str, data: &str, sig: &str) -> bool {
    let slot = keys.slot(slot).unwrap();
    let use_ = permitted(slot, Verb::Verify, algorithm, Some(&text(data))).unwrap();
    verify(use_, member, &text(data), &STANDARD.decode(sig).unwrap())
}

#[test]
fn a_published_request_is_signed_byte_for_byte() {
    let uses: &[&str] = &["sign rsa-pkcs1-sha256"];
    let pem = format!(
        "-----BEGIN RSA PRIVATE KEY-----\r\n{}\r\n-----END RSA PRIVATE KEY-----\r\n",
        KEY.trim()
    );
    for form in [KEY.to_owned(), pem, format!("K-1:{KEY}")] {
        let keys = keys(&[("app", "private-key", uses, &[&form])]).unwrap();
        let made = signed(&keys, "app", "rsa-pkcs1-sha256", &text(fixture!("request.txt")));
        assert_eq!(STANDARD.encode(made), fixture!("request.sig"));
    }
}

/// What follows a key in the same text would be ignored without a word: a second key, say, pasted behind the first.
#[test]
fn a_text_with_more_than_its_key_is_refused() {
    let private = STANDARD.decode(KEY.trim()).unwrap();
    let certificate = super::certificate::pem_blocks(PROVIDER, "CERTIFICATE").unwrap().remove(0);
    let public = super::certificate::read(&certificate).unwrap().public_key().raw.to_vec();
    for (kind, use_, der) in [
        ("private-key", "sign rsa-pkcs1-sha256", private),
        ("public-keys", "verify rsa-pkcs1-sha256", public),
        ("certificates", "verify rsa-pkcs1-sha256", certificate),
    ] {
        let alone = STANDARD.encode(&der);
        assert!(keys(&[("it", kind, &[use_], &[&alone])]).is_ok(), "{kind}");
        for more in [der.clone(), vec![0], b"tail".to_vec()] {
            let text = STANDARD.encode([der.as_slice(), &more].concat());
            let error = keys(&[("it", kind, &[use_], &[&text])]).unwrap_err();
            assert_eq!(error.slot, "it", "{kind} and {} bytes more", more.len());
        }
    }
}

#[test]
fn published_messages_verify_and_changed_ones_do_not() {
    let uses: &[&str] = &["verify rsa-pkcs1-sha256"];
    let keys = keys(&[("signer", "certificates", uses, &[PROVIDER])]).unwrap();
    let slot = keys.slot("signer").unwrap();
    let leaf = slot.members.iter().find(|m| m.acts).unwrap();
    let rows = [
        (fixture!("return.txt"), fixture!("return.sig")),
        (fixture!("notice.txt"), fixture!("notice.sig")),
        (fixture!("reply.txt"), fixture!("reply.sig")),
    ];
    for (data, sig) in rows {
        assert!(holds(leaf, &keys, "signer", "rsa-pkcs1-sha256", data, sig), "{data}");
        let forged = data.replacen("0.01", "9.99", 1);
        assert_ne!(forged, data);
        assert!(!holds(leaf, &keys, "signer", "rsa-pkcs1-sha256", &forged, sig));
    }
}

/// A provider's serial number of a certificate: the MD5 of issuer and decimal serial.
fn serial_number(member: &Member) -> String {
    let text = format!("{}{}", member.facts.issuer, member.facts.serial_decimal);
    hex::encode(Md5::digest(text))
}

#[test]
fn certificate_facts_give_the_published_serial_numbers() {
    let keys = keys(&[
        ("own", "certificates", &[], &[fixture!("merchant.crt")]),
        ("signer", "certificates", &[], &[PROVIDER]),
        ("roots", "certificates", &[], &[ROOTS]),
    ])
    .unwrap();
    let own = &keys.slot("own").unwrap().members[0];
    assert_eq!(own.facts.issuer, fixture!("merchant-issuer.txt").trim_end());
    assert_eq!(own.facts.serial_decimal, "42717148566940702771351790021258524976");
    assert_eq!(serial_number(own), "e90dd23a37c5c7b616e003970817ff82");
    let signer = &keys.slot("signer").unwrap().members;
    assert!(signer.len() > 1);
    assert!(signer[0].acts && !signer[1].acts);
    assert_eq!(serial_number(&signer[0]), "6f1e366a31d9575cd546914add04f4af");

    // Four roots, two of them of curves: each keeps its place, and the RSA ones give the joined number.
    let roots = &keys.slot("roots").unwrap().members;
    assert_eq!(roots.len(), 4);
    let joined: Vec<String> = roots
        .iter()
        .filter(|m| m.facts.signature_algorithm.starts_with("1.2.840.113549.1.1"))
        .map(|m| serial_number(m))
        .collect();
    assert_eq!(
        joined.join("_"),
        "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
    );
}

/// Mid-2024 and 2026, Unix milliseconds.
const WHEN_VALID: i64 = 1_720_000_000_000;
const WHEN_EXPIRED: i64 = 1_780_000_000_000;

fn with_trust(names: &[&str]) -> Keys {
    with_names(names, &[], true)
}

fn with_names(names: &[&str], sandbox: &[&str], live: bool) -> Keys {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let mut manifest = manifest();
    let mut late = slot("late", "certificates", &["verify rsa-pkcs1-sha256"]);
    late.trust = Some(Trust {
        by: "roots".into(),
        names: owned(names),
        sandbox_names: owned(sandbox),
        refresh_ms: None,
    });
    manifest.slots.push(late);
    manifest.slots.push(slot("roots", "certificates", &[]));
    let roots = [fixture!("chain-middle.cer"), fixture!("chain-root.cer")];
    let texts = roots.iter().map(|text| SecretString::from(*text)).collect();
    Keys::parse(&manifest, &BTreeMap::from([("roots".into(), texts)]), live).unwrap()
}

fn trusted(keys: &Keys, encoded: &str, now_ms: i64) -> Result<Member, String> {
    keys.trusted(keys.slot("late").unwrap(), encoded.as_bytes(), Vouched::In(&[]), now_ms)
}

#[test]
fn a_certificate_in_a_message_is_believed_up_to_its_roots() {
    let keys = with_trust(&["041@*@*@*"]);
    let leaf = fixture!("chain-leaf.pem");
    let member = trusted(&keys, leaf, WHEN_VALID).unwrap();
    assert_eq!(member.facts.serial_decimal, "69678957876");
    let (data, sig) = (fixture!("chain-notice.txt"), fixture!("chain-notice.sig"));
    assert!(holds(&member, &keys, "late", "rsa-pkcs1-sha256", data, sig));

    assert!(!member.takes_private(), "a merchant of the same authority has one too");
    assert!(trusted(&keys, leaf, WHEN_EXPIRED).is_err(), "expired");
    assert!(trusted(&with_trust(&["041@*@other"]), leaf, WHEN_VALID).is_err(), "name");
    assert!(trusted(&keys, PROVIDER, WHEN_VALID).is_err(), "other authority");
    assert!(trusted(&with_trust(&["*"]), PROVIDER, WHEN_VALID).is_err(), "other authority");
    assert!(trusted(&with_trust(&["*"]), ROOTS, WHEN_VALID).is_err(), "self-signed");
    assert!(trusted(&keys, "", WHEN_VALID).is_err(), "nothing");
    let own = format!("{PROVIDER}\n{leaf}");
    assert!(trusted(&with_trust(&["*"]), &own, WHEN_VALID).is_err(), "a good one behind");
}

/// The roots may be those of both systems: the name is believed in its own mode alone.
#[test]
fn a_name_of_the_test_system_is_believed_where_no_money_is_real() {
    let (leaf, name) = (fixture!("chain-leaf.pem"), "041@8310000000083040@*@00016495");
    let believed = |names: &[&str], sandbox: &[&str], live| {
        trusted(&with_names(names, sandbox, live), leaf, WHEN_VALID).is_ok()
    };
    assert!(believed(&["another"], &[name], false));
    assert!(!believed(&["another"], &[name], true));
    assert!(believed(&[name], &["another"], true));
    assert!(believed(&[name], &["another"], false));
}

#[test]
fn a_chain_is_followed_to_its_root_and_no_further() {
    let mut keys = with_trust(&["*"]);
    let roots = Arc::clone(keys.slot("roots").unwrap());
    let (leaf, middle) = (fixture!("chain-leaf.pem"), fixture!("chain-middle.cer"));
    let issuer = &roots.members[0].facts.issuer;
    let root = roots.members.iter().filter(|member| member.facts.subject == *issuer);
    keys = keys.replaced(&roots, root.cloned().collect());
    assert!(trusted(&keys, leaf, WHEN_VALID).is_err(), "no way to the root");
    let chain = |times: usize| format!("{leaf}\n{}", format!("{middle}\n").repeat(times));
    assert!(trusted(&keys, &chain(1), WHEN_VALID).is_ok());
    assert!(trusted(&keys, &chain(7), WHEN_VALID).is_ok());
    let error = trusted(&keys, &chain(8), WHEN_VALID).err().unwrap();
    assert!(error.contains("more than 8"), "{error}");
}

#[test]
fn fetched_keys_are_admitted_by_the_same_trust() {
    let keys = with_trust(&["*"]);
    let fetched = FetchedKey { id: "NEW".into(), encoded: fixture!("chain-leaf.pem").into() };
    let more = keys.with_fetched("late", std::slice::from_ref(&fetched), &[], WHEN_VALID).unwrap();
    let held = |keys: &Keys| keys.slot("late").unwrap().members.len();
    assert_eq!((held(&keys), held(&more)), (0, 1));
    let again = more.with_fetched("late", std::slice::from_ref(&fetched), &[], WHEN_VALID).unwrap();
    assert_eq!(held(&again), 1);
    let kept = [FetchedKey { id: "OTHER".into(), encoded: PROVIDER.into() }];
    assert!(keys.with_kept("late", &kept, WHEN_VALID).is_err(), "roots are asked again");
    let late = keys.with_fetched("late", &[fetched], &[], WHEN_EXPIRED);
    assert!(late.unwrap_err().to_string().contains("late"));
}

#[test]
fn a_secret_vouches_for_what_it_opened_in_the_same_call() {
    let mut manifest = manifest();
    let mut late = slot("late", "certificates", &["verify rsa-pkcs1-sha256"]);
    late.trust = anyone_of("seal");
    manifest.slots.push(late);
    manifest.slots.push(slot("seal", "secret", &["open aes-256-gcm"]));
    let secret = SecretString::from("53D67FCB97E68F9998CBD17ED7A8D1E2");
    let secrets = BTreeMap::from([("seal".to_owned(), vec![secret])]);
    let keys = Keys::parse(&manifest, &secrets, false).unwrap();
    let leaf = fixture!("chain-leaf.pem").as_bytes();
    let opened = KeyUse {
        slot: "seal".into(),
        operation: "open".into(),
        algorithm: "aes-256-gcm".into(),
        key_id: String::new(),
        input_sha256: String::new(),
        output_sha256: Some(super::sha256_hex(leaf)),
        ok: true,
        forgeable: false,
    };
    let slot = keys.slot("late").unwrap();
    let trusted = |audit: &[KeyUse]| keys.trusted(slot, leaf, Vouched::In(audit), WHEN_VALID);
    assert!(trusted(std::slice::from_ref(&opened)).unwrap().takes_private());
    assert!(trusted(&[]).is_err());
    let other = KeyUse { slot: "other".into(), ..opened };
    assert!(trusted(&[other]).is_err());
    // Once believed, it is taken from where it was kept, as long as it is valid.
    let kept = [FetchedKey { id: "KEPT".into(), encoded: leaf.to_vec() }];
    assert!(keys.with_kept("late", &kept, WHEN_VALID).unwrap().holds("late", "KEPT"));
    assert!(keys.with_kept("late", &kept, WHEN_EXPIRED).is_err());
}

#[test]
fn slots_are_refused_by_name_and_rule_and_never_by_value() {
    let weak: &[&str] = &["verify hmac-sha256"];
    let rows: [(&str, &[&str], &str, &str); 10] = [
        ("secret", weak, "hunter2hunter2", "at least 16 bytes"),
        ("secret", weak, "   ", "is empty"),
        ("secret-hex", weak, "hunter2zz", "not hexadecimal"),
        ("secret-base64", weak, "hunter2!", "not base64"),
        ("secret", &["open aes-256-gcm"], "hunter2hunter2hunter2", "32 bytes"),
        ("private-key", &[], "hunter2hunter2xx", "no RSA private key"),
        ("private-key", &[], "-----BEGIN ENCRYPTED PRIVATE KEY-----", "password"),
        ("public-keys", &[], "hunter2hunter2xx", "no RSA public key"),
        ("certificates", &[], "hunter2", "certificate"),
        ("magic", &[], "hunter2", "unknown kind"),
    ];
    for (kind, uses, value, rule) in rows {
        let error = keys(&[("slot-1", kind, uses, &[value])]).err().unwrap();
        assert_eq!(error.slot, "slot-1");
        assert!(error.rule.contains(rule), "{kind}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let mut required = manifest();
    let mut one = slot("must", "secret", &[]);
    one.input.required = true;
    required.slots.push(one);
    let error = Keys::parse(&required, &BTreeMap::new(), false).err().unwrap();
    assert_eq!(error.to_string(), "key slot must is required");
    let unknown = BTreeMap::from([("odd".to_owned(), vec![SecretString::from("x")])]);
    assert!(Keys::parse(&manifest(), &unknown, false).is_err());
}

#[test]
fn uses_that_the_manifest_does_not_list_are_refused() {
    let uses: &[&str] = &["sign rsa-pkcs1-sha256"];
    let keys = keys(&[("app", "private-key", uses, &[KEY])]).unwrap();
    let slot = keys.slot("app").unwrap();
    let data = text("x");
    for (verb, algorithm) in [
        (Verb::Verify, "rsa-pkcs1-sha256"),
        (Verb::Sign, "rsa-pkcs1-sha1"),
        (Verb::Sign, "none"),
        (Verb::Seal, "rsa-oaep-sha1"),
    ] {
        let error = permitted(slot, verb, algorithm, Some(&data)).unwrap_err();
        assert_eq!(error.code, "not-permitted");
    }
}

#[test]
fn keys_print_no_secret() {
    let keys = keys(&[
        ("app", "private-key", &[], &[KEY]),
        ("word", "secret", &[], &["a secret word of mine"]),
    ])
    .unwrap();
    assert_eq!(format!("{keys:?}"), "Keys { slots: [(\"app\", 1), (\"word\", 1)], .. }");
}

#[test]
fn a_secret_that_signs_proves_nothing_when_it_verifies() {
    let word = "0123456789abcdef0123456789abcdef";
    let rows: [(&[&str], bool, bool); 4] = [
        (&["verify hmac-sha256"], false, false),
        (&["verify hmac-sha256", "sign hmac-sha256"], true, false),
        (&["verify md5 *&key={secret}", "sign md5 *&key={secret}"], true, false),
        (&["sign hmac-sha256", "open aes-256-gcm", "seal aes-256-gcm"], true, true),
    ];
    for (uses, verified, opened) in rows {
        let keys = keys(&[("word", "secret", uses, &[word])]).unwrap();
        let slot = keys.slot("word").unwrap();
        assert_eq!((slot.forges(Verb::Verify), slot.forges(Verb::Open)), (verified, opened));
    }
}

#[test]
fn a_private_field_is_sealed_to_a_public_key() {
    let uses: &[&str] = &["seal rsa-oaep-sha1", "seal rsa-oaep-sha256", "seal rsa-pkcs1"];
    let keys = keys(&[("enc", "certificates", uses, &[PROVIDER])]).unwrap();
    let slot = keys.slot("enc").unwrap();
    for algorithm in ["rsa-oaep-sha1", "rsa-oaep-sha256", "rsa-pkcs1"] {
        let use_ = permitted(slot, Verb::Seal, algorithm, None).unwrap();
        let seal = |plain: &[u8]| super::crypto::seal(use_, &slot.members[0], b"", b"", plain);
        let (one, two) = (seal(b"4111").unwrap(), seal(b"4111").unwrap());
        assert_eq!(one.len(), 256);
        assert_ne!(one, two, "padded at random");
        assert_eq!(seal(&[0; 300]).unwrap_err().code, "invalid");
    }
}
