//! The bare writer: the same rows as an order of the gateway leaves, in the same tables, by the same driver on one
//! connection, and nothing else: no look at what is there, no savepoint, no mark, nobody who waits.

use std::time::{Duration, Instant};

use sqlx::Executor;
use tollgate::chance::Chance;
use tollgate::store::Sql;
use tollgate_domain::ids::{EventId, JobId, MerchantId, OrderId};
use tollgate_domain::time::Moment;

use crate::ground::Ground;

/// How many orders share a commit, as many as the gateway's at most.
pub const IN_A_COMMIT: u64 = 64;

const ORDER: &str = "INSERT INTO orders (merchant_id, id, number, state, amount, currency, subject, details, \
     fingerprint, token, event_seq, expires_at, created_at, updated_at, late_success) \
     VALUES ($1, $2, $3, 'open', 1250, 'CNY', $4, $5, $6, $7, 1, $8, $9, $9, 'reopen')";
const EVENT: &str = "INSERT INTO events (merchant_id, id, order_id, sequence, kind, data, created_at) \
     VALUES ($1, $2, $3, 1, 'order.created', $4, $5)";
const JOB: &str = "INSERT INTO jobs (merchant_id, id, kind, subject_id, payload, due_at, attempts, leased_until, \
     fence, urgings, created_at, queue) VALUES ($1, $2, 'end_order', $3, '{}', $4, 0, 0, 0, 0, $5, 'short/')";

/// Writes so many orders; a commit's worth at a time.
pub async fn write(
    ground: &Ground,
    sql: &mut Sql,
    merchant: MerchantId,
    (chance, now): (&Chance, Moment),
    count: u64,
) -> Duration {
    let started = Instant::now();
    for _ in 0..count / IN_A_COMMIT {
        sql.execute(ground.begin).await.unwrap();
        for _ in 0..IN_A_COMMIT {
            order(sql, &merchant.to_string(), chance, now).await.unwrap();
        }
        sql.execute("COMMIT").await.unwrap();
    }
    started.elapsed()
}

async fn order(
    sql: &mut Sql,
    merchant: &str,
    chance: &Chance,
    now: Moment,
) -> Result<(), sqlx::Error> {
    let order: OrderId = chance.id(now);
    let (id, number) = (order.to_string(), chance.text(20));
    let ends = now.plus_millis(7_200_000);
    sqlx::query(ORDER)
        .bind(merchant)
        .bind(&id)
        .bind(&number)
        .bind("Green tea")
        .bind(r#"{"items":[],"metadata":{}}"#)
        .bind(chance.text(64))
        .bind(chance.text(32))
        .bind(ends.0)
        .bind(now.0)
        .execute(&mut *sql)
        .await?;
    let data = format!(
        r#"{{"amount":1250,"currency":"CNY","number":"{number}","order_id":"{id}","state":"open"}}"#
    );
    let event: EventId = chance.id(now);
    sqlx::query(EVENT)
        .bind(merchant)
        .bind(event.to_string())
        .bind(&id)
        .bind(data)
        .bind(now.0)
        .execute(&mut *sql)
        .await?;
    let job: JobId = chance.id(now);
    sqlx::query(JOB)
        .bind(merchant)
        .bind(job.to_string())
        .bind(&id)
        .bind(ends.0)
        .bind(now.0)
        .execute(&mut *sql)
        .await?;
    Ok(())
}
