//! The database of a gateway, for commands that work beside it: found as `serve` finds it.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use secrecy::SecretString;

use crate::chance::Chance;
use crate::config::{
    Config, ConfigError, Database as Source, Given, GivenDatabase, GivenKey, read_file,
};
use crate::flows::FlowError;
use crate::server;
use crate::store::Store;

/// Where the gateway's database is.
#[derive(Args)]
pub struct Database {
    /// The gateway's TOML file of settings.
    #[arg(long, env = "TOLLGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's data folder.
    #[arg(long, env = "TOLLGATE_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The file that holds the address of the PostgreSQL database. The address itself may be in TOLLGATE_DATABASE_URL.
    #[arg(long, env = "TOLLGATE_DATABASE_URL_FILE", value_name = "FILE")]
    database_url_file: Option<PathBuf>,
}

/// An open database and chance, all that these commands need of a gateway.
pub struct Open {
    /// The database.
    pub store: Store,
    /// Where ids and keys come from.
    pub chance: Chance,
}

impl Database {
    /// The gateway's settings.
    pub fn settings(self) -> anyhow::Result<Config> {
        let below = self.config.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let key = GivenKey::from_environment(None);
        let database = GivenDatabase {
            url: std::env::var("TOLLGATE_DATABASE_URL").ok().map(SecretString::from),
            url_file: self.database_url_file,
        };
        let named = database.url.is_some() || database.url_file.is_some();
        let database = named.then_some(database);
        let given = Given { data: self.data, database, key, ..Given::default() }.over(below);
        Config::check(given).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ConfigError::to_string).collect();
            anyhow::anyhow!(lines.join("; "))
        })
    }
}

/// Opens the database of these settings. One that is not there is not made: the folder is a wrong one.
pub async fn open(settings: &Config) -> anyhow::Result<Open> {
    if let Source::File(file) = &settings.database
        && !file.exists()
    {
        bail!(
            "{}: there is no such database; say --data, or start the gateway once",
            file.display()
        );
    }
    let store = server::open_store(&settings.database).await?;
    Ok(Open { store, chance: Chance::of_the_machine() })
}

/// Runs a command to its end.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("threads")?.block_on(work)
}

/// A flow's refusal in one line, its fields by name.
pub fn told(error: FlowError) -> anyhow::Error {
    match error {
        FlowError::Invalid(errors) => {
            let lines: Vec<String> =
                errors.iter().map(|error| format!("{} {}", error.field, error.rule)).collect();
            anyhow::anyhow!(lines.join("; "))
        }
        other => other.into(),
    }
}
