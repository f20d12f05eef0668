//! The gateway's database from beside it: every row of every table, and the clock of its jobs; on either engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use tollgate::flows::notices::strangers;
use tollgate::store::{Clock, SystemClock};

use crate::postgres::Database as ServerDatabase;
use crate::{World, until};

/// Has connections of any kind reach files as well as servers. Before the gateway has them reach servers alone: it reads its
/// own file in another way.
pub fn install_drivers() {
    let _ = sqlx::any::install_drivers(&[sqlx_sqlite::any::DRIVER, sqlx_postgres::any::DRIVER]);
}

/// Which engine the tests run on: `sqlite`, or `postgres`.
const ENGINE: &str = "TOLLGATE_TEST_DATABASE";

/// Whether the tests run on Postgres.
pub fn on_postgres() -> bool {
    std::env::var(ENGINE).is_ok_and(|engine| engine == "postgres")
}

/// Where a world's gateway keeps its rows.
#[derive(Debug)]
pub enum Storage {
    /// In a file of the data folder.
    File,
    /// In a database of the tests' server.
    Server(ServerDatabase),
    /// In such a database, to which the gateway has another way, by this address.
    Behind(ServerDatabase, String),
    /// In a database of a server of the test's own.
    Own(String),
}

impl Storage {
    /// A new one on the engine that the tests run on.
    ///
    /// # Panics
    /// If there is no such engine.
    pub async fn new() -> Storage {
        match std::env::var(ENGINE).as_deref() {
            Err(_) | Ok("sqlite") => Storage::File,
            Ok("postgres") => Storage::Server(ServerDatabase::new().await),
            Ok(other) => panic!("{ENGINE}: there is no engine {other}"),
        }
    }

    /// Its address, if it is no file.
    pub fn url(&self) -> Option<String> {
        match self {
            Storage::File => None,
            Storage::Server(database) => Some(database.url()),
            Storage::Behind(_, url) | Storage::Own(url) => Some(url.clone()),
        }
    }

    async fn connect(&self, data: &Path) -> AnyConnection {
        install_drivers();
        let url = match self {
            Storage::Server(database) | Storage::Behind(database, _) => database.url(),
            Storage::Own(url) => url.clone(),
            Storage::File => {
                let file = data.join("tollgate.db");
                let mut sql =
                    AnyConnection::connect(&format!("sqlite:{}", file.display())).await.unwrap();
                let patience =
                    format!("PRAGMA busy_timeout = {}", crate::wait::PATIENCE.as_millis());
                sql.execute(AssertSqlSafe(patience)).await.unwrap();
                return sql;
            }
        };
        AnyConnection::connect(&url).await.unwrap()
    }
}

/// A far time, in microseconds: nothing is due before it.
const NEVER: i64 = 4_000_000_000_000_000;

/// Every row of every table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, Vec<String>>);

impl Dump {
    /// The tables that differ between two dumps.
    pub fn changed(&self, other: &Dump) -> BTreeSet<&str> {
        self.0
            .keys()
            .filter(|table| self.0[*table] != other.0[*table])
            .map(String::as_str)
            .collect()
    }

    /// A table's rows, each as JSON text.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn rows(&self, table: &str) -> &[String] {
        &self.0[table]
    }
}

impl World {
    /// A connection to the gateway's database, in which all is written that waited for it.
    pub async fn db(&self) -> AnyConnection {
        if let Some(gateway) = &self.gateway {
            // A database that cannot be reached is told by whoever looks into it.
            let _ = strangers::write(gateway.gateway()).await;
        }
        self.storage.connect(&self.data()).await
    }

    /// Every row of every table, now. The marks of transactions are no facts: they are left out.
    pub async fn dump(&self) -> Dump {
        let mut db = self.db().await;
        let on_server = !matches!(self.storage, Storage::File);
        // One transaction, so that all tables are of the same moment.
        let (begin, tables) = if on_server {
            let tables = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public'";
            ("BEGIN ISOLATION LEVEL REPEATABLE READ", tables)
        } else {
            (
                "BEGIN",
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            )
        };
        db.execute(begin).await.unwrap();
        let mut dump = BTreeMap::new();
        for table in strings(&mut db, tables).await {
            let rows = if on_server {
                format!("SELECT CAST(to_jsonb(r) AS TEXT) AS row FROM \"{table}\" r ORDER BY row")
            } else {
                let columns = format!("SELECT name FROM pragma_table_info('{table}')");
                let columns = strings(&mut db, &columns).await;
                let pairs: Vec<_> =
                    columns.iter().map(|name| format!("'{name}', quote(\"{name}\")")).collect();
                let object = pairs.join(", ");
                format!("SELECT json_object({object}) AS row FROM \"{table}\" ORDER BY row")
            };
            if table != "commits" {
                let rows = strings(&mut db, &rows).await;
                dump.insert(table, rows);
            }
        }
        db.close().await.unwrap();
        Dump(dump)
    }

    /// The first column of what a statement finds, as text.
    pub async fn select(&self, sql: &str) -> Vec<String> {
        let mut db = self.db().await;
        let found = strings(&mut db, sql).await;
        db.close().await.unwrap();
        found
    }

    /// The first column of what a statement finds, as bytes.
    pub async fn select_bytes(&self, sql: &str) -> Vec<Vec<u8>> {
        let mut db = self.db().await;
        let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut db).await.unwrap();
        db.close().await.unwrap();
        rows.iter().map(|row| row.get::<Vec<u8>, _>(0)).collect()
    }

    /// Writes beside the gateway: for what no API offers, such as moving time.
    pub async fn write(&self, sql: &str) {
        let mut db = self.db().await;
        // A gateway at work may be at the same rows in another order.
        let crossed = |error: &sqlx::Error| {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| code == "40P01")
        };
        let done = loop {
            match db.execute(AssertSqlSafe(sql.to_owned())).await {
                Err(error) if crossed(&error) => {}
                done => break done,
            }
        };
        done.unwrap();
        db.close().await.unwrap();
    }

    /// The time, in microseconds. Gateway, database and tests are on one machine.
    pub fn now(&self) -> i64 {
        SystemClock.now().0
    }

    /// Waits until no job is due or running.
    pub async fn idle(&self) {
        until("jobs at rest", async || {
            let now = self.now();
            let busy = format!(
                "SELECT CAST(count(*) AS TEXT) FROM jobs WHERE parked_at IS NULL \
                 AND (leased_until > 0 OR due_at <= {now})"
            );
            (self.select(&busy).await == ["0"]).then_some(())
        })
        .await;
    }

    /// Lets running jobs end and makes no other due: what happens now, a test has done.
    pub async fn stop_the_clock(&self) {
        self.idle().await;
        self.write(&format!("UPDATE jobs SET due_at = {NEVER} WHERE leased_until = 0")).await;
        self.idle().await;
    }

    /// A job's time has come, for each of this kind.
    pub async fn make_due(&self, kind: &str) {
        self.write(&format!(
            "UPDATE jobs SET due_at = 0 WHERE kind = '{kind}' AND leased_until = 0"
        ))
        .await;
    }

    /// States of the kept messages, in the order in which they came.
    pub async fn kept(&self) -> Vec<String> {
        self.select("SELECT state FROM notifications ORDER BY received_at, id").await
    }

    /// What the newest kept message was refused or waits for.
    pub async fn reason(&self) -> String {
        let newest = "SELECT coalesce(reason, '') FROM notifications ORDER BY received_at DESC, id DESC LIMIT 1";
        self.select(newest).await.pop().unwrap_or_default()
    }
}

async fn strings(db: &mut AnyConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(db).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}
