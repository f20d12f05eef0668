//! Alipay's plugin on both sides with the same keys, account and payment.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use tollgate_plugin::{Keys, Limits, Plugin, Registry, RegistryConfig};
use tollgate_sdk::Keyring;
use tollgate_sdk::contract::signing::{Part, Piece};
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::harness::MemoryKeys;
use tollgate_sdk::keys::Pick;

pub const APP_ID: &str = "9021000122682882";
pub const SELLER_ID: &str = "2088721003899159";
pub const NOW_MS: i64 = 1_703_112_877_000;
pub const NONCE: &str = "0123456789abcdefghijklmnopqrstuv";

/// Everything that both sides need.
pub struct Fixture {
    /// Alipay's component.
    pub plugin: Arc<Plugin>,
    /// Its keys, as the host holds them.
    pub keys: Arc<Keys>,
    /// The same keys for native code.
    pub native: TimedKeys,
    /// Alipay's own key, with which it signs.
    pub provider: MemoryKeys,
    _cache: tempfile::TempDir,
}

/// Keys in memory that tell how long their operations took.
pub struct TimedKeys {
    keys: MemoryKeys,
    took: Cell<Duration>,
}

impl TimedKeys {
    /// The time since this was last asked.
    pub fn took(&self) -> Duration {
        self.took.take()
    }

    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.took.set(self.took.get() + started.elapsed());
        done
    }
}

impl Keyring for TimedKeys {
    fn attribute(&self, slot: &str, name: &str) -> Vec<String> {
        self.keys.attribute(slot, name)
    }

    fn is_filled(&self, slot: &str) -> bool {
        self.keys.is_filled(slot)
    }

    fn sign(&self, key: Pick<'_>, algorithm: &str, data: &[Piece]) -> Result<Vec<u8>, Fault> {
        self.timed(|| self.keys.sign(key, algorithm, data))
    }

    fn verify(
        &self,
        key: Pick<'_>,
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        self.timed(|| self.keys.verify(key, algorithm, data, signature))
    }

    fn verify_by(
        &self,
        slot: &str,
        certificate: &[u8],
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        self.timed(|| self.keys.verify_by(slot, certificate, algorithm, data, signature))
    }

    fn open(
        &self,
        slot: &str,
        algorithm: &str,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        self.timed(|| self.keys.open(slot, algorithm, nonce, aad, sealed))
    }

    fn seal(&self, slot: &str, algorithm: &str, parts: &[Part]) -> Result<Vec<u8>, Fault> {
        self.timed(|| self.keys.seal(slot, algorithm, parts))
    }
}

/// The folder of plugins that `cargo xtask bench` names.
pub fn plugins(variable: &str) -> PathBuf {
    std::env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| panic!("{variable} is not set"))
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

impl Fixture {
    /// Loads the component and makes keys.
    pub fn new() -> Fixture {
        let cache = tempfile::tempdir().unwrap();
        let registry = Registry::open(RegistryConfig {
            folder: plugins("TOLLGATE_PLUGINS"),
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
            keys: Arc::new(Keys::parse(plugin.manifest(), &texts).unwrap()),
            native: TimedKeys {
                keys: native.public("alipay-public-key", None, &provider.public),
                took: Cell::default(),
            },
            provider: MemoryKeys::default().private("own", &provider.private).unwrap(),
            plugin,
            _cache: cache,
        }
    }
}

/// The account as a context, and a payment of two items. The contract's types are made twice, by the host's bindings
/// and by the plugin's: the same words make a value of each.
macro_rules! arguments {
    () => {
        /// What a call is told of the account and the moment.
        pub fn context() -> Context {
            let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            Context {
                now_ms: super::NOW_MS,
                nonce: super::NONCE.to_owned(),
                idempotency_key: "P00000000000000000000001".to_owned(),
                trace_id: "0123456789abcdef".to_owned(),
                live: false,
                settings: vec![
                    owned("app_id", super::APP_ID),
                    owned("seller_id", super::SELLER_ID),
                ],
                origins: vec![
                    owned("gateway", "https://gate.test"),
                    owned("bill", "http://bill.test"),
                ],
                extra: Vec::new(),
            }
        }

        fn money(minor: i64) -> Money {
            Money { minor, currency: "CNY".to_owned(), exponent: 2 }
        }

        fn item(name: &str, minor: i64) -> Item {
            Item { name: name.to_owned(), quantity: 2, unit: money(minor), extra: Vec::new() }
        }

        fn payment() -> Payment {
            Payment {
                payment_ref: "P00000000000000000000001".to_owned(),
                provider_ref: None,
                method: "page".to_owned(),
                amount: money(12_500),
                created_ms: super::NOW_MS,
                kept: Vec::new(),
            }
        }

        /// A payment on Alipay's page.
        pub fn pay() -> Operation {
            Operation::Pay(PayRequest {
                payment: payment(),
                order_ref: "2023-1221-0001".to_owned(),
                subject: "Green tea & two cups".to_owned(),
                description: Some("First harvest, 250 g".to_owned()),
                items: vec![item("绿茶 250 g", 4_250), item("Cup", 2_000)],
                deliver_to: None,
                notify_url: "https://pay.test/notify/acc_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0b"
                    .to_owned(),
                return_url: "https://pay.test/return/pay_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0c"
                    .to_owned(),
                cancel_url: Some("https://pay.test/pay/TOKENTOKENTOKENTOKENTOKEN".to_owned()),
                payer_ip: Some("192.0.2.7".to_owned()),
                payer_id: None,
                locale: Some("zh-CN".to_owned()),
                expires_ms: super::NOW_MS + 7_200_000,
                manual_capture: false,
                private_fields: Vec::new(),
                extra: Vec::new(),
            })
        }

        /// A message as it comes to us.
        pub fn message(body: &str) -> Inbound {
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            Inbound {
                channel: Channel::Notification,
                method: "POST".to_owned(),
                url: "https://pay.test/notify/acc_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0b".to_owned(),
                query: String::new(),
                headers: vec![("content-type".to_owned(), kind.to_owned())],
                body: body.as_bytes().to_vec(),
                received_ms: super::NOW_MS,
            }
        }
    };
}

/// Values of the host's types.
pub mod host {
    use tollgate_plugin::contract::{
        Channel, Context, Inbound, Item, Money, Operation, PayRequest, Payment,
    };

    arguments!();

    /// The same payment with a wish that the plugin refuses at once: what is left of a call is the call itself.
    pub fn refused() -> Operation {
        let Operation::Pay(request) = pay() else { unreachable!("a payment is what was made") };
        Operation::Pay(PayRequest { manual_capture: true, ..request })
    }
}

/// Values of the plugin's types.
pub mod native {
    use tollgate_sdk::contract::requests::{Item, Operation, PayRequest};
    use tollgate_sdk::contract::types::{Channel, Context, Inbound, Money, Payment};

    arguments!();
}
