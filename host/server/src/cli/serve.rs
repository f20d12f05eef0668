//! `tollgate serve`: flags over the environment over a file, then the gateway until a signal.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use crate::config::{Config, ConfigError, Database, Given, GivenDatabase, GivenKey, read_file};
use crate::server;
use crate::server::logs;

/// What `serve` takes. Each stands above its variable, that above the file.
#[derive(Args)]
pub struct Serve {
    /// A TOML file of settings.
    #[arg(long, env = "TOLLGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, env = "TOLLGATE_LISTEN", value_name = "IP:PORT")]
    listen: Option<String>,
    /// What providers and payers reach the gateway by.
    #[arg(long, env = "TOLLGATE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Where bills, compiled plugins and, without an address below, the database lie.
    #[arg(long, env = "TOLLGATE_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the plugins lie; `plugins` in the data folder if you do not say.
    #[arg(long, env = "TOLLGATE_PLUGINS", value_name = "FOLDER")]
    plugins: Option<PathBuf>,
    /// A PostgreSQL database instead of a file in the data folder. Others see what stands in a command line: an address
    /// with a password belongs into the variable or a file.
    #[arg(long, env = "TOLLGATE_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// A file that holds that address.
    #[arg(long, env = "TOLLGATE_DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
    /// The file of the key that seals secrets; `sealing.key` in the data folder if you do not say.
    #[arg(long, env = "TOLLGATE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Let simulators on this machine stand for providers.
    #[arg(long, env = "TOLLGATE_SIMULATORS")]
    simulators: bool,
    /// Fetch a simulator's bills before their time.
    #[arg(long, env = "TOLLGATE_BILLS_AT_ONCE")]
    bills_at_once: bool,
    /// Take payers' private fields (card numbers), under the PCI DSS scope that you name: pci-dss-saq-d.
    #[arg(long, env = "TOLLGATE_PRIVATE_FIELDS", value_name = "SCOPE")]
    private_fields: Option<String>,
}

impl Serve {
    fn given(self) -> Result<Given, ConfigError> {
        let below = self.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let database = GivenDatabase {
            url: self.database_url.map(SecretString::from),
            url_file: self.database_url_file,
        };
        let named = database.url.is_some() || database.url_file.is_some();
        let above = Given {
            listen: self.listen,
            public_url: self.public_url,
            data: self.data,
            plugins: self.plugins,
            database: named.then_some(database),
            key: GivenKey::from_environment(self.key_file),
            limits: None,
            webhooks: None,
            simulators: self.simulators.then_some(true),
            bills_at_once: self.bills_at_once.then_some(true),
            private_fields: self.private_fields,
        };
        Ok(above.over(below))
    }
}

/// Keeps a SQLite file for this gateway, as long as what it gives is kept: a second one would hold a clock, queues and turns
/// of its own over the same rows. Commands that work beside a gateway only read and write them.
fn alone(config: &Config) -> anyhow::Result<Option<File>> {
    let Database::File(database) = &config.database else { return Ok(None) };
    let data = &config.folders.data;
    let place = || format!("data: {}", data.display());
    server::make_private(data).with_context(place)?;
    let lock = database.with_extension("lock");
    let lock = File::options().create(true).append(true).mode(0o600).open(lock);
    let lock = lock.with_context(place)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            bail!("{}: another gateway runs here; gateways share a PostgreSQL database", place())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(place),
    }
}

/// Runs the gateway until SIGTERM or SIGINT.
pub fn run(serve: Serve) -> anyhow::Result<()> {
    logs::start()?;
    let mut config = Config::check(serve.given()?).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
        anyhow::anyhow!(lines.join("; "))
    })?;
    // A component is compiled by this program started anew.
    config.compiler = Some(std::env::current_exe().context("the program's own file")?);
    let _alone = alone(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("threads")?;
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let mut running = server::start(config).await?;
        let mut ready = json!({
            "ready": true, "url": running.url, "merchant_id": running.merchant_id.to_string(),
        });
        if let Some(key) = &running.api_key {
            ready["api_key"] = json!(key);
        }
        print(&ready.to_string())?;
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
            () = running.ended() => anyhow::bail!("the server ended by itself"),
        }
        running.stop().await;
        Ok(())
    });
    // What a blocking thread is still at after the time to stop is left behind.
    runtime.shutdown_background();
    served
}
