//! The published messages of Alipay through the compiled component and the host's own keys: what its native tests
//! read, the sandbox reads too, and a changed byte is refused. Sources: `plugins/alipay/vectors/README.md`.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use tollgate_plugin::contract::{
    Channel, Context, Event, Fault, Inbound, PaymentStatus, Reading, Subject,
};
use tollgate_plugin::{Called, Keys, Plugin, Registry};
use tollgate_tests::place;

const RETURN: &str = include_str!("../../plugins/alipay/vectors/return.query.txt");
const NOTIFICATION: &str = include_str!("../../plugins/alipay/vectors/notification.form.txt");
const APP_KEY: &str = include_str!("../../plugins/alipay/vectors/alipay-app-private-key.pkcs1.b64");
const ALIPAY_KEY: &str = include_str!("../../plugins/alipay/vectors/alipay-public-key.spki.b64");
/// 2023-12-21T16:30:00+08:00, when the messages were fresh.
const NOW_MS: i64 = 1_703_147_400_000;

struct Bench {
    plugin: Arc<Plugin>,
    keys: Arc<Keys>,
    // The plugin runs on its registry's engine.
    _registry: Registry,
}

fn bench() -> Bench {
    let registry = place::registry();
    let plugin = registry.get("alipay").unwrap();
    let secret = |text: &str| vec![SecretString::from(text.trim().to_owned())];
    let secrets = BTreeMap::from([
        ("app-private-key".to_owned(), secret(APP_KEY)),
        ("alipay-public-key".to_owned(), secret(ALIPAY_KEY)),
    ]);
    let keys = Arc::new(Keys::parse(plugin.manifest(), &secrets, false).unwrap());
    Bench { plugin, keys, _registry: registry }
}

async fn read(bench: &Bench, channel: Channel, text: &str) -> Called<Result<Reading, Fault>> {
    let returned = channel == Channel::BrowserReturn;
    let message = Inbound {
        channel,
        method: if returned { "GET" } else { "POST" }.to_owned(),
        url: "https://gateway.example/notify".to_owned(),
        query: if returned { text.to_owned() } else { String::new() },
        // As the provider really sends it, illegal parameter and all.
        headers: vec![(
            "content-type".to_owned(),
            "application/x-www-form-urlencoded; text/html; charset=utf-8".to_owned(),
        )],
        body: if returned { Vec::new() } else { text.as_bytes().to_vec() },
        received_ms: NOW_MS,
    };
    let context = Context {
        now_ms: NOW_MS,
        nonce: "0123456789abcdefghijklmnopqrstuv".to_owned(),
        idempotency_key: "vector".to_owned(),
        trace_id: "vector".to_owned(),
        live: false,
        settings: vec![
            ("app_id".to_owned(), "9021000122682882".to_owned()),
            ("seller_id".to_owned(), "2088721003899159".to_owned()),
        ],
        origins: Vec::new(),
        extra: Vec::new(),
    };
    bench.plugin.read(context, &bench.keys, message, None, None).await.unwrap()
}

fn only_event(called: Called<Result<Reading, Fault>>) -> Event {
    match called.answer.unwrap() {
        Reading::Events((_, mut events)) if events.len() == 1 => events.remove(0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_published_notification_is_read_in_the_sandbox() {
    let bench = bench();
    let called = read(&bench, Channel::Notification, NOTIFICATION.trim_end()).await;
    assert!(called.signature_held(), "the host saw the signature hold");
    let fact = only_event(called).fact;
    assert_eq!(fact.about, Subject::Payment(PaymentStatus::Succeeded));
    assert_eq!(fact.payment_ref.as_deref(), Some("1703147160"));
    assert_eq!(fact.provider_ref.as_deref(), Some("2023122122001499160501589436"));
    let amount = fact.amount.unwrap();
    assert_eq!((amount.minor, amount.currency.as_str(), amount.exponent), (1, "CNY", 2));
    assert_eq!(fact.at.as_deref(), Some("2023-12-21T16:26:43+08:00"));
}

#[tokio::test]
async fn the_published_return_is_read_in_the_sandbox_and_proves_no_payment() {
    let bench = bench();
    let called = read(&bench, Channel::BrowserReturn, RETURN.trim_end()).await;
    assert!(called.signature_held());
    let fact = only_event(called).fact;
    assert_eq!(fact.payment_ref.as_deref(), Some("1703141270"));
    assert_ne!(fact.about, Subject::Payment(PaymentStatus::Succeeded));
}

#[tokio::test]
async fn a_changed_byte_of_either_is_refused() {
    let bench = bench();
    let notification = NOTIFICATION.trim_end().replace("total_amount=0.01", "total_amount=0.02");
    let returned = RETURN.trim_end().replace("total_amount=0.01", "total_amount=9.01");
    assert_ne!(notification, NOTIFICATION.trim_end());
    assert_ne!(returned, RETURN.trim_end());
    let messages = [(Channel::Notification, notification), (Channel::BrowserReturn, returned)];
    for (channel, text) in messages {
        let called = read(&bench, channel, &text).await;
        assert!(!called.signature_held());
        assert_eq!(called.answer.unwrap_err().code, "signature");
    }
}
