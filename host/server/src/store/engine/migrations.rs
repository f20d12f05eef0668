//! The tables: forward-only, in the order of their names, inside the binary. Of several gateways that start at once one
//! brings them up to date, and the others wait for it.

use sqlx::Executor;

use super::Sql;
use crate::store::StoreError;

/// One step, the same on each engine.
pub(super) struct Migration {
    name: &'static str,
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

const ALL: &[Migration] = &[
    Migration {
        name: "0001_gateway",
        sqlite: include_str!("../../../../../migrations/sqlite/0001_gateway.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0001_gateway.sql"),
    },
    Migration {
        name: "0002_bills",
        sqlite: include_str!("../../../../../migrations/sqlite/0002_bills.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0002_bills.sql"),
    },
    Migration {
        name: "0003_store",
        sqlite: include_str!("../../../../../migrations/sqlite/0003_store.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0003_store.sql"),
    },
    Migration {
        name: "0004_state",
        sqlite: include_str!("../../../../../migrations/sqlite/0004_state.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0004_state.sql"),
    },
    Migration {
        name: "0005_requests_and_keys",
        sqlite: include_str!("../../../../../migrations/sqlite/0005_requests_and_keys.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0005_requests_and_keys.sql"),
    },
    Migration {
        name: "0006_jobs",
        sqlite: include_str!("../../../../../migrations/sqlite/0006_jobs.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0006_jobs.sql"),
    },
    Migration {
        name: "0007_webhooks",
        sqlite: include_str!("../../../../../migrations/sqlite/0007_webhooks.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0007_webhooks.sql"),
    },
    Migration {
        name: "0008_keys_and_waits",
        sqlite: include_str!("../../../../../migrations/sqlite/0008_keys_and_waits.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0008_keys_and_waits.sql"),
    },
    Migration {
        name: "0009_tries",
        sqlite: include_str!("../../../../../migrations/sqlite/0009_tries.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0009_tries.sql"),
    },
    Migration {
        name: "0010_indexes",
        sqlite: include_str!("../../../../../migrations/sqlite/0010_indexes.sql"),
        postgres: include_str!("../../../../../migrations/postgres/0010_indexes.sql"),
    },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (name TEXT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)";
/// A row that is no migration: whoever has it is alone at what only one may do.
const TURN: &str = "0000_turn";
const PUT_TURN: &str =
    "INSERT INTO migrations (name, applied_at) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING";
const TAKE_TURN: &str = "UPDATE migrations SET applied_at = applied_at WHERE name = $1";
const NAMES: &str = "SELECT name FROM migrations WHERE name <> $1 ORDER BY name";
const APPLIED: &str = "INSERT INTO migrations (name, applied_at) VALUES ($1, 0)";

/// How often two that make the table at once are told of each other at most.
const MOST_TRIES: usize = 5;

/// Brings the tables up to date.
///
/// # Errors
/// There are tables of a newer version, or a step failed: then none of it stays.
pub(super) async fn migrate(
    sql: &mut Sql,
    begin: &'static str,
    text: fn(&Migration) -> &'static str,
) -> Result<(), StoreError> {
    let mut tries = 1;
    while let Err(error) = sql.execute(TABLE).await {
        if tries == MOST_TRIES {
            return Err(error.into());
        }
        tries += 1;
    }
    sqlx::query(PUT_TURN).bind(TURN).execute(&mut *sql).await?;
    sql.execute(begin).await?;
    let done = apply(sql, text).await;
    sql.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    done
}

async fn apply(sql: &mut Sql, text: fn(&Migration) -> &'static str) -> Result<(), StoreError> {
    take_turn(sql).await?;
    let names: Vec<(String,)> = sqlx::query_as(NAMES).bind(TURN).fetch_all(&mut *sql).await?;
    if let Some((newer,)) = names.iter().find(|(name,)| ALL.iter().all(|known| known.name != name))
    {
        return Err(StoreError::Newer(newer.clone()));
    }
    for migration in ALL.iter().filter(|known| names.iter().all(|(name,)| name != known.name)) {
        sql.execute(text(migration)).await?;
        sqlx::query(APPLIED).bind(migration.name).execute(&mut *sql).await?;
    }
    Ok(())
}

/// Waits until no other gateway's transaction has the turn, and has it until the transaction's end: for what is done
/// once in a database's life.
pub async fn take_turn(sql: &mut Sql) -> Result<(), StoreError> {
    sqlx::query(TAKE_TURN).bind(TURN).execute(sql).await?;
    Ok(())
}
