//! The gateway's database as it lies in its file: every row of every table, and the clock of its jobs.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row};

use crate::{World, until};

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
    /// A connection to the gateway's file.
    pub async fn db(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.data().join("tollgate.db"))
            .busy_timeout(crate::wait::PATIENCE)
            .disable_statement_logging();
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Every row of every table, now.
    pub async fn dump(&self) -> Dump {
        let mut db = self.db().await;
        // One transaction, so that all tables are of the same moment.
        db.execute("BEGIN").await.unwrap();
        let tables =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
        let mut dump = BTreeMap::new();
        for table in strings(&mut db, tables).await {
            let columns =
                strings(&mut db, &format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let pairs: Vec<_> =
                columns.iter().map(|name| format!("'{name}', quote(\"{name}\")")).collect();
            let rows = format!(
                "SELECT json_object({}) AS row FROM \"{table}\" ORDER BY row",
                pairs.join(", ")
            );
            let rows = strings(&mut db, &rows).await;
            dump.insert(table, rows);
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

    /// Writes beside the gateway: for what no API offers, such as moving time.
    pub async fn write(&self, sql: &str) {
        let mut db = self.db().await;
        db.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        db.close().await.unwrap();
    }

    /// Waits until no job is due or running.
    pub async fn idle(&self) {
        let busy = "SELECT CAST(count(*) AS TEXT) FROM jobs WHERE leased_until > 0 \
                    OR due_at <= CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
        until("jobs at rest", async || (self.select(busy).await == ["0"]).then_some(())).await;
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

async fn strings(db: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(db).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}
