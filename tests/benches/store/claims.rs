//! Claimed jobs: as the worker claims them beside the same update by hand, and with a million jobs waiting beside none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::Executor;
use tollgate::flows::due::{self, Wanted};
use tollgate::store::Sql;
use tollgate::store::jobs::Lane;
use tollgate_tests::figures::{Milli, at_least, fact, median};

use crate::ground::{Ground, Seat, Server, disk};
use crate::orders::PAIRS;

/// How many jobs are claimed at once.
const BATCH: u64 = 50;
/// How many are claimed for one time.
const COUNT: u64 = 2_000;
const BACKLOG: u64 = 1_000_000;

/// Due jobs of one line, numbered from `$3` on.
const FILL: &str = "INSERT INTO jobs (merchant_id, id, kind, subject_id, payload, due_at, attempts, leased_until, \
     fence, urgings, created_at, queue) WITH RECURSIVE n (i) AS (SELECT CAST($3 AS BIGINT) UNION ALL \
     SELECT i + 1 FROM n WHERE i < $3 + $2 - 1), job (id, due_at) AS (SELECT 'job_018c8b2f6d3a7c1e9f4b' || \
     substr(CAST(1000000000000 + i AS TEXT), 2), 1700000000000000 + i FROM n) \
     SELECT $1, id, 'end_order', id, '{}', due_at, 0, 0, 0, 0, due_at, 'short/line' FROM job";
const CLAIM: &str = "UPDATE jobs SET leased_until = $2, fence = fence + 1, attempts = attempts + 1, \
     failures = failures + 1 WHERE id IN (SELECT id FROM jobs WHERE queue = 'short/line' AND parked_at IS NULL \
     AND wake_at <= $1 ORDER BY wake_at LIMIT $3) AND wake_at <= $1 RETURNING *";
const CLEAR: &str =
    "DELETE FROM jobs WHERE queue = 'short/line' AND parked_at IS NULL AND wake_at > $1";

/// Both engines.
pub async fn measure(server: &Server) {
    let (small, large) = (disk(), disk());
    compare(&Ground::on_sqlite(small.path()), &Ground::on_sqlite(large.path())).await;
    let small = Ground::on_postgres(server, "few_jobs").await;
    compare(&small, &Ground::on_postgres(server, "many_jobs").await).await;
}

async fn compare(small: &Ground, large: &Ground) {
    let (mut few, mut many) = (Line::on(small).await, Line::on(large).await);
    many.fill(BACKLOG).await;
    large.settle().await;
    let (mut flows, mut raws) = (Vec::new(), Vec::new());
    let (mut to_raw, mut to_few) = (Vec::new(), Vec::new());
    // The first round warms all sides up.
    for round in 0..=PAIRS {
        let (raw, flow) = (few.claims(By::Hand).await, few.claims(By::Flow).await);
        let crowded = many.claims(By::Flow).await;
        if round > 0 {
            to_raw.push(Milli::ratio(raw, flow));
            to_few.push(Milli::ratio(flow, crowded));
            raws.push(raw);
            flows.push(flow);
        }
    }
    let engine = small.engine;
    let rate = |times| Milli::per_second(COUNT, median(times));
    fact(&format!("claimed jobs, 50 at once, {engine}"), rate(flows), "jobs/s");
    fact(&format!("the same update by hand, {engine}"), rate(raws), "jobs/s");
    fact(&format!("claimed jobs / by hand, {engine}"), median(to_raw), "ratio");
    let name = format!("claims with 1 M jobs due / with none, {engine}");
    at_least(&name, median(to_few), "ratio", Milli(900));
}

/// Who claims.
#[derive(Clone, Copy)]
enum By {
    Flow,
    Hand,
}

/// A line of due jobs.
struct Line {
    seat: Seat,
    sql: Sql,
    begin: &'static str,
    /// The number of the next job.
    next: u64,
}

impl Line {
    async fn on(ground: &Ground) -> Line {
        let (seat, sql) = (ground.gateway().await, ground.connect().await);
        Line { seat, sql, begin: ground.begin, next: 1 }
    }

    async fn fill(&mut self, count: u64) {
        sqlx::query(FILL)
            .bind(self.seat.merchant.to_string())
            .bind(i64::try_from(count).unwrap())
            .bind(i64::try_from(self.next).unwrap())
            .execute(&mut self.sql)
            .await
            .unwrap();
        self.next += count;
    }

    /// Adds the jobs, claims as many, and takes what was claimed away.
    async fn claims(&mut self, by: By) -> Duration {
        self.fill(COUNT).await;
        let started = Instant::now();
        for _ in 0..COUNT / BATCH {
            let claimed = match by {
                By::Flow => self.claim().await,
                By::Hand => self.claim_by_hand().await,
            };
            assert_eq!(claimed, usize::try_from(BATCH).unwrap(), "jobs of a claim");
        }
        let took = started.elapsed();
        let now = self.seat.gateway.store.now();
        let cleared = sqlx::query(CLEAR).bind(now.0).execute(&mut self.sql).await.unwrap();
        assert_eq!(cleared.rows_affected(), COUNT, "a job was claimed twice");
        took
    }

    async fn claim(&self) -> usize {
        let gateway = &self.seat.gateway;
        let until = gateway.store.now().plus_millis(600_000);
        let (each, running) = (usize::try_from(BATCH).unwrap(), &BTreeMap::new());
        let wanted = Wanted { lane: Lane::Short, most: each, each, running, until };
        due::claim(gateway, &[wanted]).await.unwrap().jobs.len()
    }

    async fn claim_by_hand(&mut self) -> usize {
        let now = self.seat.gateway.store.now();
        self.sql.execute(self.begin).await.unwrap();
        let claim = sqlx::query(CLAIM).bind(now.0).bind(now.plus_millis(600_000).0);
        let claimed =
            claim.bind(i64::try_from(BATCH).unwrap()).fetch_all(&mut self.sql).await.unwrap();
        self.sql.execute("COMMIT").await.unwrap();
        claimed.len()
    }
}
