//! Which database: a file in the data folder, or a PostgreSQL server by its address.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use sqlx_postgres::PgConnectOptions;
use url::Url;

use super::{ConfigError, GivenDatabase};

/// Where everything is written.
#[derive(Clone, Debug)]
pub enum Database {
    /// A SQLite file, for one gateway.
    File(PathBuf),
    /// A PostgreSQL database, for any number of gateways. The address may hold a password.
    Server(SecretString),
}

const ADDRESS: &str = "must be an address such as postgres://user:password@host:5432/database";

/// Checks where the database is said to be. No error repeats the address.
pub(super) fn check(
    given: Option<GivenDatabase>,
    data: &Path,
    errors: &mut Vec<ConfigError>,
) -> Database {
    let given = given.unwrap_or_default();
    let none = Database::File(data.join("tollgate.db"));
    let (key, url) = match (given.url, given.url_file) {
        (None, None) => return none,
        (Some(url), None) => ("database.url", url),
        (None, Some(file)) => match std::fs::read_to_string(&file) {
            Ok(text) => ("database.url_file", SecretString::from(text.trim().to_owned())),
            Err(error) => {
                let rule = format!("{}: {error}", file.display());
                errors.push(ConfigError::new("database.url_file", rule));
                return none;
            }
        },
        (Some(_), Some(_)) => {
            let rule = "must come from one place: database.url or database.url_file";
            errors.push(ConfigError::new("database", rule));
            return none;
        }
    };
    if !is_address(url.expose_secret()) {
        errors.push(ConfigError::new(key, ADDRESS));
    }
    Database::Server(url)
}

fn is_address(text: &str) -> bool {
    let named = Url::parse(text).is_ok_and(|url| {
        let place = url.has_host() || url.query_pairs().any(|(name, _)| name == "host");
        matches!(url.scheme(), "postgres" | "postgresql") && place && url.path().len() > 1
    });
    named && PgConnectOptions::from_str(text).is_ok()
}
