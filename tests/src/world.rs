//! A gateway and a simulator of the test's own, both in this process, talking over loopback.

use std::path::PathBuf;

use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;
use tollgate::config::{
    Config, Given, GivenDatabase, GivenLimits, GivenWebhooks, KeySource, PCI_DSS_SCOPE,
};
use tollgate::server::{self, Running};
use tollgate_plugin::{Limits, Registry, RegistryConfig, Witness};
use tollgate_simulator::{Config as SimulatorConfig, Simulator};

use crate::database::Storage;
use crate::shop::number;
use crate::{Reply, place};

/// Keys and compiled components are made by whoever comes first; the others wait for them.
static FIRST: Mutex<()> = Mutex::const_new(());

/// How a world differs from the usual one.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How long one call of the provider may take, in milliseconds.
    pub call_ms: u64,
    /// How long a notification waits for the confirming query, in milliseconds.
    pub confirm_ms: u64,
    /// The folder of plugins; none: the providers' own.
    pub plugins: Option<PathBuf>,
    /// How many times faster than real the provider repeats its notifications.
    pub time_scale: u64,
    /// Whether a day's bill is there before its time.
    pub bills_at_once: bool,
    /// Who sees the memory of each plugin's instance when it ends.
    pub witness: Option<Witness>,
    /// Whether payers' private fields are taken.
    pub private_fields: bool,
    /// The provider that the world's verbs are about; all are there.
    pub provider: &'static str,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            provider: "alipay",
            call_ms: 10_000,
            confirm_ms: 3_000,
            plugins: None,
            time_scale: 1,
            bills_at_once: true,
            witness: None,
            private_fields: false,
        }
    }
}

/// Everything that a test plays with.
pub struct World {
    /// The provider.
    pub simulator: Simulator,
    /// The gateway; none while it is stopped.
    pub gateway: Option<Running>,
    /// A client that follows no redirects.
    pub client: reqwest::Client,
    /// Where the gateway is.
    pub url: String,
    /// The merchant's key.
    pub key: String,
    /// The gateway's folder.
    pub folder: TempDir,
    /// Its database.
    pub storage: Storage,
    setup: Setup,
}

impl World {
    /// The usual world.
    pub async fn start() -> World {
        World::with(Setup::default()).await
    }

    /// A world that differs.
    pub async fn with(setup: Setup) -> World {
        World::on(Storage::new().await, setup).await
    }

    /// A world on a database of the test's own.
    pub async fn on(storage: Storage, setup: Setup) -> World {
        let mut world = World::without_gateway(storage, setup).await;
        let first = FIRST.lock().await;
        let config = configured(&world.setup, world.data(), world.storage.url(), None);
        let gateway = begin(&world.setup, config).await;
        drop(first);
        (world.url, world.key) = (gateway.url.clone(), gateway.api_key.clone().unwrap());
        world.gateway = Some(gateway);
        world
    }

    /// A world whose gateway is yet to come: `url` and `key` are to be set by whoever starts it.
    pub async fn without_gateway(storage: Storage, setup: Setup) -> World {
        let folder = tempfile::tempdir().unwrap();
        let first = FIRST.lock().await;
        let simulator = SimulatorConfig {
            seed: Some(7),
            time_scale: setup.time_scale,
            data: Some(place::shared("simulator-keys")),
            bill_ready_at_once: setup.bills_at_once,
            ..SimulatorConfig::default()
        };
        let simulator = Simulator::start(simulator).await.unwrap();
        drop(first);
        let client =
            reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        let (url, key) = (String::new(), String::new());
        World { simulator, gateway: None, client, url, key, folder, storage, setup }
    }

    /// Where the gateway keeps everything.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops the gateway and starts it again on what it left behind, where it was before.
    pub async fn restart(&mut self) {
        self.stop_gateway().await;
        let listen = self.url.strip_prefix("http://").unwrap().to_owned();
        let config = configured(&self.setup, self.data(), self.storage.url(), Some(listen));
        self.gateway = Some(begin(&self.setup, config).await);
    }

    /// Starts one more gateway on the same database, with the same key; none on an engine that takes but one.
    pub async fn replica(&self) -> Option<Running> {
        let url = self.storage.url()?;
        let data = self.folder.path().join(number("replica"));
        let config = alone(data, &url, self.data().join("sealing.key"));
        Some(server::start(config).await.unwrap())
    }

    /// Stops the gateway alone.
    pub async fn stop_gateway(&mut self) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop().await;
        }
    }

    /// What the simulator tells an operator to sign up with: `account`, or another that this provider has.
    pub fn credentials(&self, which: &str) -> Value {
        let providers = self.simulator.providers();
        let own = providers.iter().find(|provider| provider["plugin"] == self.setup.provider);
        own.unwrap()[which].clone()
    }

    /// A request to the gateway, with the merchant's key.
    pub async fn get(&self, path: &str) -> Reply {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.key);
        Reply::of(request.send().await.unwrap()).await
    }

    /// A request with a JSON body to the gateway, with the merchant's key.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.post_text(path, &body.to_string()).await
    }

    /// The same to another gateway on the same database.
    pub async fn post_at(&self, url: &str, path: &str, body: Value) -> Reply {
        let request = self.client.post(format!("{url}{path}")).bearer_auth(&self.key);
        Reply::of(request.json(&body).send().await.unwrap()).await
    }

    /// A request with a body to the gateway that may be no JSON at all.
    pub async fn post_text(&self, path: &str, body: &str) -> Reply {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = request.header("content-type", "application/json").body(body.to_owned());
        Reply::of(request.send().await.unwrap()).await
    }

    /// The provider that this world is about.
    pub fn provider(&self) -> &'static str {
        self.setup.provider
    }

    fn controls(&self, path: &str) -> String {
        format!("{}/control/{}/{path}", self.simulator.url, self.setup.provider)
    }

    /// Asks the simulator: `trades/…`, `calls?…`.
    pub async fn simulated(&self, path: &str) -> Value {
        let url = self.controls(path);
        Reply::of(self.client.get(url).send().await.unwrap()).await.ok()
    }

    /// Tells the simulator: `faults`, `bill-edits`, `notifications`…
    pub async fn control(&self, path: &str, body: Value) -> Value {
        let url = self.controls(path);
        Reply::of(self.client.post(url).json(&body).send().await.unwrap()).await.ok()
    }

    /// Takes back what the simulator was told: `faults`, `bill-edits`, `calls`.
    pub async fn forget(&self, path: &str) {
        let url = self.controls(path);
        Reply::of(self.client.delete(url).send().await.unwrap()).await.ok();
    }

    /// Signs the merchant up at the simulator, with what it tells first.
    pub async fn account(&self) -> Value {
        let account = self.post("/v1/accounts", self.credentials("account")).await.ok();
        // Some providers are told once, for the account, where to notify.
        if self.credentials("register_notify_url") == true {
            let url = json!({ "url": account["notify_url"] });
            self.control("special/endpoint", url).await;
        }
        account
    }

    /// Makes the provider misbehave at one call: see the simulator's README.
    pub async fn fault(&self, on: &str, verb: &str, more: Value) {
        let mut rule = json!({ "on": on, "verb": verb });
        for (name, value) in more.as_object().into_iter().flatten() {
            rule[name] = value.clone();
        }
        self.control("faults", rule).await;
    }
}

async fn begin(setup: &Setup, config: Config) -> Running {
    let watched = setup.witness.as_ref().map(|witness| {
        let registry = RegistryConfig {
            folder: config.folders.plugins.clone(),
            cache: config.folders.cache.clone(),
            limits: Limits::default(),
            compiler: None,
            concurrency: 8,
        };
        Registry::open_watched(registry, witness).unwrap()
    });
    server::start_with(config, watched).await.unwrap()
}

fn configured(
    setup: &Setup,
    data: PathBuf,
    database: Option<String>,
    listen: Option<String>,
) -> Config {
    let given = Given {
        database: database
            .map(|url| GivenDatabase { url: Some(url.into()), ..GivenDatabase::default() }),
        listen: listen.or(Some("127.0.0.1:0".to_owned())),
        data: Some(data),
        plugins: Some(setup.plugins.clone().unwrap_or_else(place::plugins)),
        simulators: Some(true),
        bills_at_once: Some(setup.bills_at_once),
        private_fields: setup.private_fields.then(|| PCI_DSS_SCOPE.to_owned()),
        webhooks: Some(GivenWebhooks { allow_private: Some(true), timeout_ms: Some(30_000) }),
        limits: Some(GivenLimits {
            call_ms: Some(setup.call_ms),
            confirm_ms: Some(setup.confirm_ms),
            ..GivenLimits::default()
        }),
        ..Given::default()
    };
    let mut config = Config::check(given).unwrap();
    config.folders.cache = place::shared("compiled");
    config
}

/// The settings of a gateway that a test starts by itself, on a server.
pub fn alone(data: PathBuf, database: &str, key: PathBuf) -> Config {
    let mut config = configured(&Setup::default(), data, Some(database.to_owned()), None);
    config.key = KeySource::File(key);
    config
}
