//! SQLite: one file, one writer.

use std::path::Path;
use std::sync::Arc;

use sqlx::Executor;

use super::file::File;
use super::{Sql, Writers, migrations};
use crate::store::shared::Lanes;
use crate::store::{Clock, Readers, Store, StoreError};

/// Begins a transaction for its first member. It takes the write lock at once, so that it never fails half way because
/// another one wrote.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT work";
/// Lets one more member join.
pub(super) const JOIN: &str = "SAVEPOINT work";

impl Store {
    /// Opens the SQLite file, makes it if it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be used, or a newer version made it.
    pub async fn open_sqlite(file: &Path, clock: Arc<dyn Clock>) -> Result<Store, StoreError> {
        let file = File::new(&std::path::absolute(file).map_err(sqlx::Error::Io)?);
        file.make().map_err(sqlx::Error::Io)?;
        examine(file.clone()).await?;
        let mut connection = Sql::File(file.connect()?);
        connection.execute("PRAGMA journal_mode = WAL").await?;
        migrations::migrate(&mut connection, BEGIN, |migration| migration.sqlite).await?;
        drop(connection);
        let lanes = Lanes::new(Writers::Sqlite(file.clone()), 1);
        Ok(Store { readers: Readers::File(file), lanes, clock, pace: None })
    }
}

/// Begins a transaction. Another process that writes is waited for on a thread that may block.
pub(super) async fn begin(sql: Sql) -> Result<Sql, sqlx::Error> {
    let Sql::File(mut file) = sql else { return Err(sqlx::Error::PoolClosed) };
    if file.batch_at_once(BEGIN)? {
        return Ok(Sql::File(file));
    }
    let (file, done) = file.batch_elsewhere(BEGIN).await;
    done?;
    file.map(Sql::File).ok_or(sqlx::Error::WorkerCrashed)
}

/// Looks whether the file is whole: what is built on a damaged one would be lost with it.
pub(in crate::store) async fn examine(file: Arc<File>) -> Result<(), StoreError> {
    let look = tokio::task::spawn_blocking(move || file.anew()?.text("PRAGMA quick_check(1)"));
    match look.await.map_err(|_| sqlx::Error::WorkerCrashed)? {
        Ok(word) if word == "ok" => Ok(()),
        Ok(_) => Err(StoreError::Unfit(DAMAGE)),
        Err(error) if is(&error, &DAMAGED) => Err(StoreError::Unfit(DAMAGE)),
        Err(error) => Err(error.into()),
    }
}

const DAMAGE: &str =
    "its file is damaged: restore a copy, the provider's bills tell what that one lacks";

/// SQLITE_CORRUPT, SQLITE_NOTADB.
const DAMAGED: [&str; 2] = ["11", "26"];

/// SQLITE_BUSY, SQLITE_BUSY_RECOVERY, SQLITE_BUSY_SNAPSHOT.
const BUSY: [&str; 3] = ["5", "261", "517"];

/// SQLITE_FULL.
const FULL: [&str; 1] = ["13"];

/// SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC.
const NOT_DURABLE: [&str; 2] = ["1034", "1290"];

/// Whether the disk did not keep what it was told to. A second fsync may succeed although the pages of the first are lost,
/// so there is no going on: the next start reads what is really there.
pub(super) fn lost_on_disk(error: &sqlx::Error) -> bool {
    is(error, &NOT_DURABLE)
}

/// Whether another process writes.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    is(error, &BUSY)
}

/// Whether the disk has no room.
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    is(error, &FULL)
}

fn is(error: &sqlx::Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.contains(&&*code))
}
