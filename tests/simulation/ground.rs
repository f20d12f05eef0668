//! What all seeds share, made once: the loaded plugin, and a database with two merchants and their accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor};
use sqlx_sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tollgate::chance::Chance;
use tollgate::flows::accounts::{self, NewAccount, Secret};
use tollgate::flows::endpoints::{self, Wanted};
use tollgate::flows::{FlowError, merchants};
use tollgate::gateway::{Gateway, Settings};
use tollgate::net::Way;
use tollgate::net::merchant::Courier;
use tollgate::sealing::{Marks, Sealer};
use tollgate::store::Store;
use tollgate_domain::ids::{AccountId, MerchantId};
use tollgate_plugin::{Limits, Registry, RegistryConfig};
use tollgate_tests::place;

use crate::gate::Gates;
use crate::provider::bills::FEE;
use crate::provider::simulated::Simulated;
use crate::provider::{Provider, SHOPS, Shop, Whims};
use crate::time::{ReplicaClock, START, Time};

/// A merchant and its account at the provider.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The merchant.
    pub merchant: MerchantId,
    /// Its account.
    pub account: AccountId,
}

/// The ways to providers and to merchants.
pub type Ways = (Box<dyn Way>, Box<dyn Courier>);

/// Who the provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The scripted one.
    Scripted,
    /// Scripted too, by other rules: nothing can be closed, what is approved is to be taken, refunds are only told of.
    Stern,
    /// Alipay's plugin and its simulator.
    Alipay,
    /// WeChat Pay's.
    WechatPay,
    /// UnionPay's.
    UnionPay,
    /// Stripe's.
    Stripe,
    /// PayPal's.
    PayPal,
}

impl Which {
    fn plugin(self) -> &'static str {
        match self {
            Which::Scripted => "scripted",
            Which::Stern => "stern",
            Which::Alipay => "alipay",
            Which::WechatPay => "wechatpay",
            Which::UnionPay => "unionpay",
            Which::Stripe => "stripe",
            Which::PayPal => "paypal",
        }
    }

    /// Whether its provider is scripted, and no simulator.
    pub fn is_scripted(self) -> bool {
        matches!(self, Which::Scripted | Which::Stern)
    }

    /// The methods that shops choose from.
    pub fn methods(self) -> &'static [&'static str] {
        match self {
            Which::Scripted | Which::Stern | Which::UnionPay => &["page"],
            Which::Alipay => &["page", "qr"],
            Which::WechatPay => &["native"],
            Which::Stripe => &["checkout"],
            Which::PayPal => &["wallet"],
        }
    }
}

/// What all seeds share.
pub struct Ground {
    /// Who the provider is.
    pub which: Which,
    /// The loaded plugins.
    pub plugins: Arc<Registry>,
    /// The merchants, in the order of [`SHOPS`].
    pub owners: Vec<Owner>,
    /// A database file in which they are.
    template: Vec<u8>,
    folder: TempDir,
}

impl Ground {
    /// Loads the plugin and makes the database.
    pub fn make(which: Which) -> Ground {
        let folder = in_memory_folder();
        let plugins = Arc::new(registry(folder.path(), which));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = folder.path().join("first.db");
        let (owners, template) = runtime.block_on(async {
            let time = Time::default();
            let clock = Arc::new(ReplicaClock::new(time.clone()));
            let store = Store::open_sqlite(&file, clock.clone()).await.unwrap();
            let provider = Provider::new(0, Whims::default(), time, (None, Vec::new()));
            let provider = Arc::new(std::sync::Mutex::new(provider));
            let (database, inbox) = (Arc::default(), Arc::default());
            let gates = Gates { database, provider, inbox, clock };
            let ways: Ways = (Box::new(gates.clone()), Box::new(gates));
            let gateway = gateway(plugins.clone(), store, ways, 0, folder.path());
            let owners = owners(&gateway, which).await;
            (owners, copy_of(&file, &folder.path().join("template.db")).await)
        });
        Ground { which, plugins, owners, template, folder }
    }

    /// A new database for a seed, in which the merchants are.
    pub fn database(&self, seed: u64) -> PathBuf {
        let file = self.folder.path().join(format!("seed-{seed}.db"));
        std::fs::write(&file, &self.template).unwrap();
        file
    }

    /// The provider of a seed.
    pub fn provider(&self, seed: u64, whims: Whims, time: Time) -> Provider {
        let accounts: Vec<String> =
            self.owners.iter().map(|owner| owner.account.to_string()).collect();
        let simulated = (!self.which.is_scripted()).then(|| {
            let mut simulated = Simulated::new(self.which.plugin(), seed, time.clone());
            simulated.register(&accounts[0]);
            simulated
        });
        let mut provider = Provider::new(seed, whims, time, (simulated, accounts));
        provider.is_stern = self.which == Which::Stern;
        provider.counts_pending = seed.is_multiple_of(3);
        provider
    }

    /// A gateway over `store`, with chance of its own.
    pub fn gateway(&self, store: Store, ways: Ways, chance: u64, bills: &Path) -> Gateway {
        gateway(self.plugins.clone(), store, ways, chance, bills)
    }
}

/// A folder that costs no disk, where the machine has one.
fn in_memory_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("tollgate-simulation-");
    if memory.is_dir()
        && let Ok(folder) = builder.tempdir_in(memory)
    {
        return folder;
    }
    builder.tempdir().unwrap()
}

fn registry(folder: &Path, which: Which) -> Registry {
    let plugins = folder.join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let file = format!("{}.wasm", which.plugin());
    let from = match which {
        Which::Scripted | Which::Stern => place::test_plugins(),
        _ => place::plugins(),
    };
    std::fs::copy(from.join(&file), plugins.join(&file)).unwrap();
    let config = RegistryConfig {
        folder: plugins,
        cache: place::shared("compiled"),
        limits: Limits::default(),
        compiler: None,
        concurrency: 8,
    };
    let registry = Registry::open(config).unwrap();
    assert!(registry.get(which.plugin()).is_some(), "{:?}", registry.refused());
    registry
}

fn gateway(
    plugins: Arc<Registry>,
    store: Store,
    (net, courier): Ways,
    chance: u64,
    bills: &Path,
) -> Gateway {
    Gateway {
        store,
        plugins,
        net,
        courier,
        chance: Chance::seeded(chance),
        sealer: Sealer::new(&[7; 32]).unwrap(),
        marks: Marks::new(&[7; 32]),
        settings: Settings {
            public_url: "https://gateway.invalid".to_owned(),
            bills: bills.to_owned(),
            call_limit: Duration::from_secs(10),
            confirm_limit: Duration::from_secs(3),
            answers_kept: Duration::from_secs(86_400),
            simulators: true,
            bills_at_once: false,
            private_webhooks: false,
            private_fields: false,
            jobs: Default::default(),
        },
        accounts: Default::default(),
        asking: Default::default(),
        turns: Default::default(),
        strangers: Default::default(),
        breakers: Default::default(),
        bell: Default::default(),
    }
}

async fn owners(gateway: &Gateway, which: Which) -> Vec<Owner> {
    let first = merchants::first_start(gateway).await.unwrap().unwrap().row.id;
    let second: MerchantId = gateway.chance.id(START);
    let statement =
        format!("INSERT INTO merchants (id, name, created_at) VALUES ('{second}', 'Second', 0)");
    let statement = &statement;
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move {
            let text = sqlx::raw_sql(AssertSqlSafe(statement.clone()));
            tx.sql().execute(text).await.map_err(tollgate::store::StoreError::from)?;
            Ok(())
        })
    });
    write.await.unwrap();
    let mut owners = Vec::new();
    for (merchant, shop) in [first, second].into_iter().zip(SHOPS) {
        let new = match which {
            Which::Scripted | Which::Stern => scripted(which.plugin(), shop),
            _ => simulated(which.plugin()),
        };
        let row = accounts::create(gateway, merchant, new, None).await.unwrap();
        owners.push(Owner { merchant, account: row.id });
    }
    let wanted = Wanted {
        url: "https://shop.example.com/events".to_owned(),
        description: "Everything".to_owned(),
        kinds: Vec::new(),
    };
    // One of the two: the other's events are a matter of lists.
    endpoints::create(gateway, owners[0].merchant, wanted, None).await.unwrap();
    owners
}

fn scripted(plugin: &str, shop: Shop) -> NewAccount {
    let one = |text: &str| Secret::One(text.to_owned());
    NewAccount {
        plugin: plugin.to_owned(),
        name: shop.name.to_owned(),
        live: false,
        simulator: false,
        settings: BTreeMap::from([("shop".to_owned(), shop.name.to_owned())]),
        secrets: [("ours".to_owned(), one(shop.ours)), ("theirs".to_owned(), one(shop.theirs))]
            .into(),
        origins: BTreeMap::new(),
        fee: Some(FEE),
    }
}

/// As the simulator tells an operator to sign up.
fn simulated(plugin: &'static str) -> NewAccount {
    let account = Simulated::new(plugin, 0, Time::default()).account;
    let texts = |name: &str| -> BTreeMap<String, String> {
        serde_json::from_value(account[name].clone()).unwrap()
    };
    NewAccount {
        plugin: plugin.to_owned(),
        name: plugin.to_owned(),
        live: false,
        simulator: true,
        settings: texts("settings"),
        secrets: texts("secrets")
            .into_iter()
            .map(|(slot, text)| (slot, Secret::One(text)))
            .collect(),
        origins: texts("origins"),
        fee: None,
    }
}

/// The database as one file, whatever still lies in its log.
async fn copy_of(file: &Path, copy: &Path) -> Vec<u8> {
    let options = SqliteConnectOptions::new().filename(file);
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    db.execute(AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display()))).await.unwrap();
    db.close().await.unwrap();
    std::fs::read(copy).unwrap()
}
