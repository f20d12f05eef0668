//! SQLite: one file, one writer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, Connection, Executor};

use super::{Writers, migrations};
use crate::store::shared::Lanes;
use crate::store::{Clock, Store, StoreError};

/// Begins a transaction for its first member. It takes the write lock at once, so that it never fails half way because
/// another one wrote.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT work";
/// Lets one more member join.
pub(super) const JOIN: &str = "SAVEPOINT work";

const READERS: u32 = 8;

impl Store {
    /// Opens the SQLite file, makes it if it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version made it.
    pub async fn open_sqlite(file: &Path, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let url = sqlite_url(file)?;
        examine(&url).await?;
        let writers = pool(1)
            .after_release(|connection, _| {
                Box::pin(async move {
                    // A write that was given up leaves its transaction open. Without one this is refused: fine.
                    let _ = connection.execute("ROLLBACK").await;
                    Ok(true)
                })
            })
            .connect(&url)
            .await?;
        let mut connection = writers.acquire().await?;
        connection.execute("PRAGMA journal_mode = WAL").await?;
        migrations::migrate(&mut connection, BEGIN, |migration| migration.sqlite).await?;
        drop(connection);
        let readers = pool(READERS).connect(&url).await?;
        Ok(Store { readers, lanes: Lanes::new(Writers::Sqlite(writers), 1), clock, pace: None })
    }
}

/// Looks whether the file is whole: what is built on a damaged one would be lost with it.
async fn examine(url: &str) -> Result<(), StoreError> {
    let look = async {
        let mut connection = AnyConnection::connect(url).await?;
        let words: Vec<(String,)> =
            sqlx::query_as("PRAGMA quick_check(1)").fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(words)
    };
    match look.await {
        Ok(words) if words.iter().all(|(word,)| word == "ok") => Ok(()),
        Ok(_) => Err(StoreError::Unfit(DAMAGE)),
        Err(error) if is(&error, &DAMAGED) => Err(StoreError::Unfit(DAMAGE)),
        Err(error) => Err(error.into()),
    }
}

const DAMAGE: &str =
    "its file is damaged: restore a copy, the provider's bills tell what that one lacks";

/// SQLITE_CORRUPT, SQLITE_NOTADB.
const DAMAGED: [&str; 2] = ["11", "26"];

/// SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC.
const NOT_DURABLE: [&str; 2] = ["1034", "1290"];

/// Whether the disk did not keep what it was told to. A second fsync may succeed although the pages of the first are lost,
/// so there is no going on: the next start reads what is really there.
pub(super) fn lost_on_disk(error: &sqlx::Error) -> bool {
    is(error, &NOT_DURABLE)
}

fn is(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.contains(&&*code))
}

fn pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .max_lifetime(None)
        .idle_timeout(None)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // FULL: a commit that was answered survives a power cut.
                connection
                    .execute(
                        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; \
                         PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY",
                    )
                    .await?;
                Ok(())
            })
        })
}

fn sqlite_url(file: &Path) -> Result<String, StoreError> {
    let absolute = std::path::absolute(file).map_err(sqlx::Error::Io)?;
    let mut url = url::Url::from_file_path(&absolute)
        .map_err(|()| sqlx::Error::Configuration("the database needs a file path".into()))?;
    url.set_query(Some("mode=rwc"));
    Ok(url.as_str().replacen("file:", "sqlite:", 1))
}
