//! How the gateway is set up: a file, the environment and flags, checked as a whole before a port is opened.

mod database;
pub mod given;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::gateway::JobLimits;

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
    /// Where another key comes from that opens what it sealed, while the first takes its place.
    pub also: Option<KeySource>,
    /// Limits.
    pub limits: Limits,
    /// How merchants are told of events.
    pub webhooks: Webhooks,
    /// Whether a simulator on this machine may stand for a provider.
    pub simulators: bool,
    /// Whether a day's bill may be fetched before its time, from a simulator.
    pub bills_at_once: bool,
    /// Whether payers' private fields are taken; see [`PCI_DSS_SCOPE`].
    pub private_fields: bool,
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
    /// Connections that may be open at once.
    pub connections: usize,
    /// How many requests are worked on at a time.
    pub in_flight: usize,
    /// How often may be asked.
    pub rates: Rates,
    /// How long an answer under an idempotency key is kept.
    pub answers_kept: Duration,
    /// How many jobs run at once.
    pub jobs: JobLimits,
}

/// How often, where nothing else is said for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Requests a second of one key; as many may come at once.
    pub per_second: NonZeroU32,
    /// Wrong keys a minute from one address; as many may come at once.
    pub wrong_a_minute: NonZeroU32,
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

/// What `private_fields` must say to switch them on: with the first card number that passes through it, this gateway and all
/// that it is connected to are in the scope of PCI DSS, and the merchant assesses himself by SAQ D.
pub const PCI_DSS_SCOPE: &str = "pci-dss-saq-d";

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
        let mut key = given.key.unwrap_or_default();
        let also = key.also.take().map(|also| also_source(*also, &mut errors));
        let key = key_source("key", key, &mut errors)
            .unwrap_or_else(|| KeySource::File(folders.data.join("sealing.key")));
        let limits = limits(given.limits.unwrap_or_default(), &mut errors);
        let webhooks = webhooks(given.webhooks.unwrap_or_default(), &mut errors);
        let simulators = given.simulators.unwrap_or(false);
        let bills_at_once = given.bills_at_once.unwrap_or(false);
        if bills_at_once && !simulators {
            errors.push(ConfigError::new("bills_at_once", "is for simulators: set simulators too"));
        }
        let private_fields = given.private_fields.is_some();
        if given.private_fields.is_some_and(|scope| scope != PCI_DSS_SCOPE) {
            errors.push(ConfigError::new("private_fields", NAME_THE_SCOPE));
        }
        if errors.is_empty() {
            Ok(Config {
                listen,
                public_url,
                folders,
                database,
                key,
                also,
                limits,
                webhooks,
                simulators,
                bills_at_once,
                private_fields,
                compiler: None,
            })
        } else {
            Err(errors)
        }
    }
}

const NAME_THE_SCOPE: &str = "takes payers' card data, which brings this gateway and all that it is connected to into the \
    scope of PCI DSS: name it, \"pci-dss-saq-d\", or leave the setting out";

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

/// The one place that a key is said to come from; none: nothing is said.
fn key_source(setting: &str, given: GivenKey, errors: &mut Vec<ConfigError>) -> Option<KeySource> {
    match (given.file, given.value, given.command) {
        (None, None, None) => None,
        (Some(file), None, None) => Some(KeySource::File(file)),
        (None, Some(value), None) => Some(KeySource::Given(value)),
        (None, None, Some(command)) => {
            if command.first().is_none_or(String::is_empty) {
                errors.push(ConfigError::new(format!("{setting}.command"), "must name a program"));
            }
            Some(KeySource::Command(command))
        }
        _ => {
            let rule = "must come from one place: file, command or TOLLGATE_SEALING_KEY";
            errors.push(ConfigError::new(setting, rule));
            None
        }
    }
}

fn also_source(given: GivenKey, errors: &mut Vec<ConfigError>) -> KeySource {
    if given.also.is_some() {
        errors.push(ConfigError::new("key.also.also", "two keys open, no more"));
    }
    key_source("key.also", given, errors).unwrap_or_else(|| {
        errors.push(ConfigError::new("key.also", "must say file or command"));
        KeySource::Command(Vec::new())
    })
}

fn limits(given: GivenLimits, errors: &mut Vec<ConfigError>) -> Limits {
    let mut number = |key: &str, value: Option<u64>, default: u64, range| {
        in_range(key, value.unwrap_or(default), range, errors)
    };
    let call = number("limits.call_ms", given.call_ms, 10_000, 100..=60_000);
    let confirm = number("limits.confirm_ms", given.confirm_ms, 3_000, 100..=10_000);
    let body = number("limits.body_bytes", given.body_bytes, 1 << 20, 1 << 10..=16 << 20);
    let connections = number("limits.connections", given.connections, 512, 8..=65_536);
    let in_flight = number("limits.in_flight", given.in_flight, 1_024, 1..=100_000);
    let per_second = number("limits.per_second", given.per_second, 1_000, 1..=1_000_000);
    let wrong = given.wrong_keys_a_minute;
    let wrong = number("limits.wrong_keys_a_minute", wrong, 60, 1..=1_000_000);
    let answers = number("limits.answers_kept_h", given.answers_kept_h, 24, 24..=168);
    let count =
        |value: u64| u32::try_from(value).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    let usual = JobLimits::default();
    let at_once = number("limits.jobs", given.jobs, usual.at_once as u64, 1..=256);
    let most = at_once.min(usual.per_account as u64);
    let per_account = number("limits.jobs_per_account", given.jobs_per_account, most, 1..=at_once);
    let small = |value: u64| usize::try_from(value).unwrap_or(1);
    Limits {
        call: Duration::from_millis(call),
        confirm: Duration::from_millis(confirm),
        body_bytes: usize::try_from(body).unwrap_or(1 << 20),
        connections: usize::try_from(connections).unwrap_or(512),
        in_flight: usize::try_from(in_flight).unwrap_or(1_024),
        rates: Rates { per_second: count(per_second), wrong_a_minute: count(wrong) },
        answers_kept: Duration::from_secs(answers * 3_600),
        jobs: JobLimits { at_once: small(at_once), per_account: small(per_account) },
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
