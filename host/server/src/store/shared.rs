//! The transaction that writes share: each runs in a savepoint of it, the last one commits, and all of them hear whether
//! the commit held.
//!
//! The lock of a lane is fair. Whoever opens a transaction has it committed as soon as the lock comes round again, and
//! whoever asked for the lock before that has joined by then. So under load a commit carries many writes, and one that
//! is alone waits for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Executor;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use super::StoreError;
use super::engine::{Mark, Sql, Unconfirmed, Writers};

/// How many writes at most share one commit.
const MOST_IN_A_COMMIT: usize = 64;

/// The lanes of a gateway: as many transactions are open at once.
#[derive(Clone)]
pub(super) struct Lanes {
    all: Arc<[Lane]>,
    next: Arc<AtomicUsize>,
}

/// Where writes queue for one transaction at a time.
#[derive(Clone)]
struct Lane {
    writers: Writers,
    place: Arc<Mutex<Place>>,
}

/// What lies in a lane between two members.
#[derive(Default)]
struct Place {
    /// The transaction that is open.
    open: Option<Open>,
    /// The connection that had the last one.
    idle: Option<Sql>,
}

/// A transaction and who waits for its commit. Dropped, its connection is rolled back, and they hear that it was
/// given up.
pub(super) struct Open {
    connection: Sql,
    mark: Mark,
    members: Vec<oneshot::Sender<Result<(), Unconfirmed>>>,
}

/// A member's turn. Dropped while the member has the transaction, it leaves none open.
pub(super) struct Turn {
    lane: Lane,
    place: OwnedMutexGuard<Place>,
}

/// A member's wait for the commit.
pub(super) struct Member(oneshot::Receiver<Result<(), Unconfirmed>>);

impl Lanes {
    pub(super) fn new(writers: Writers, count: usize) -> Lanes {
        let lane = || Lane { writers: writers.clone(), place: Arc::default() };
        Lanes { all: std::iter::repeat_with(lane).take(count).collect(), next: Arc::default() }
    }

    /// Waits for a turn in the first lane that is free, or else in one after the other. A member that is to be the
    /// `first` of a transaction has the open one committed before.
    pub(super) async fn turn(&self, first: bool) -> Turn {
        for lane in self.all.iter() {
            if let Ok(mut place) = lane.place.clone().try_lock_owned() {
                match place.open.take_if(|_| first) {
                    Some(open) => commit(lane.writers.clone(), place, open),
                    None => return Turn { lane: lane.clone(), place },
                }
            }
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len();
        self.all[next].turn(first).await
    }
}

impl Lane {
    async fn turn(&self, first: bool) -> Turn {
        loop {
            let mut place = self.place.clone().lock_owned().await;
            match place.open.take_if(|_| first) {
                Some(open) => commit(self.writers.clone(), place, open),
                None => return Turn { lane: self.clone(), place },
            }
        }
    }
}

impl Turn {
    /// The open transaction, or a new one, with a savepoint for this member.
    pub(super) async fn join(&mut self) -> Result<Open, StoreError> {
        let writers = &self.lane.writers;
        if let Some(mut open) = self.place.open.take() {
            writers.join(&mut open.connection).await?;
            return Ok(open);
        }
        // A connection that broke since its last transaction is no loss.
        if let Some(connection) = self.place.idle.take()
            && let Ok((connection, mark)) = writers.begin(connection).await
        {
            return Ok(Open { connection, mark, members: Vec::new() });
        }
        let (connection, mark) = writers.begin(writers.connect().await?).await?;
        Ok(Open { connection, mark, members: Vec::new() })
    }

    /// Ends this member's part: keeps what it wrote, or takes it back.
    pub(super) async fn leave(&mut self, open: &mut Open, keep: bool) -> Result<(), StoreError> {
        Ok(self.lane.writers.leave(&mut open.connection, keep).await?)
    }

    /// Waits for the commit with the others.
    pub(super) fn stay(mut self, mut open: Open) -> Member {
        let (tell, told) = oneshot::channel();
        open.members.push(tell);
        match open.members.len() {
            MOST_IN_A_COMMIT => commit(self.lane.writers, self.place, open),
            members => {
                self.place.open = Some(open);
                drop(self.place);
                if members == 1 {
                    tokio::spawn(commit_next(self.lane));
                }
            }
        }
        Member(told)
    }

    /// Takes no part in the commit.
    pub(super) async fn withdraw(mut self, mut open: Open) -> Result<(), StoreError> {
        if open.members.is_empty() {
            open.connection.execute("ROLLBACK").await?;
            self.place.idle = Some(open.connection);
        } else {
            self.place.open = Some(open);
        }
        Ok(())
    }
}

impl Open {
    /// What statements run on.
    pub(super) fn sql(&mut self) -> &mut Sql {
        &mut self.connection
    }
}

impl Member {
    /// Waits for the commit.
    pub(super) async fn settle(self) -> Result<(), StoreError> {
        match self.0.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Unconfirmed::Failed(reason))) => Err(StoreError::Commit(reason)),
            Ok(Err(Unconfirmed::Undone)) | Err(_) => Err(StoreError::GivenUp),
        }
    }
}

/// Commits what is open when the lock comes round.
async fn commit_next(lane: Lane) {
    let mut place = lane.place.lock_owned().await;
    if let Some(open) = place.open.take() {
        commit(lane.writers, place, open);
    }
}

/// Commits and tells the members, in a task of its own: nobody who is dropped cuts a commit off half way.
fn commit(writers: Writers, mut place: OwnedMutexGuard<Place>, open: Open) {
    let Open { connection, mark, members } = open;
    tokio::spawn(async move {
        let (idle, outcome) = writers.commit(connection, &mark).await;
        place.idle = idle;
        drop(place);
        for member in members {
            // A member that is gone does not need to hear it.
            let _ = member.send(outcome.clone());
        }
    });
}
