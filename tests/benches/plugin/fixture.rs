//! Alipay's plugin on both sides with the same keys, account and payment.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tollgate_plugin::{Keys, Limits, Plugin, Registry, RegistryConfig};
use tollgate_sdk::harness::MemoryKeys;
use tollgate_tests::arguments::Given;
use tollgate_tests::place;
use tollgate_tests::timed_keys::TimedKeys;

pub const APP_ID: &str = "9021000122682882";
pub const SELLER_ID: &str = "2088721003899159";

/// Everything that both sides need.
pub struct Fixture {
    /// Alipay's component.
    pub plugin: Arc<Plugin>,
    /// Its keys, as the host holds them.
    pub keys: Arc<Keys>,
    /// The same keys for native code.
    pub native: TimedKeys,
    /// The account, and how its payers pay.
    pub given: Given,
    /// Alipay's own key, with which it signs.
    pub provider: MemoryKeys,
    _cache: tempfile::TempDir,
}

struct Pair {
    private: Vec<u8>,
    public: Vec<u8>,
}

fn pair() -> Pair {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let half = pair.public_key();
    let public: PublicKeyX509Der<'_> = half.as_der().unwrap();
    Pair { private: private.as_ref().to_vec(), public: public.as_ref().to_vec() }
}

fn owned(pairs: [(&str, &str); 2]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

impl Fixture {
    /// Loads the component and makes keys.
    pub fn new() -> Fixture {
        let cache = tempfile::tempdir().unwrap();
        let registry = Registry::open(RegistryConfig {
            folder: place::plugins(),
            cache: cache.path().to_owned(),
            limits: Limits::default(),
            compiler: None,
            concurrency: 2,
        });
        let plugin = registry.unwrap().get("alipay").unwrap();
        let (merchant, provider) = (pair(), pair());
        let slots =
            [("app-private-key", &merchant.private), ("alipay-public-key", &provider.public)];
        let texts: BTreeMap<String, Vec<SecretString>> = slots
            .into_iter()
            .map(|(slot, der)| (slot.to_owned(), vec![SecretString::from(STANDARD.encode(der))]))
            .collect();
        let native = MemoryKeys::default().private("app-private-key", &merchant.private).unwrap();
        Fixture {
            keys: Arc::new(Keys::parse(plugin.manifest(), &texts, false).unwrap()),
            native: TimedKeys::new(native.public("alipay-public-key", None, &provider.public)),
            provider: MemoryKeys::default().private("own", &provider.private).unwrap(),
            given: Given {
                settings: owned([("app_id", APP_ID), ("seller_id", SELLER_ID)]),
                origins: owned([("gateway", "https://gate.test"), ("bill", "http://bill.test")]),
                method: "page".to_owned(),
                currency: "CNY".to_owned(),
            },
            plugin,
            _cache: cache,
        }
    }
}
