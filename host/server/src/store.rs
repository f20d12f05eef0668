//! The one door to the database: reads from a pool, writes one after another through [`Store::write`].
//!
//! Writes that wait for each other share a commit: each runs in a savepoint of an open transaction, the last
//! one commits, and all of them hear whether the commit held. No other code begins a transaction, and nothing
//! is sent while one is open.

pub mod accounts;
pub mod bills;
pub mod deliveries;
pub mod endpoints;
pub mod engine;
pub mod events;
pub mod exchanges;
pub mod jobs;
pub mod merchants;
pub mod notifications;
pub mod orders;
pub mod payments;
pub mod reconciliations;
pub mod refunds;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::AnyPool;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Executor};
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tollgate_domain::time::Moment;

/// What went wrong below the flows.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or could not be reached.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
    /// A transaction that others took part in failed to commit: none of it happened.
    #[error("the commit failed: {0}")]
    Commit(String),
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
    connection: PoolConnection<Any>,
    _scope: PhantomData<&'a ()>,
}

impl Tx<'_> {
    /// What statements run on.
    pub fn sql(&mut self) -> &mut AnyConnection {
        &mut self.connection
    }
}

/// How many writes at most share one commit.
const MOST_IN_A_COMMIT: usize = 64;

/// The transaction that writes share while it is open, and who waits for its commit.
#[derive(Default)]
struct Shared {
    open: Option<PoolConnection<Any>>,
    members: Vec<oneshot::Sender<Result<(), String>>>,
}

/// The database.
#[derive(Clone)]
pub struct Store {
    readers: AnyPool,
    writers: AnyPool,
    shared: Arc<Mutex<Shared>>,
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
    pub async fn read(&self) -> Result<PoolConnection<Any>, StoreError> {
        if let Some(pace) = &self.pace {
            pace.read()?;
        }
        Ok(self.readers.acquire().await?)
    }

    /// Runs `work` in a transaction and returns once that is durable. If `work` fails, nothing of it stays.
    ///
    /// `work` has no effect but on the database, so that it can be run again. A caller that is dropped half
    /// way takes the open transaction with it, and its other members are told that it did not happen.
    pub async fn write<'a, T, E, F>(&'a self, mut work: F) -> Result<T, E>
    where
        F: for<'t> FnMut(&'t mut Tx<'a>) -> Writing<'t, T, E> + Send + 'a,
        E: From<StoreError>,
    {
        if let Some(pace) = &self.pace {
            pace.begin().await?;
        }
        let mut turn = Turn { shared: self.shared.lock().await, finished: false };
        let mut tx = Tx { connection: self.join(&mut turn.shared).await?, _scope: PhantomData };
        let result = work(&mut tx).await;
        let end = if result.is_ok() { engine::KEEP } else { engine::UNDO };
        tx.sql().execute(end).await.map_err(StoreError::from)?;
        let (tell, committed) = oneshot::channel();
        turn.shared.open = Some(tx.connection);
        turn.shared.members.push(tell);
        if turn.shared.members.len() >= MOST_IN_A_COMMIT {
            commit(&mut turn.shared).await;
        }
        turn.finished = true;
        drop(turn);
        self.settle(committed).await?;
        if let Some(pace) = self.pace.as_ref().filter(|_| result.is_ok()) {
            pace.committed().await?;
        }
        result
    }

    /// Waits for the commit. The lock is fair: whoever asked for it before now joins the transaction first, and
    /// if nobody has committed by the time it comes round again, this member does.
    async fn settle(
        &self,
        mut committed: oneshot::Receiver<Result<(), String>>,
    ) -> Result<(), StoreError> {
        let outcome = tokio::select! {
            biased;
            outcome = &mut committed => outcome,
            mut shared = self.shared.lock() => match committed.try_recv() {
                Ok(outcome) => Ok(outcome),
                Err(_) => {
                    commit(&mut shared).await;
                    committed.await
                }
            },
        };
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(StoreError::Commit(reason)),
            Err(_) => Err(StoreError::Commit("the transaction was given up".to_owned())),
        }
    }

    /// The open transaction, or a new one, with a savepoint for one more member.
    async fn join(&self, shared: &mut Shared) -> Result<PoolConnection<Any>, StoreError> {
        let mut connection = match shared.open.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.writers.acquire().await?;
                connection.execute(engine::BEGIN).await?;
                connection
            }
        };
        connection.execute(engine::SAVEPOINT).await?;
        Ok(connection)
    }
}

async fn commit(shared: &mut Shared) {
    let Some(mut connection) = shared.open.take() else { return };
    let outcome = connection.execute("COMMIT").await.map(|_| ()).map_err(|error| error.to_string());
    for member in shared.members.drain(..) {
        // A member that is gone does not need to hear it.
        let _ = member.send(outcome.clone());
    }
}

/// One member's hold on the shared transaction.
struct Turn<'s> {
    shared: MutexGuard<'s, Shared>,
    finished: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Back in the pool the connection is rolled back; who waited for its commit hears of it here.
            self.shared.open = None;
            self.shared.members.clear();
        }
    }
}
