//! A component that hands back its whole memory after it has asked for everything, and one whose provider reflects the
//! secret that the host put in: neither ever sees a byte of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::json;
use tollgate_plugin::Keys;
use tollgate_plugin::contract::{Context, Money, Operation, Payment, Step};

use crate::needles::{Needles, of_private_key};
use crate::{canary, stage};

const NONCE: &str = "the-nonce-of-this-very-call-00001";

struct Secrets {
    texts: Vec<(&'static str, String)>,
    needles: Needles,
}

/// A secret of each kind, and what to look for.
fn secrets() -> Secrets {
    let bytes = |seed: u8| (0..32).map(|n: u8| n.wrapping_mul(167) ^ seed).collect::<Vec<u8>>();
    let word = "Canary_of~32.bytes!no/text+has=1";
    let key = canary::private_key();
    let mut looked_for =
        vec![("word", word.as_bytes().to_vec()), ("hex", bytes(0xa1)), ("base64", bytes(0x3d))];
    looked_for.extend(of_private_key(&key));
    Secrets {
        needles: Needles::of(&looked_for),
        texts: vec![
            ("word", word.to_owned()),
            ("hex", hex::encode(bytes(0xa1))),
            ("base64", STANDARD.encode(bytes(0x3d))),
            ("key", key),
        ],
    }
}

fn context() -> Context {
    Context {
        now_ms: 1_700_000_000_000,
        nonce: NONCE.to_owned(),
        idempotency_key: "key".to_owned(),
        trace_id: "trace".to_owned(),
        live: false,
        settings: Vec::new(),
        origins: vec![("gateway".to_owned(), "https://provider.invalid".to_owned())],
        extra: Vec::new(),
    }
}

fn operation() -> Operation {
    Operation::QueryPayment(Payment {
        payment_ref: "REFERENCE-OF-THE-PAYMENT".to_owned(),
        provider_ref: None,
        method: "memory".to_owned(),
        amount: Money { minor: 1250, currency: "CNY".to_owned(), exponent: 2 },
        created_ms: 0,
        kept: Vec::new(),
    })
}

#[tokio::test]
async fn a_components_whole_memory_holds_no_secret_byte() {
    let registry = stage::registry(&["mirror"]);
    let plugin = registry.get("mirror").unwrap();
    let secrets = secrets();
    let texts: BTreeMap<String, Vec<SecretString>> = secrets
        .texts
        .iter()
        .map(|(slot, text)| ((*slot).to_owned(), vec![SecretString::from(text.as_str())]))
        .collect();
    let keys = Arc::new(Keys::parse(plugin.manifest(), &texts, false).unwrap());
    let called = plugin.build(context(), &keys, &operation(), Vec::new()).await.unwrap();
    let Ok(Step::Send((_, memory))) = called.answer else { panic!("{:?}", called.answer) };
    let has = |text: &str| memory.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(memory.len() > 1 << 16, "a memory of {} bytes", memory.len());
    assert!(
        has("REFERENCE-OF-THE-PAYMENT") && has("provider.invalid"),
        "this is no image of the memory"
    );
    secrets.needles.absent("the component's memory", &memory);
    let worked =
        |verb: &str| called.audit.iter().filter(|used| used.ok && used.operation == verb).count();
    assert!(worked("sign") >= 3 && worked("derive") == 1, "{:?}", called.audit);
    secrets.needles.absent("the audit", serde_json::to_vec(&called.audit).unwrap());
    secrets.needles.absent("the log", format!("{:?} {keys:?}", called.logs));
}

#[tokio::test]
async fn a_provider_that_reflects_a_secret_tells_it_to_no_plugin() {
    let (world, _plugins) = stage::world(&["mirror"]).await;
    let echo = stage::Echo::start().await;
    let secrets = secrets();
    let slots: serde_json::Map<_, _> =
        secrets.texts.iter().map(|(slot, text)| ((*slot).to_owned(), json!(text))).collect();
    let account = stage::account(&world, "mirror", &echo.url, slots.into()).await;
    let payment = stage::pay(&world, &account, "header").await;
    let heard = echo.heard().concat();
    assert!(
        secrets.needles.find(heard.as_bytes()).is_some(),
        "the provider was sent no secret: {heard}"
    );
    let shown = payment["action"]["content"].as_str().unwrap();
    assert!(shown.contains("x-reflected") && shown.contains("[redacted]"), "{payment}");
    secrets.needles.absent("what the plugin was answered", shown);
    for (name, bytes) in canary::files(&world) {
        secrets.needles.absent(&name, bytes);
    }
    assert!(!world.select("SELECT record FROM exchanges").await.is_empty());
}
