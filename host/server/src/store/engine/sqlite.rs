//! SQLite: one file, one writer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor;
use sqlx::any::AnyPoolOptions;

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
