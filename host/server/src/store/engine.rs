//! What differs between database engines: how connections are opened, and how a transaction begins and ends. The
//! statements elsewhere are the same text for all.

mod clock;
mod migrations;
mod postgres;
mod sqlite;

pub use migrations::take_turn;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Executor};

use super::StoreError;

/// Where writes get their connections, and how their transactions are spelled.
#[derive(Clone)]
pub(super) enum Writers {
    /// One connection: more would only wait for each other.
    Sqlite(AnyPool),
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
    pub(super) async fn connect(&self) -> Result<PoolConnection<Any>, StoreError> {
        let (Writers::Sqlite(pool) | Writers::Postgres(postgres::Writers { pool, .. })) = self;
        Ok(pool.acquire().await?)
    }

    /// Begins a transaction for its first member.
    pub(super) async fn begin(&self, sql: &mut AnyConnection) -> Result<Mark, sqlx::Error> {
        match self {
            Writers::Sqlite(_) => sql.execute(sqlite::BEGIN).await.map(|_| None),
            Writers::Postgres(writers) => writers.begin(sql).await.map(Some),
        }
    }

    /// Lets one more member join.
    pub(super) async fn join(&self, sql: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let join = match self {
            Writers::Sqlite(_) => sqlite::JOIN,
            Writers::Postgres(_) => postgres::JOIN,
        };
        sql.execute(join).await.map(|_| ())
    }

    /// Ends a member's part: keeps what it wrote, or takes it back.
    pub(super) async fn leave(
        &self,
        sql: &mut AnyConnection,
        keep: bool,
    ) -> Result<(), sqlx::Error> {
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
        mut connection: PoolConnection<Any>,
        mark: &Mark,
    ) -> (Option<PoolConnection<Any>>, Result<(), Unconfirmed>) {
        let Err(error) = connection.execute("COMMIT").await else {
            return (Some(connection), Ok(()));
        };
        if sqlite::lost_on_disk(&error) {
            tracing::error!(%error, "the disk did not keep a commit: stopping at once, nothing of it was acknowledged");
            std::process::abort();
        }
        drop(connection);
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

/// Whether the database cannot be reached now.
pub(super) fn is_unreachable(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) || is_lost(error)
}
