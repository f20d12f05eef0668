//! Statements in a file, and what a connection leaves behind.

use sqlx::{Executor, Row};
use tempfile::TempDir;

use super::super::Sql;
use super::*;

async fn table() -> (TempDir, Arc<File>) {
    let folder = tempfile::tempdir().unwrap();
    let file = File::new(&folder.path().join("db"));
    let mut sql = Sql::File(file.connect().unwrap());
    sql.execute("CREATE TABLE t (a BIGINT, b TEXT, c BLOB); CREATE UNIQUE INDEX t_a ON t (a)")
        .await
        .unwrap();
    (folder, file)
}

async fn count(sql: &mut Sql) -> i64 {
    let (count,): (i64,) = sqlx::query_as("SELECT count(*) FROM t").fetch_one(sql).await.unwrap();
    count
}

#[tokio::test]
async fn arguments_go_by_their_number_and_columns_by_their_name() {
    let (_folder, file) = table().await;
    let mut sql = Sql::File(file.connect().unwrap());
    let insert = sqlx::query("INSERT INTO t (c, b, a) VALUES ($3, $1, $2), ($3, NULL, $2 + 1)");
    let done = insert.bind("one").bind(1_i64).bind(vec![0_u8, 255]).execute(&mut sql).await;
    assert_eq!(done.unwrap().rows_affected(), 2);
    let all = sqlx::query("SELECT a, c, b FROM t ORDER BY a");
    let rows = all.fetch_all(&mut sql).await.unwrap();
    let read = |row: &AnyRow| {
        let (a, b): (i64, Option<String>) = (row.get("a"), row.get("b"));
        (a, b, row.get::<Vec<u8>, _>("c"))
    };
    let rows: Vec<_> = rows.iter().map(read).collect();
    assert_eq!(rows, [(1, Some("one".to_owned()), vec![0, 255]), (2, None, vec![0, 255])]);
    sql.execute("ALTER TABLE t ADD COLUMN d TEXT DEFAULT 'new'").await.unwrap();
    let wide = sqlx::query("SELECT * FROM t WHERE a = $1");
    let row = wide.bind(1_i64).fetch_optional(&mut sql).await.unwrap().unwrap();
    assert_eq!(row.get::<String, _>("d"), "new");
}

#[tokio::test]
async fn what_was_not_committed_is_gone_when_the_connection_is() {
    let (_folder, file) = table().await;
    let mut sql = Sql::File(file.connect().unwrap());
    sql.execute("BEGIN IMMEDIATE; INSERT INTO t (a) VALUES (1)").await.unwrap();
    assert_eq!(count(&mut sql).await, 1);
    drop(sql);
    let mut sql = Sql::File(file.connect().unwrap());
    assert_eq!(count(&mut sql).await, 0);
    sql.execute("INSERT INTO t (a) VALUES (1)").await.unwrap();
    let again = sql.execute("INSERT INTO t (a) VALUES (1)").await.unwrap_err();
    let code = again.as_database_error().and_then(|error| error.code()).unwrap().into_owned();
    assert_eq!(code, "2067", "{again}");
}

#[tokio::test]
async fn one_who_would_have_to_wait_is_told_so_and_waits_elsewhere() {
    let (_folder, file) = table().await;
    let (mut first, mut second) = (file.connect().unwrap(), file.connect().unwrap());
    assert!(first.batch_at_once("BEGIN IMMEDIATE").unwrap());
    assert!(!second.batch_at_once("BEGIN IMMEDIATE").unwrap());
    let waits =
        tokio::spawn(second.batch_elsewhere("BEGIN IMMEDIATE; INSERT INTO t (a) VALUES (2)"));
    first.batch("INSERT INTO t (a) VALUES (1); COMMIT").unwrap();
    let (second, begun) = waits.await.unwrap();
    begun.unwrap();
    assert_eq!(count(&mut Sql::File(second.unwrap())).await, 2);
}
