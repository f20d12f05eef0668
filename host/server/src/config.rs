//! How the gateway is set up: a file, the environment and flags, checked as a whole before a port is opened.

mod database;
pub mod given;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use database::Database;
pub use given::{Given, GivenDatabase, GivenKey, GivenLimits, GivenWebhooks, read_file};

/// A setting that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {rule}")]
pub struct ConfigError {
    /// Which setting: `limits.call_ms`.
    pub key: String,
    /// What it must be.
    pub rule: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, rule: impl Into<String>) -> ConfigError {
        ConfigError { key: key.into(), rule: rule.into() }
    }
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// What providers and payers reach it by, without a slash at the end; none: by where it listens.
    pub public_url: Option<String>,
    /// Folders.
    pub folders: Folders,
    /// Where everything is written.
    pub database: Database,
    /// Where the key comes from that seals secrets.
    pub key: KeySource,
    /// Limits.
    pub limits: Limits,
    /// How merchants are told of events.
    pub webhooks: Webhooks,
    /// Whether a simulator on this machine may stand for a provider.
    pub simulators: bool,
    /// Whether a day's bill may be fetched before its time, from a simulator.
    pub bills_at_once: bool,
    /// The program that compiles plugins, started as `PROGRAM compile-plugin IN OUT`; none compiles in this process.
    pub compiler: Option<PathBuf>,
}

/// Where things lie.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Bills, compiled plugins, and the database where that is a file.
    pub data: PathBuf,
    /// `*.wasm`.
    pub plugins: PathBuf,
    /// Whether the folder of plugins may be made: nobody named it.
    pub make_plugins: bool,
    /// Compiled plugins.
    pub cache: PathBuf,
}

/// Where the key comes from that seals secrets: 64 hex digits.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file, made on the first start.
    File(PathBuf),
    /// The environment.
    Given(SecretString),
    /// What a program prints, its arguments after it.
    Command(Vec<String>),
}

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long one call of a provider may take.
    pub call: Duration,
    /// How long a provider that notifies us waits for the confirming query.
    pub confirm: Duration,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
}

/// How merchants are told of events.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks {
    /// Whether endpoints may be on this network, and be called in the clear there.
    pub allow_private: bool,
    /// How long one call may take.
    pub timeout: Duration,
}

const LISTEN: &str = "127.0.0.1:8080";
const DATA: &str = "data";

impl Config {
    /// Checks what was given, and fills in what was not.
    ///
    /// # Errors
    /// Every setting that breaks a rule, by its key.
    pub fn check(given: Given) -> Result<Config, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let listen = listen(given.listen.as_deref(), &mut errors);
        let public_url = public_url(given.public_url.as_deref(), listen, &mut errors);
        let folders = folders(&given, &mut errors);
        let database = database::check(given.database, &folders.data, &mut errors);
        let key = key_source(given.key, &folders, &mut errors);
        let limits = limits(given.limits.unwrap_or_default(), &mut errors);
        let webhooks = webhooks(given.webhooks.unwrap_or_default(), &mut errors);
        let simulators = given.simulators.unwrap_or(false);
        let bills_at_once = given.bills_at_once.unwrap_or(false);
        if bills_at_once && !simulators {
            errors.push(ConfigError::new("bills_at_once", "is for simulators: set simulators too"));
        }
        if errors.is_empty() {
            Ok(Config {
                listen,
                public_url,
                folders,
                database,
                key,
                limits,
                webhooks,
                simulators,
                bills_at_once,
                compiler: None,
            })
        } else {
            Err(errors)
        }
    }
}

fn listen(given: Option<&str>, errors: &mut Vec<ConfigError>) -> SocketAddr {
    given.unwrap_or(LISTEN).parse().unwrap_or_else(|_| {
        errors.push(ConfigError::new(
            "listen",
            "must be an IP address and a port, such as 127.0.0.1:8080",
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn public_url(
    given: Option<&str>,
    listen: SocketAddr,
    errors: &mut Vec<ConfigError>,
) -> Option<String> {
    let mut refuse = |rule: &str| errors.push(ConfigError::new("public_url", rule));
    let Some(text) = given else {
        if !listen.ip().is_loopback() {
            refuse("must be set where the gateway listens to other machines");
        }
        return None;
    };
    let Ok(url) = Url::parse(text) else {
        refuse("must be an address such as https://pay.example.com");
        return None;
    };
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        refuse("must have nothing after the host and port, and no user");
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        refuse("must be https; http is for this machine alone");
    }
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn folders(given: &Given, errors: &mut Vec<ConfigError>) -> Folders {
    let data = given.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
    if data.as_os_str().is_empty() || data.exists() && !data.is_dir() {
        errors.push(ConfigError::new("data", "must be a folder"));
    }
    let make_plugins = given.plugins.is_none();
    let plugins = given.plugins.clone().unwrap_or_else(|| data.join("plugins"));
    if !make_plugins && !plugins.is_dir() {
        errors.push(ConfigError::new("plugins", format!("{} is no folder", plugins.display())));
    }
    let cache = data.join("compiled");
    Folders { data, plugins, make_plugins, cache }
}

fn key_source(
    given: Option<GivenKey>,
    folders: &Folders,
    errors: &mut Vec<ConfigError>,
) -> KeySource {
    let given = given.unwrap_or_default();
    let default = || KeySource::File(folders.data.join("sealing.key"));
    match (given.file, given.value, given.command) {
        (None, None, None) => default(),
        (Some(file), None, None) => KeySource::File(file),
        (None, Some(value), None) => KeySource::Given(value),
        (None, None, Some(command)) => {
            if command.first().is_none_or(String::is_empty) {
                errors.push(ConfigError::new("key.command", "must name a program"));
            }
            KeySource::Command(command)
        }
        _ => {
            let rule = "must come from one place: key.file, key.command or TOLLGATE_SEALING_KEY";
            errors.push(ConfigError::new("key", rule));
            default()
        }
    }
}

fn limits(given: GivenLimits, errors: &mut Vec<ConfigError>) -> Limits {
    let mut number = |key: &str, value: Option<u64>, default: u64, range| {
        in_range(key, value.unwrap_or(default), range, errors)
    };
    let call = number("limits.call_ms", given.call_ms, 10_000, 100..=60_000);
    let confirm = number("limits.confirm_ms", given.confirm_ms, 3_000, 100..=10_000);
    let body = number("limits.body_bytes", given.body_bytes, 1 << 20, 1 << 10..=16 << 20);
    Limits {
        call: Duration::from_millis(call),
        confirm: Duration::from_millis(confirm),
        body_bytes: usize::try_from(body).unwrap_or(1 << 20),
    }
}

fn webhooks(given: GivenWebhooks, errors: &mut Vec<ConfigError>) -> Webhooks {
    let timeout = given.timeout_ms.unwrap_or(15_000);
    let timeout = in_range("webhooks.timeout_ms", timeout, 100..=30_000, errors);
    Webhooks {
        allow_private: given.allow_private.unwrap_or(false),
        timeout: Duration::from_millis(timeout),
    }
}

fn in_range(
    key: &str,
    value: u64,
    range: RangeInclusive<u64>,
    errors: &mut Vec<ConfigError>,
) -> u64 {
    if !range.contains(&value) {
        let rule = format!("must be between {} and {}", range.start(), range.end());
        errors.push(ConfigError::new(key, rule));
    }
    value
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
