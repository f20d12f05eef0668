//! What a file, the environment and flags give, before anything is checked.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// Settings as they are given: each may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// IP address and port.
    pub listen: Option<String>,
    /// What providers and payers reach the gateway by.
    pub public_url: Option<String>,
    /// Bills, compiled plugins, and the database where that is a file.
    pub data: Option<PathBuf>,
    /// `*.wasm`.
    pub plugins: Option<PathBuf>,
    /// Which database.
    pub database: Option<GivenDatabase>,
    /// Where the key comes from that seals secrets.
    pub key: Option<GivenKey>,
    /// How long and how much.
    pub limits: Option<GivenLimits>,
    /// How merchants are told of events.
    pub webhooks: Option<GivenWebhooks>,
    /// Whether a simulator on this machine may stand for a provider.
    pub simulators: Option<bool>,
    /// Whether a simulator's bill may be fetched before its time.
    pub bills_at_once: Option<bool>,
    /// The PCI DSS scope that the operator takes on with payers' private fields.
    pub private_fields: Option<String>,
}

/// Which database, if not a file in the data folder.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenDatabase {
    /// The address of a PostgreSQL database. It may hold a password.
    #[serde(default, deserialize_with = "secret")]
    pub url: Option<SecretString>,
    /// A file that holds it.
    pub url_file: Option<PathBuf>,
}

fn secret<'de, D: Deserializer<'de>>(given: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Some(SecretString::from(String::deserialize(given)?)))
}

/// Where the key comes from that seals secrets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenKey {
    /// A file of 64 hex digits.
    pub file: Option<PathBuf>,
    /// A program that prints them, and its arguments.
    pub command: Option<Vec<String>>,
    /// The digits themselves, from the environment: a file of settings is no place for them.
    #[serde(skip)]
    pub value: Option<SecretString>,
    /// Another key that opens what it sealed, while this one takes its place.
    pub also: Option<Box<GivenKey>>,
}

/// Where the digits of the sealing key may be, if they are in no file, and those of the key beside it.
const KEY_VARIABLE: &str = "TOLLGATE_SEALING_KEY";
const ALSO_VARIABLE: &str = "TOLLGATE_SEALING_KEY_ALSO";

impl GivenKey {
    /// From the environment and a flag; none: neither says anything.
    pub fn from_environment(file: Option<PathBuf>) -> Option<GivenKey> {
        let value = |name| std::env::var(name).ok().map(SecretString::from);
        let also = value(ALSO_VARIABLE)
            .map(|value| Box::new(GivenKey { value: Some(value), ..GivenKey::default() }));
        let key = GivenKey { file, command: None, value: value(KEY_VARIABLE), also };
        let said = key.file.is_some() || key.value.is_some() || key.also.is_some();
        said.then_some(key)
    }

    /// This place where it is given, and the one `below` where it is not.
    fn over(self, below: GivenKey) -> GivenKey {
        let also = self.also.or(below.also);
        if self.file.is_some() || self.command.is_some() || self.value.is_some() {
            return GivenKey { also, ..self };
        }
        GivenKey { also, ..below }
    }
}

/// How long and how much.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenLimits {
    /// How long one call of a provider may take, in milliseconds.
    pub call_ms: Option<u64>,
    /// How long a provider that notifies us waits for the confirming query, in milliseconds.
    pub confirm_ms: Option<u64>,
    /// The largest request body, in bytes.
    pub body_bytes: Option<u64>,
    /// How many requests are worked on at a time.
    pub in_flight: Option<u64>,
    /// How many requests a second an API key may make, where the operator gave it no rate of its own.
    pub per_second: Option<u64>,
    /// How many keys that are none may come from an address in a minute.
    pub wrong_keys_a_minute: Option<u64>,
    /// How long an answer under an idempotency key is kept, in hours.
    pub answers_kept_h: Option<u64>,
    /// Connections that may be open at once.
    pub connections: Option<u64>,
    /// How many jobs run at once, bills apart.
    pub jobs: Option<u64>,
    /// How many of them for one account.
    pub jobs_per_account: Option<u64>,
}

/// How merchants are told of events.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenWebhooks {
    /// Whether endpoints may be on this network, and be called in the clear there.
    pub allow_private: Option<bool>,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: Option<u64>,
}

impl Given {
    /// These settings where they are given, and `below` where they are not.
    pub fn over(self, below: Given) -> Given {
        Given {
            listen: self.listen.or(below.listen),
            public_url: self.public_url.or(below.public_url),
            data: self.data.or(below.data),
            plugins: self.plugins.or(below.plugins),
            database: self.database.or(below.database),
            key: match (self.key, below.key) {
                (Some(above), Some(below)) => Some(above.over(below)),
                (above, below) => above.or(below),
            },
            limits: self.limits.or(below.limits),
            webhooks: self.webhooks.or(below.webhooks),
            simulators: self.simulators.or(below.simulators),
            bills_at_once: self.bills_at_once.or(below.bills_at_once),
            private_fields: self.private_fields.or(below.private_fields),
        }
    }
}

/// Reads a TOML file.
///
/// # Errors
/// The file that cannot be read, or the key that is not known or of another type, in one line.
pub fn read_file(file: &Path) -> Result<Given, ConfigError> {
    let failed = |rule: String| ConfigError::new(file.display().to_string(), rule);
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    read(&text)
}

pub(super) fn read(text: &str) -> Result<Given, ConfigError> {
    let one_line = |message: &str| message.trim().lines().collect::<Vec<_>>().join(", ");
    let toml = toml::Deserializer::parse(text).map_err(|error| {
        ConfigError::new("config", format!("is not TOML: {}", one_line(error.message())))
    })?;
    serde_path_to_error::deserialize(toml).map_err(|error| {
        let key = error.path().to_string();
        ConfigError::new(key, one_line(error.inner().message()))
    })
}
