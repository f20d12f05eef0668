//! What differs between database engines: how a connection is opened and a transaction begun. The statements
//! elsewhere are the same text for all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, Executor};

use super::{Clock, Shared, Store, StoreError};

/// Takes the write lock at once, so that a transaction never fails half way because another one wrote.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(super) const SAVEPOINT: &str = "SAVEPOINT work";
pub(super) const KEEP: &str = "RELEASE SAVEPOINT work";
pub(super) const UNDO: &str = "ROLLBACK TO SAVEPOINT work; RELEASE SAVEPOINT work";

/// Forward-only, in the order of their names, inside the binary.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_gateway", include_str!("../../../../migrations/sqlite/0001_gateway.sql")),
    ("0002_bills", include_str!("../../../../migrations/sqlite/0002_bills.sql")),
    ("0007_webhooks", include_str!("../../../../migrations/sqlite/0007_webhooks.sql")),
];

/// One connection writes; more would only wait for each other.
const WRITERS: u32 = 1;
const READERS: u32 = 8;

impl Store {
    /// Opens the SQLite file, makes it if it is missing, and brings its tables up to date.
    pub async fn open_sqlite(file: &Path, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        sqlx::any::install_default_drivers();
        let url = sqlite_url(file)?;
        let writers = pool(WRITERS)
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
        migrate(&mut connection).await?;
        drop(connection);
        let readers = pool(READERS).connect(&url).await?;
        Ok(Store {
            readers,
            writers,
            shared: Arc::new(tokio::sync::Mutex::new(Shared::default())),
            clock,
            pace: None,
        })
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

async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    connection
        .execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)")
        .await?;
    for (name, statements) in MIGRATIONS {
        connection.execute(BEGIN).await?;
        let done: Option<(String,)> = sqlx::query_as("SELECT name FROM migrations WHERE name = $1")
            .bind(*name)
            .fetch_optional(&mut *connection)
            .await?;
        if done.is_none() {
            connection.execute(*statements).await?;
            sqlx::query("INSERT INTO migrations (name, applied_at) VALUES ($1, 0)")
                .bind(*name)
                .execute(&mut *connection)
                .await?;
        }
        connection.execute("COMMIT").await?;
    }
    Ok(())
}

/// Whether the database answers: for readiness.
pub async fn ping(pool: &AnyPool) -> Result<(), StoreError> {
    sqlx::query("SELECT 1").execute(pool).await?;
    Ok(())
}
