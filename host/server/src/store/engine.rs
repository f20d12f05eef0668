//! What differs between database engines: how connections are opened, and how a transaction begins and ends. The
//! statements elsewhere are the same text for all.

mod clock;
mod file;
mod migrations;
mod postgres;
mod refusal;
mod sql;
mod sqlite;

use std::sync::Arc;

pub use migrations::take_turn;
pub use sql::Sql;
use sqlx::Executor;

pub(super) use self::file::File;
pub(super) use self::sqlite::examine;
use super::StoreError;

/// Where writes get their connections, and how their transactions are spelled.
#[derive(Clone)]
pub(super) enum Writers {
    /// One connection at a time: more would only wait for each other.
    Sqlite(Arc<File>),
    /// A connection for each lane, and one to ask what became of a commit.
    Postgres(postgres::Writers),
}

/// What tells one transaction from another after its commit; none: there is no need to.
pub(super) type Mark = Option<String>;

/// Why a commit was not confirmed.
#[derive(Clone, Debug)]
pub(super) enum Unconfirmed {
    /// It did not happen, for sure.
    Undone,
    /// The database refused it, or it cannot be told.
    Failed(String),
}

impl Writers {
    pub(super) async fn connect(&self) -> Result<Sql, StoreError> {
        Ok(match self {
            Writers::Sqlite(file) => Sql::File(file.connect()?),
            Writers::Postgres(writers) => Sql::Pooled(writers.pool.acquire().await?),
        })
    }

    /// Begins a transaction for its first member.
    pub(super) async fn begin(&self, mut sql: Sql) -> Result<(Sql, Mark), sqlx::Error> {
        let mark = match self {
            Writers::Sqlite(_) => {
                sql = sqlite::begin(sql).await?;
                None
            }
            Writers::Postgres(writers) => Some(writers.begin(&mut sql).await?),
        };
        Ok((sql, mark))
    }

    /// Lets one more member join.
    pub(super) async fn join(&self, sql: &mut Sql) -> Result<(), sqlx::Error> {
        let join = match self {
            Writers::Sqlite(_) => sqlite::JOIN,
            Writers::Postgres(_) => postgres::JOIN,
        };
        sql.execute(join).await.map(|_| ())
    }

    /// Ends a member's part: keeps what it wrote, or takes it back.
    pub(super) async fn leave(&self, sql: &mut Sql, keep: bool) -> Result<(), sqlx::Error> {
        let end = if keep {
            "RELEASE SAVEPOINT work"
        } else {
            "ROLLBACK TO SAVEPOINT work; RELEASE SAVEPOINT work"
        };
        sql.execute(end).await.map(|_| ())
    }

    /// Commits. Gives the connection back if it is still good.
    pub(super) async fn commit(
        &self,
        sql: Sql,
        mark: &Mark,
    ) -> (Option<Sql>, Result<(), Unconfirmed>) {
        let (sql, done) = committed(sql).await;
        let Err(error) = done else { return (sql, Ok(())) };
        if sqlite::lost_on_disk(&error) {
            tracing::error!(%error, "the disk did not keep a commit: stopping at once, nothing of it was acknowledged");
            std::process::abort();
        }
        drop(sql);
        let outcome = match (self, mark) {
            (Writers::Postgres(writers), Some(mark)) if is_lost(&error) => {
                tracing::warn!(%error, "the answer to a commit was lost: asking whether it happened");
                writers.what_became_of(mark).await
            }
            _ if is_contention(&error) => Err(Unconfirmed::Undone),
            _ => Err(Unconfirmed::Failed(error.to_string())),
        };
        (None, outcome)
    }
}

/// Sends the commit. Of a file it waits for the disk, on a thread that may.
async fn committed(mut sql: Sql) -> (Option<Sql>, Result<(), sqlx::Error>) {
    match sql {
        Sql::File(file) => {
            let (file, done) = file.batch_elsewhere("COMMIT").await;
            (file.map(Sql::File), done)
        }
        Sql::Pooled(_) | Sql::Single(_) => {
            let done = sql.execute("COMMIT").await.map(|_| ());
            (Some(sql), done)
        }
    }
}

/// SQLSTATE: serialization failure, deadlock, lock not available, and a unique key that another transaction had taken by
/// the time ours wrote it. SQLite, where one writes at a time, has none of them.
const CONTENTION: [&str; 4] = ["40001", "40P01", "55P03", "23505"];

/// SQLSTATE: the connection broke, the server ends or begins, has no connection left, or is no primary any more.
const LOST: [&str; 6] = ["08", "57P01", "57P02", "57P03", "53300", "25006"];

/// Whether the database refused only because others were at the same rows.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| CONTENTION.contains(&&*code))
}

/// Whether the connection broke under a statement.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_))
        || code.is_some_and(|code| LOST.iter().any(|lost| code.starts_with(lost)))
}

/// SQLSTATE: the disk is full or something else ran out, and those of [`CONTENTION`] that are over once others are done.
const STRAITENED: [&str; 4] = ["53", "40001", "40P01", "55P03"];

/// Whether the database cannot be reached now, or cannot take anything.
pub(super) fn is_unavailable(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
        || is_lost(error)
        || sqlite::is_full(error)
        || sqlite::is_busy(error)
        || code.is_some_and(|code| {
            code.len() == 5 && STRAITENED.iter().any(|few| code.starts_with(few))
        })
}
