//! Jobs over a real database and a clock that a test moves: turns, leases, failures, and what is never given up.

use std::collections::BTreeMap;

use tollgate_domain::ids::{AccountId, JobId};

use super::*;
use crate::flows::jobs;
use crate::flows::reconcile::tests::{Bench, NOW};
use crate::store;
use crate::store::jobs::{Lane, NewJob};

const LEASE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

async fn put(bench: &Bench, kind: &str, subject: &str, account: &str, due_at: Moment) {
    let now = bench.gateway.store.now();
    let id: JobId = bench.gateway.chance.id(now);
    let queue = Lane::Short.line(account);
    let job = &NewJob { id, kind, subject, payload: "{}", queue: &queue, due_at };
    let merchant = bench.merchant;
    let write = bench.gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(store::jobs::put(tx.sql(), merchant, job, now).await?) })
    });
    write.await.unwrap();
}

/// Claims for eight places, four of a line, beside what runs already.
async fn claim_beside(bench: &Bench, running: &Running) -> Claimed {
    let until = bench.gateway.store.now().plus_millis(LEASE_MS);
    let taken: usize = running.values().sum();
    let wanted = Wanted { lane: Lane::Short, most: 8 - taken, each: 4, running, until };
    claim(&bench.gateway, &[wanted]).await.unwrap()
}

async fn claimed(bench: &Bench) -> Vec<JobRow> {
    claim_beside(bench, &Running::new()).await.jobs
}

/// Runs whatever comes due within so long, and stops the clock there.
async fn live(bench: &Bench, millis: i64) -> usize {
    let end = bench.gateway.store.now().plus_millis(millis);
    let mut runs = 0;
    loop {
        let Claimed { jobs, next } = claim_beside(bench, &Running::new()).await;
        for job in &jobs {
            run(&bench.gateway, job).await.unwrap();
            runs += 1;
        }
        let now = bench.gateway.store.now();
        match next.filter(|next| *next <= end) {
            Some(next) if jobs.is_empty() => bench.clock.forward(next.millis_since(now).max(1)),
            None if jobs.is_empty() => {
                bench.clock.forward(end.millis_since(now));
                return runs;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_worker_that_lost_its_lease_cannot_finish_the_job() {
    let bench = Bench::new().await;
    // The order is paid: its end finds nothing to do.
    put(&bench, "end_order", &bench.order.to_string(), "", NOW).await;
    let slow = claimed(&bench).await.remove(0);
    assert!(claimed(&bench).await.is_empty(), "it is leased");
    bench.clock.forward(LEASE_MS);
    let quick = claimed(&bench).await.remove(0);
    assert_eq!((slow.id, slow.fence, quick.fence), (quick.id, 1, 2));
    assert!(!keep(&bench.gateway, &slow, NOW.plus_millis(DAY_MS)).await.unwrap());
    let jobs = "SELECT id || fence || leased_until FROM jobs";
    let before = bench.read(jobs).await;
    run(&bench.gateway, &slow).await.unwrap();
    put_off(&bench.gateway, &slow, "late").await.unwrap();
    assert_eq!(bench.read(jobs).await, before, "an old fence changes nothing");
    run(&bench.gateway, &quick).await.unwrap();
    assert!(bench.read(jobs).await.is_empty());
    let history = bench.read("SELECT outcome || ' ' || attempts FROM job_history").await;
    assert_eq!(history, ["done 2"]);
}

#[tokio::test]
async fn a_lease_that_is_kept_does_not_run_out() {
    let bench = Bench::new().await;
    put(&bench, "end_order", &bench.order.to_string(), "", NOW).await;
    let job = claimed(&bench).await.remove(0);
    for _ in 0..5 {
        bench.clock.forward(LEASE_MS / 2);
        let until = bench.gateway.store.now().plus_millis(LEASE_MS);
        assert!(keep(&bench.gateway, &job, until).await.unwrap());
        assert!(claimed(&bench).await.is_empty());
    }
    run(&bench.gateway, &job).await.unwrap();
    assert!(!keep(&bench.gateway, &job, Moment(i64::MAX)).await.unwrap(), "it is gone");
}

#[tokio::test]
async fn what_is_wanted_while_it_runs_runs_again() {
    let bench = Bench::new().await;
    let order = bench.order.to_string();
    put(&bench, "end_order", &order, "", NOW).await;
    let job = claimed(&bench).await.remove(0);
    put(&bench, "end_order", &order, "", NOW).await;
    run(&bench.gateway, &job).await.unwrap();
    let again = claimed(&bench).await.remove(0);
    assert_eq!((again.id, again.failures), (job.id, 1));
    run(&bench.gateway, &again).await.unwrap();
    assert!(bench.read("SELECT id FROM jobs").await.is_empty());
}

#[tokio::test]
async fn a_broken_job_is_parked_told_of_once_and_can_be_replayed() {
    let bench = Bench::new().await;
    put(&bench, "end_order", "nothing of ours", "", NOW).await;
    let runs = live(&bench, DAY_MS).await;
    assert_eq!(i64::try_from(runs), Ok(MOST_FAILURES));
    let parked = bench.read("SELECT reason FROM jobs WHERE parked_at IS NOT NULL").await;
    assert_eq!(parked, ["job subject \"nothing of ours\" is no id of its kind"]);
    assert_eq!(bench.read("SELECT kind FROM events").await, ["job.parked"]);

    // Nobody else is held up, and wanting it again does not wake it.
    put(&bench, "end_order", &bench.order.to_string(), "", NOW).await;
    put(&bench, "end_order", "nothing of ours", "", NOW).await;
    assert_eq!(live(&bench, DAY_MS).await, 1);

    let gateway = &bench.gateway;
    let row = jobs::list(gateway, bench.merchant, true, "~", 9).await.unwrap().remove(0);
    let stranger = gateway.chance.id(NOW);
    let hidden = jobs::replay(gateway, stranger, row.id).await;
    assert!(matches!(hidden, Err(FlowError::NotFound("job"))));
    assert!(jobs::list(gateway, stranger, true, "~", 9).await.unwrap().is_empty());
    jobs::replay(gateway, bench.merchant, row.id).await.unwrap();
    let twice = jobs::replay(gateway, bench.merchant, row.id).await;
    assert!(matches!(twice, Err(FlowError::Conflict { code: "job-not-parked", .. })));
    assert_eq!(i64::try_from(live(&bench, DAY_MS).await), Ok(MOST_FAILURES));
}

#[tokio::test]
async fn a_job_that_takes_its_worker_down_is_parked_too() {
    let bench = Bench::new().await;
    put(&bench, "end_order", &bench.order.to_string(), "", NOW).await;
    for _ in 0..MOST_FAILURES {
        assert_eq!(claimed(&bench).await.len(), 1);
        bench.clock.forward(LEASE_MS);
    }
    let job = claimed(&bench).await.remove(0);
    run(&bench.gateway, &job).await.unwrap();
    let parked = bench.read("SELECT reason FROM jobs WHERE parked_at IS NOT NULL").await;
    assert_eq!(parked, ["no worker came to its end"]);
}

#[tokio::test]
async fn a_question_about_money_is_never_parked_but_told_of() {
    let bench = Bench::new().await;
    put(&bench, "query_payment", "nothing of ours", "", NOW).await;
    live(&bench, DAY_MS).await;
    let daily = live(&bench, 20 * DAY_MS).await;
    assert!((18..=23).contains(&daily), "{daily} in 20 days");
    assert_eq!(bench.read("SELECT kind FROM events").await, ["job.failing"]);
    assert!(bench.read("SELECT id FROM jobs WHERE parked_at IS NOT NULL").await.is_empty());
}

#[tokio::test]
async fn a_plugin_that_is_not_there_parks_nothing() {
    let bench = Bench::new().await;
    let payment = bench.payment("P1", 100, "unknown", 0).await;
    put(&bench, "query_payment", &payment.to_string(), "", NOW).await;
    let account = bench.account.to_string();
    put(&bench, "daily_bills", &account, &account, NOW).await;
    let runs = live(&bench, DAY_MS).await;
    assert!((28..=42).contains(&runs), "{runs} in a day, two-hourly for two jobs at last");
    assert!(bench.read("SELECT kind FROM events").await.is_empty());
    assert_eq!(bench.read("SELECT kind FROM jobs WHERE failures = 0").await.len(), 2);
}

#[tokio::test]
async fn no_line_takes_all_places_and_a_short_one_comes_first() {
    let bench = Bench::new().await;
    let accounts: [AccountId; 3] = std::array::from_fn(|_| bench.gateway.chance.id(NOW));
    let [long, other, newcomer] = accounts.map(|account| account.to_string());
    for number in 0..20 {
        let due = NOW.plus_millis(-10_000 + number);
        put(&bench, "end_order", &format!("long {number}"), &long, due).await;
        put(&bench, "end_order", &format!("other {number}"), &other, due.plus_millis(5_000)).await;
    }
    let first = claimed(&bench).await;
    let of = |jobs: &[JobRow], account: &str| -> Vec<String> {
        let of_line = jobs.iter().filter(|job| job.queue.ends_with(account));
        of_line.map(|job| job.subject_id.clone()).collect()
    };
    assert_eq!(of(&first, &long), ["long 0", "long 1", "long 2", "long 3"], "the oldest first");
    assert_eq!(of(&first, &other).len(), 4);
    // One place gets free: the line of which nothing runs has it, though its job is the youngest.
    put(&bench, "end_order", "newcomer", &newcomer, NOW).await;
    let running = BTreeMap::from([(Lane::Short.line(&long), 3), (Lane::Short.line(&other), 4)]);
    let next = claim_beside(&bench, &running).await;
    assert_eq!(of(&next.jobs, &newcomer), ["newcomer"]);
    assert_eq!(next.jobs.len(), 1);
}

#[tokio::test]
async fn a_silent_provider_is_left_alone_then_probed_and_holds_nobody_up() {
    let bench = Bench::new().await;
    let (dark, well): (AccountId, AccountId) =
        (bench.gateway.chance.id(NOW), bench.gateway.chance.id(NOW));
    for number in 0..20 {
        put(&bench, "end_order", &format!("dark {number}"), &dark.to_string(), NOW).await;
    }
    put(&bench, "end_order", "well", &well.to_string(), NOW).await;
    let breakers = &bench.gateway.breakers;
    (0..5).for_each(|_| breakers.was_silent(dark, NOW, 0));
    let Claimed { jobs, next } = claim_beside(&bench, &Running::new()).await;
    assert_eq!(jobs.iter().map(|job| &job.subject_id).collect::<Vec<_>>(), ["well"]);
    let until = next.unwrap();
    assert!(until > NOW && until <= NOW.plus_millis(5_500), "{until}");
    assert!(claimed(&bench).await.is_empty());

    bench.clock.forward(until.millis_since(NOW));
    let probe = claimed(&bench).await;
    assert_eq!(probe.len(), 1, "one at a time");
    let running = BTreeMap::from([(probe[0].queue.clone(), 1)]);
    assert!(claim_beside(&bench, &running).await.jobs.is_empty());
    breakers.answered(dark);
    assert_eq!(claim_beside(&bench, &running).await.jobs.len(), 3, "the line's four places");
}

#[tokio::test]
async fn ended_jobs_leave_the_table_and_are_forgotten_later() {
    let bench = Bench::new().await;
    put(&bench, "end_order", &bench.order.to_string(), "", NOW).await;
    live(&bench, 1_000).await;
    let ended = jobs::ended(&bench.gateway, bench.merchant, "~", 9).await.unwrap();
    assert_eq!((ended.len(), ended[0].outcome.as_str()), (1, "done"));
    assert!(bench.read("SELECT id FROM jobs").await.is_empty());
    sweep(&bench.gateway).await.unwrap();
    assert_eq!(bench.read("SELECT id FROM job_history").await.len(), 1);
    bench.clock.forward(8 * DAY_MS);
    sweep(&bench.gateway).await.unwrap();
    assert!(bench.read("SELECT id FROM job_history").await.is_empty());
}
