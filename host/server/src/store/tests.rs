//! Writes that fail, are dropped, or come in crowds.

use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::Executor;
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;

const INSERT: &str = "INSERT INTO merchants (id, name, created_at) VALUES ($1, 'a', 0)";
const COUNT: &str = "SELECT count(*) FROM merchants";

async fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("db"), Arc::new(SystemClock)).await.unwrap();
    (folder, store)
}

async fn insert(store: &Store, id: &str) -> Result<(), StoreError> {
    store
        .write(move |tx| {
            Box::pin(async move {
                sqlx::query(INSERT).bind(id).execute(tx.sql()).await?;
                Ok(())
            })
        })
        .await
}

async fn count(store: &Store) -> i64 {
    let mut sql = store.read().await.unwrap();
    let (count,): (i64,) = sqlx::query_as(COUNT).fetch_one(&mut sql).await.unwrap();
    count
}

fn stale() -> StoreError {
    StoreError::Stale { table: "merchants", row: "a".to_owned() }
}

/// The gateway looks once a day, whatever its connections remember of the file.
#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_open_is_found() {
    let (folder, store) = store().await;
    for at in 0..100 {
        insert(&store, &format!("mer_{at}")).await.unwrap();
    }
    store.examine().await.unwrap();
    let mut sql = store.read().await.unwrap();
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    drop(sql);
    let file = folder.path().join("db");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in (4096..bytes.len()).step_by(4096) {
        bytes[page] ^= 0x5a;
    }
    std::fs::write(&file, bytes).unwrap();
    let found = store.examine().await.unwrap_err();
    assert!(matches!(found, StoreError::Unfit(why) if why.contains("damaged")), "{found}");
}

#[tokio::test]
async fn a_write_that_was_overtaken_runs_again_and_leaves_one_trace() {
    let (_folder, store) = store().await;
    let runs = &AtomicUsize::new(0);
    let write = store.write(move |tx| {
        Box::pin(async move {
            sqlx::query(INSERT).bind("a").execute(tx.sql()).await?;
            if runs.fetch_add(1, Ordering::Relaxed) < 3 { Err(stale()) } else { Ok(()) }
        })
    });
    write.await.unwrap();
    assert_eq!((runs.load(Ordering::Relaxed), count(&store).await), (4, 1));
}

#[tokio::test]
async fn a_write_that_is_always_overtaken_ends() {
    let (_folder, store) = store().await;
    let runs = &AtomicUsize::new(0);
    let write = store.write::<(), StoreError, _>(move |_| {
        Box::pin(async move {
            runs.fetch_add(1, Ordering::Relaxed);
            Err(stale())
        })
    });
    assert!(matches!(write.await, Err(StoreError::Stale { .. })));
    assert_eq!(runs.load(Ordering::Relaxed), MOST_TRIES);
    insert(&store, "after").await.unwrap();
    assert_eq!(count(&store).await, 1);
}

#[tokio::test]
async fn a_refusal_runs_once_and_takes_back_its_own_alone() {
    let (_folder, store) = store().await;
    let runs = &AtomicUsize::new(0);
    let refused = store.write::<(), StoreError, _>(move |tx| {
        Box::pin(async move {
            sqlx::query(INSERT).bind("refused").execute(tx.sql()).await?;
            runs.fetch_add(1, Ordering::Relaxed);
            Err(StoreError::Inconsistent { table: "merchants", column: "id", row: "a".to_owned() })
        })
    });
    let (kept, refused) = tokio::join!(insert(&store, "kept"), refused);
    kept.unwrap();
    assert!(matches!(refused, Err(StoreError::Inconsistent { .. })));
    assert_eq!((runs.load(Ordering::Relaxed), count(&store).await), (1, 1));
}

#[tokio::test]
async fn a_member_that_is_dropped_takes_nobody_along() {
    let (_folder, store) = store().await;
    let runs = &AtomicUsize::new(0);
    let (begun, go, inside) = (&Notify::new(), &Notify::new(), &Notify::new());
    let first = store.write::<(), StoreError, _>(move |tx| {
        Box::pin(async move {
            sqlx::query(INSERT).bind("first").execute(tx.sql()).await?;
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                begun.notify_one();
                go.notified().await;
            }
            Ok(())
        })
    });
    let second = async {
        begun.notified().await;
        let second = store.write::<(), StoreError, _>(move |tx| {
            Box::pin(async move {
                sqlx::query(INSERT).bind("second").execute(tx.sql()).await?;
                inside.notify_one();
                std::future::pending().await
            })
        });
        // It queues while the first one writes, so it joins that transaction before anybody commits it.
        tokio::select! {
            biased;
            _ = second => unreachable!("it never ends"),
            () = async { go.notify_one(); inside.notified().await } => {}
        }
    };
    let (first, ()) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!((runs.load(Ordering::Relaxed), count(&store).await), (2, 1));
    insert(&store, "after").await.unwrap();
    assert_eq!(count(&store).await, 2);
}

#[tokio::test]
async fn a_crowd_is_written_as_a_whole() {
    let (_folder, store) = store().await;
    let ids: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let writes = ids.iter().map(|id| insert(&store, id));
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(count(&store).await, 200);
}
