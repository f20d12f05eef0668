//! The gateway as a whole: starts it from a configuration, serves its faces, and stops it without cutting work off.

pub mod admission;
pub mod boundary;
pub mod key;
pub mod listening;
pub mod logs;

use std::fs::DirBuilder;
use std::num::NonZero;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tollgate_domain::ids::MerchantId;
use tollgate_plugin::{Limits, Registry, RegistryConfig};

use self::listening::Caps;
use crate::api;
use crate::api::door::{self, Door};
use crate::api::once::once;
use crate::api::problem::Problem;
use crate::api::table::{self, Table};
use crate::cashier::assets;
use crate::chance::Chance;
use crate::config::{Config, Database, Limits as ConfigLimits, PCI_DSS_SCOPE, Webhooks};
use crate::flows::{FlowError, installation, merchants};
use crate::gateway::{Gateway, Settings};
use crate::jobs;
use crate::net::Net;
use crate::net::merchant::Http;

use crate::store::{self, Store, SystemClock, accounts};

/// How long work that has begun may take once the gateway is to stop.
const TIME_TO_STOP: Duration = Duration::from_secs(10);

/// A gateway that runs. Dropped without [`Running::stop`], it ends with its runtime.
pub struct Running {
    /// Where it is reached on this machine.
    pub url: String,
    /// The key of the merchant that this start made; none if there was one. It is told here and never again.
    pub api_key: Option<String>,
    /// The first merchant.
    pub merchant_id: MerchantId,
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    served: JoinHandle<std::io::Result<()>>,
    worker: JoinHandle<()>,
}

/// Starts a gateway: everything that can go wrong does so before the port is open.
///
/// # Errors
/// The folder, key, database, plugin folder or port that cannot be used.
pub async fn start(config: Config) -> Result<Running> {
    start_with(config, None).await
}

/// The same with plugins that are loaded already, where the caller has them.
///
/// # Errors
/// As [`start`].
pub async fn start_with(config: Config, loaded: Option<Registry>) -> Result<Running> {
    let (data, plugins) = (config.folders.data.as_path(), config.folders.plugins.as_path());
    make_private(data).with_context(|| format!("data: {}", data.display()))?;
    let bills = data.join("bills");
    make_private(&bills).with_context(|| format!("data: {}", bills.display()))?;
    if config.folders.make_plugins {
        make_private(plugins).with_context(|| format!("plugins: {}", plugins.display()))?;
    }
    let chance = Chance::of_the_machine();
    let store = open_store(&config.database).await?;
    let sealed = accounts::all(&mut store.read().await?).await?;
    let sealer = key::sealer(&config.key, config.also.as_ref(), &sealed, &chance)?;
    let marks = match installation::agree_on_key(&store, &sealer, &chance).await {
        Err(FlowError::Seal(error)) => {
            let rule = "sealing key: it is not the one that the database was first used with";
            return Err(error).context(rule);
        }
        agreed => agreed?,
    };
    let plugins = match loaded {
        Some(plugins) => plugins,
        None => open_plugins(&config).await?,
    };
    let plugins = Arc::new(plugins);
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("listen: {}", config.listen))?;
    let url = format!("http://{}", listener.local_addr().context("listen")?);
    let settings = Settings {
        public_url: config.public_url.clone().unwrap_or_else(|| url.clone()),
        bills,
        call_limit: config.limits.call,
        confirm_limit: config.limits.confirm,
        answers_kept: config.limits.answers_kept,
        simulators: config.simulators,
        bills_at_once: config.bills_at_once,
        private_webhooks: config.webhooks.allow_private,
        private_fields: config.private_fields,
        jobs: config.limits.jobs,
    };
    let net = Box::new(Net::new().context("the HTTP client")?);
    let Webhooks { allow_private, timeout } = config.webhooks;
    let courier = Http::new(allow_private, timeout).context("the HTTP client")?;
    let gateway = Arc::new(Gateway {
        store,
        plugins,
        net,
        courier: Box::new(courier),
        chance,
        sealer,
        marks,
        settings,
        accounts: Default::default(),
        asking: Default::default(),
        turns: Default::default(),
        strangers: Default::default(),
        breakers: Default::default(),
        bell: Default::default(),
    });
    let (merchant_id, api_key) = first_merchant(&gateway).await?;
    Ok(serve(gateway, listener, (url, merchant_id, api_key), config.limits))
}

fn serve(
    gateway: Arc<Gateway>,
    listener: TcpListener,
    (url, merchant_id, api_key): (String, MerchantId, Option<String>),
    limits: ConfigLimits,
) -> Running {
    let (stop, stopping) = watch::channel(false);
    let faces = router(gateway.clone(), limits);
    let caps = Caps::usual(limits.connections);
    let served = tokio::spawn(listening::serve(listener, faces, caps, stopping.clone()));
    tokio::spawn(jobs::sweep::run(gateway.clone(), stopping.clone()));
    tokio::spawn(jobs::strangers::run(gateway.clone(), stopping.clone()));
    let worker = tokio::spawn(jobs::run(gateway.clone(), stopping));
    if gateway.settings.private_fields {
        tracing::warn!(
            scope = PCI_DSS_SCOPE,
            "payers' card data is taken: this gateway is in the scope of PCI DSS"
        );
    }
    tracing::info!(url, public_url = gateway.settings.public_url, "ready");
    Running { url, api_key, merchant_id, gateway, stop, served, worker }
}

async fn first_merchant(gateway: &Gateway) -> Result<(MerchantId, Option<String>)> {
    if let Some(added) = merchants::first_start(gateway).await? {
        return Ok((added.row.id, Some(added.secret.expose_secret().to_owned())));
    }
    let mut sql = gateway.store.read().await?;
    let merchant = store::merchants::first(&mut sql).await?;
    Ok((merchant.context("the database has no merchant")?, None))
}

/// Opens the database and brings its tables up to date.
///
/// # Errors
/// It cannot be reached, or is of a newer version.
pub async fn open_store(database: &Database) -> Result<Store> {
    Ok(match database {
        Database::File(file) => Store::open_sqlite(file, Arc::new(SystemClock)).await?,
        Database::Server(url) => Store::open_postgres(url).await?,
    })
}

/// Reads and compiles, so it takes its time, on a thread that may block.
async fn open_plugins(config: &Config) -> Result<Registry> {
    let registry = RegistryConfig {
        folder: config.folders.plugins.clone(),
        cache: config.folders.cache.clone(),
        limits: Limits::default(),
        compiler: config.compiler.clone(),
        // More at once would not end sooner, and what is short would wait behind them: a commit for many payments.
        concurrency: available_parallelism().map_or(2, NonZero::get),
    };
    let registry = tokio::task::spawn_blocking(|| Registry::open(registry)).await??;
    for file in registry.refused() {
        tracing::warn!(file = file.file, reason = file.reason, "a plugin was refused");
    }
    for plugin in registry.plugins() {
        tracing::info!(id = plugin.manifest().id, digest = plugin.digest(), "a plugin was loaded");
    }
    Ok(registry)
}

/// Makes a folder whose content is for its owner alone. One that is there keeps the rights that its owner gave it.
///
/// # Errors
/// It cannot be made.
pub fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Running {
    /// The gateway without its faces.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Waits until the server ends unasked, which it should not.
    pub async fn ended(&mut self) {
        if let Ok(Err(error)) = (&mut self.served).await {
            tracing::error!(%error, "the server ended");
        }
    }

    /// Takes no more connections, lets requests, flows and jobs that have begun come to their end, and gives up on
    /// what takes longer than ten seconds: a flow that is cut off is taken up by its job at the next start.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + TIME_TO_STOP;
        let _ = self.stop.send(true);
        self.gateway.bell.ring();
        if timeout_at(deadline, &mut self.served).await.is_err() {
            self.served.abort();
        }
        if timeout_at(deadline, &mut self.worker).await.is_err() {
            self.worker.abort();
        }
        // Flows whose client hung up go on by themselves: each holds the gateway until it is done.
        while Arc::strong_count(&self.gateway) > 1 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Every face. A request passes the layers from the last to the first: what is refused early costs little.
pub fn router(gateway: Arc<Gateway>, limits: ConfigLimits) -> Router {
    let (documented, _) = api::routes().split_for_parts();
    let (table, rates) = (Arc::new(Table::published()), api::limits::Limits::new(limits.rates));
    let door = Arc::new(Door::new(gateway.clone(), table.clone(), rates));
    let places = Arc::new(Semaphore::new(limits.in_flight));
    documented
        .route("/assets/cashier.css", get(assets::style))
        .route("/assets/cashier.js", get(assets::script))
        .method_not_allowed_fallback(async || {
            Problem::new("method-not-allowed", "this address does not take that method")
        })
        .fallback(async || Problem::not_found("address"))
        .layer(from_fn_with_state(gateway.clone(), once))
        .layer(from_fn_with_state(table, table::keep_to))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(door, door::open))
        .layer(from_fn_with_state(places, admission::admit))
        .layer(from_fn_with_state(gateway.clone(), boundary::guard))
        .with_state(gateway)
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
