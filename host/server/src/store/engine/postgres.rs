//! PostgreSQL, for several gateways at once: short transactions at READ COMMITTED on a few connections, each of which
//! leaves a mark, so that a commit whose answer was lost can be looked up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor};
use tollgate_domain::time::Moment;

use super::clock::DatabaseClock;
use super::{Sql, Unconfirmed, migrations};
use crate::chance::Chance;
use crate::store::shared::Lanes;
use crate::store::{Clock, Readers, Store, StoreError};

/// Lets one more member join. It waits for a row but shortly, because the members before it hold theirs meanwhile: one
/// that waits in vain runs again as the first of a transaction, and that one holds nothing while it waits.
pub(super) const JOIN: &str = "SET LOCAL lock_timeout = '100ms'; SAVEPOINT work";

/// How many transactions this gateway has open at once.
const LANES: u32 = 4;
const READERS: u32 = 8;

/// How long a request waits for a connection before it is told to come again.
const ACQUIRE: Duration = Duration::from_secs(5);

/// No statement, wait or pause between two members takes so long, unless something is broken. A commit that is answered
/// before it is on the disk is none.
const WRITES: &str = "SET lock_timeout = '10s'; SET statement_timeout = '60s'; \
     SET idle_in_transaction_session_timeout = '20s'; SET client_min_messages = error; \
     SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
const READS: &str = "SET statement_timeout = '60s'; SET client_min_messages = error; \
     SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY";
/// For the one connection that brings the tables up to date, which may take its time.
const PATIENT: &str = "SET lock_timeout = 0; SET statement_timeout = 0; \
     SET idle_in_transaction_session_timeout = 0; SET client_min_messages = error";

/// A standby's answer would be an old one.
const IS_PRIMARY: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE 1 END";
/// Ids are compared as bytes, with `~` after all of them.
const SORTS_BYTES: &str =
    "SELECT CASE WHEN 'B' < 'a' AND 'a' < '~' AND '_' < 'a' THEN 1 ELSE 0 END";
const IS_DURABLE: &str = "SELECT CASE WHEN current_setting('fsync') = 'on' \
     AND current_setting('full_page_writes') = 'on' THEN 1 ELSE 0 END";

const NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
/// Waits for a transaction of that mark that still runs. Nothing was written: it had left its mark.
const FENCE: &str = "INSERT INTO commits (mark) VALUES ($1) ON CONFLICT (mark) DO NOTHING";
const SWEEP: &str = "DELETE FROM commits WHERE mark < $1";
/// Marks are kept for longer than anybody asks for them.
const KEPT_MS: i64 = 600_000;
/// How long what became of a commit is asked for.
const DOUBT: Duration = Duration::from_secs(60);

/// Where writes get their connections.
#[derive(Clone)]
pub(in crate::store) struct Writers {
    pub(super) pool: AnyPool,
    clock: Arc<DatabaseClock>,
    /// Makes this gateway's marks differ from another's.
    own: Arc<str>,
    count: Arc<AtomicU64>,
}

impl Store {
    /// Opens a PostgreSQL database and brings its tables up to date, or waits until another gateway has.
    ///
    /// # Errors
    /// The database cannot be reached or used, or a newer version has been at it.
    pub async fn open_postgres(url: &SecretString) -> Result<Store, StoreError> {
        // Once a process. It fails where they are there already.
        let _ = sqlx::any::install_drivers(&[sqlx_postgres::any::DRIVER]);
        let url = url.expose_secret();
        let mut first = AnyConnection::connect(url).await?;
        check(&mut first).await?;
        first.execute(PATIENT).await?;
        let mut first = Sql::Single(first);
        migrations::migrate(&mut first, "BEGIN", |migration| migration.postgres).await?;
        let clock = Arc::new(DatabaseClock::new(sample(&mut first).await?));
        if let Sql::Single(first) = first {
            first.close().await?;
        }
        let pool = pool(LANES + 1, WRITES).after_release(|connection, _| {
            Box::pin(async move {
                // A write that was given up leaves its transaction open.
                connection.execute("ROLLBACK").await?;
                Ok(true)
            })
        });
        let pool = pool.connect_lazy(url)?;
        let own = hex::encode(Chance::of_the_machine().bytes::<8>()).into();
        let writers = Writers { pool, clock: clock.clone(), own, count: Arc::default() };
        let readers = Readers::Server(self::pool(READERS, READS).connect_lazy(url)?);
        let lanes = Lanes::new(super::Writers::Postgres(writers), LANES as usize);
        Ok(Store { readers, lanes, clock, pace: None })
    }
}

/// What must hold before the tables are looked at.
async fn check(sql: &mut AnyConnection) -> Result<(), StoreError> {
    if !holds(sql, IS_PRIMARY).await? {
        return Err(StoreError::Unfit("it is a standby: the gateway needs the primary"));
    }
    if !holds(sql, SORTS_BYTES).await? {
        let rule =
            "its texts must sort by their bytes: create it with LC_COLLATE 'C' TEMPLATE template0";
        return Err(StoreError::Unfit(rule));
    }
    if !holds(sql, IS_DURABLE).await? {
        tracing::warn!(
            "the database runs with fsync or full_page_writes off: a power cut will lose payments"
        );
    }
    Ok(())
}

async fn holds(sql: &mut AnyConnection, question: &'static str) -> Result<bool, sqlx::Error> {
    let (answer,): (i32,) = sqlx::query_as(question).fetch_one(sql).await?;
    Ok(answer == 1)
}

fn pool(connections: u32, session: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE).after_connect(
        move |connection, _| {
            Box::pin(async move {
                if !holds(connection, IS_PRIMARY).await? {
                    return Err(sqlx::Error::Configuration("the database is a standby".into()));
                }
                connection.execute(session).await?;
                Ok(())
            })
        },
    )
}

/// The database's time, and when here that was.
async fn sample(sql: &mut Sql) -> Result<(Instant, i64), sqlx::Error> {
    let before = super::clock::instant();
    let (micros,): (i64,) = sqlx::query_as(NOW).fetch_one(sql).await?;
    Ok((before + before.elapsed() / 2, micros))
}

impl Writers {
    /// Begins a transaction that has left its mark.
    pub(super) async fn begin(&self, sql: &mut Sql) -> Result<String, sqlx::Error> {
        if self.clock.takes_a_sample() {
            self.clock.set(sample(sql).await?);
            let old = self.clock.now().plus_millis(-KEPT_MS);
            sqlx::query(SWEEP).bind(sortable(old)).execute(&mut *sql).await?;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{}-{count}", sortable(self.clock.now()), self.own);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; INSERT INTO commits (mark) VALUES ('{mark}'); SAVEPOINT work"
        );
        sql.execute(AssertSqlSafe(begin)).await?;
        Ok(mark)
    }

    /// Whether the transaction with this mark has happened: if it has not, it cannot any more, for its mark is taken.
    pub(super) async fn what_became_of(&self, mark: &str) -> Result<(), Unconfirmed> {
        let end = super::clock::instant() + DOUBT;
        loop {
            match self.fence(mark).await {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(Unconfirmed::Undone),
                Err(error) if super::clock::instant() > end => {
                    let reason = format!("whether it happened cannot be told: {error}");
                    return Err(Unconfirmed::Failed(reason));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn fence(&self, mark: &str) -> Result<u64, sqlx::Error> {
        let mut sql = self.pool.acquire().await?;
        Ok(sqlx::query(FENCE).bind(mark).execute(&mut *sql).await?.rows_affected())
    }
}

/// A time as text that sorts.
fn sortable(moment: Moment) -> String {
    format!("{:016x}", moment.0)
}
