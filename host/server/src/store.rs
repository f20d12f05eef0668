//! The one door to the database: reads from a pool, writes one after another through [`Store::write`].
//!
//! Writes that wait for each other share a commit (see [`shared`]). No other code begins a transaction, and nothing is
//! sent while one is open. What is decided about an order is decided under [`orders::lock`]: the order's row first,
//! then those of its payments, then those of its refunds, about one order in a write, a reconciliation apart.

pub mod accounts;
pub mod bills;
pub mod cases;
pub mod deliveries;
pub mod disputes;
pub mod endpoints;
pub mod engine;
pub mod events;
pub mod exchanges;
pub mod fetched;
pub mod idempotency;
pub mod installation;
pub mod jobs;
pub mod keys;
pub mod merchants;
pub mod notifications;
pub mod orders;
pub mod pauses;
pub mod payments;
#[cfg(test)]
mod plans;
pub mod reconciliations;
pub mod refunds;
mod shared;
pub mod tries;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::AnyPool;
use tollgate_domain::time::Moment;

use engine::File;
pub use engine::{Sql, take_turn};
use shared::{Lanes, Open};

/// What went wrong below the flows.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or could not be reached.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A transaction that others took part in failed to commit: none of it happened.
    #[error("the commit failed: {0}")]
    Commit(String),
    /// The transaction ended before its commit, because another member of it was given up: none of it happened.
    #[error("the transaction was given up")]
    GivenUp,
    /// The database is none that the gateway can stand on.
    #[error("the database cannot be used: {0}")]
    Unfit(&'static str),
    /// The tables are a newer version's.
    #[error("the database was made by a newer version, which has {0}: start that one")]
    Newer(String),
    /// A row that cannot be: a bug, or somebody's hand in the file.
    #[error("{table}.{column} of {row} is not what it must be")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's id.
        row: String,
    },
    /// The row changed between reading and writing: the flow reads again.
    #[error("{table} {row} changed meanwhile")]
    Stale {
        /// The table.
        table: &'static str,
        /// The row's id.
        row: String,
    },
}

impl StoreError {
    /// Whether the same write may succeed if it is run again: others were at the same rows, or the connection broke
    /// before there was a commit.
    fn passes(&self) -> bool {
        match self {
            StoreError::Stale { .. } | StoreError::GivenUp => true,
            StoreError::Sql(error) => engine::is_contention(error) || engine::is_lost(error),
            StoreError::Commit(_)
            | StoreError::Unfit(_)
            | StoreError::Newer(_)
            | StoreError::Inconsistent { .. } => false,
        }
    }

    /// Whether the database cannot be reached now, has no room, or has others at it: it is worth asking again.
    pub fn is_unavailable(&self) -> bool {
        match self {
            StoreError::Sql(error) => engine::is_unavailable(error),
            StoreError::Commit(_) | StoreError::GivenUp => true,
            StoreError::Stale { .. }
            | StoreError::Unfit(_)
            | StoreError::Newer(_)
            | StoreError::Inconsistent { .. } => false,
        }
    }
}

/// An error that a write may end with, and what the database had to do with it.
pub trait WriteError: From<StoreError> {
    /// What the database said, if this is about it.
    fn of_store(&self) -> Option<&StoreError>;
}

impl WriteError for StoreError {
    fn of_store(&self) -> Option<&StoreError> {
        Some(self)
    }
}

/// The time that due dates are compared with.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Moment;

    /// Ends once so much time has passed.
    fn pass(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the gateway reads the clock")]
    fn now(&self) -> Moment {
        Moment(jiff::Timestamp::now().as_microsecond())
    }
}

/// Asked before and after each transaction. A simulation holds writers back by it, and lets the database fail;
/// production has none.
pub trait Pace: Send + Sync {
    /// Before something is read. Refused, the database could not be reached.
    fn read(&self) -> Result<(), StoreError>;

    /// Before a transaction begins. Refused, nothing of it happens.
    fn begin(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// After a commit that held, before its writer hears of it. Refused, it is durable and its writer does not know.
    fn committed(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A future that a write hands back, alive as long as the transaction it was given.
pub type Writing<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// An open transaction, seen by one write: a savepoint of it.
pub struct Tx<'a> {
    open: Open,
    _scope: PhantomData<&'a ()>,
}

impl Tx<'_> {
    /// What statements run on.
    pub fn sql(&mut self) -> &mut Sql {
        self.open.sql()
    }
}

/// How often a write is run at most: each time others were at the same rows, and the next time it sees what they did.
const MOST_TRIES: usize = 10;

/// Where reads get their connections.
#[derive(Clone)]
enum Readers {
    /// As many as read at once.
    File(Arc<File>),
    /// So many, and who comes later waits.
    Server(AnyPool),
}

/// The database.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    lanes: Lanes,
    clock: Arc<dyn Clock>,
    pace: Option<Arc<dyn Pace>>,
}

impl Store {
    /// The time that every due date is compared with.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The clock that [`Store::now`] reads.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The same database with another clock, each of its transactions asked for first: a replica of a simulation.
    pub fn paced(&self, clock: Arc<dyn Clock>, pace: Arc<dyn Pace>) -> Store {
        Store { clock, pace: Some(pace), ..self.clone() }
    }

    /// A connection to read from.
    pub async fn read(&self) -> Result<Sql, StoreError> {
        if let Some(pace) = &self.pace {
            pace.read()?;
        }
        Ok(match &self.readers {
            Readers::File(file) => Sql::File(file.connect()?),
            Readers::Server(pool) => Sql::Pooled(pool.acquire().await?),
        })
    }

    /// Reads a file through and looks whether it is whole. A server looks after its own.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] where it is damaged; others where it could not be read now.
    pub async fn examine(&self) -> Result<(), StoreError> {
        match &self.readers {
            Readers::File(file) => engine::examine(file.clone()).await,
            Readers::Server(_) => Ok(()),
        }
    }

    /// Runs `work` in a transaction and returns once that is durable. If `work` fails, nothing of it stays.
    ///
    /// `work` has no effect but on the database, for it is run again where rows that it had read changed under it. A
    /// caller that is dropped half way takes the open transaction with it, and its other members run again.
    pub async fn write<'a, T, E, F>(&'a self, mut work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx<'a>) -> Writing<'t, T, E> + Send + 'a,
        E: WriteError,
    {
        if let Some(pace) = &self.pace {
            pace.begin().await?;
        }
        let mut tries = 1;
        let ended = loop {
            match self.attempt(&mut work, tries > 1).await {
                Err(error) if tries < MOST_TRIES && passes(&error) => tries += 1,
                ended => break ended,
            }
        };
        if let Some(pace) = self.pace.as_ref().filter(|_| ended.is_ok()) {
            pace.committed().await?;
        }
        ended
    }

    /// Runs `work` once: in the transaction that is open, or `first` in one of its own, which others may join.
    async fn attempt<'a, T, E, F>(&'a self, work: &mut F, first: bool) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx<'a>) -> Writing<'t, T, E> + Send + 'a,
        E: WriteError,
    {
        let mut turn = self.lanes.turn(first).await;
        let mut tx = Tx { open: turn.join().await?, _scope: PhantomData };
        let result = work(&mut tx).await;
        let again = result.as_ref().is_err_and(passes);
        turn.leave(&mut tx.open, result.is_ok()).await?;
        if again {
            turn.withdraw(tx.open).await?;
            return result;
        }
        // A refusal waits as well: what it saw may be another member's, and come to nothing.
        turn.stay(tx.open).settle().await?;
        result
    }
}

fn passes<E: WriteError>(error: &E) -> bool {
    error.of_store().is_some_and(StoreError::passes)
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
