//! Requests under a key on a real database whose clock the test sets: one runs, one answer is kept, and who was given up
//! writes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use proptest::prelude::*;
use tollgate_domain::ids::MerchantId;
use tollgate_domain::time::Moment;

use super::*;
use crate::flows::merchants::{self, NewMerchant};
use crate::flows::reconcile::tests::Bench;
use crate::store::{Clock, Store, StoreError};

/// A clock that stands until somebody moves it.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::Relaxed))
    }
}

struct Desk {
    bench: Bench,
    clock: Arc<Hand>,
    merchants: [MerchantId; 2],
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Desk {
        let mut bench = Bench::new().await;
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(1_795_312_800_000_000)));
        let store = Store::open_sqlite(&folder.path().join("db"), clock.clone()).await.unwrap();
        bench.gateway.store = store;
        let (store, chance) = (&bench.gateway.store, &bench.gateway.chance);
        let mut made = Vec::new();
        for name in ["one", "other"] {
            let new = NewMerchant { name: name.to_owned(), demands_keys: false };
            made.push(merchants::add(store, chance, new).await.unwrap().row.id);
        }
        Desk { bench, clock, merchants: [made[0], made[1]], _folder: folder }
    }

    fn gateway(&self) -> &Gateway {
        &self.bench.gateway
    }

    fn pass(&self, time: Duration) {
        let micros = i64::try_from(time.as_micros()).unwrap();
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    fn asked(&self, body: &str) -> Asked {
        Asked {
            merchant: self.merchants[0],
            route: "POST /v1/things".to_owned(),
            key: "K-1".to_owned(),
            fingerprint: fingerprint(&self.gateway().marks, "/v1/things", body.as_bytes()),
        }
    }

    /// Runs a request that answers with this text.
    async fn run(&self, asked: &Asked, status: u16, body: &str) -> Flow<(Answer, bool)> {
        let answer = answer(status, body);
        let outcome =
            run(self.gateway(), asked, async |_| (answer.clone(), answer.clone())).await?;
        Ok(match outcome {
            Outcome::Ran(answer) => (answer, false),
            Outcome::Replayed(answer) => (answer, true),
        })
    }

    async fn rows(&self) -> i64 {
        let mut sql = self.gateway().store.read().await.unwrap();
        let count = sqlx::query_as("SELECT count(*) FROM keyed_requests");
        let (rows,): (i64,) = count.fetch_one(&mut sql).await.unwrap();
        rows
    }
}

fn answer(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Answer { status, headers, body: body.to_owned() }
}

fn code<T: std::fmt::Debug>(result: Flow<T>) -> &'static str {
    match result.unwrap_err() {
        FlowError::Conflict { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_answer_is_every_answer() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    let body = "{\"a\": \"\u{e9}\\u0000\",\n \"b\":1}";
    assert_eq!(desk.run(&asked, 201, body).await.unwrap(), (answer(201, body), false));
    for _ in 0..2 {
        assert_eq!(desk.run(&asked, 200, "another").await.unwrap(), (answer(201, body), true));
    }
    assert_eq!(code(desk.run(&desk.asked("{ }"), 200, "").await), "idempotency-key-reused");
}

#[tokio::test]
async fn another_merchant_or_route_or_key_is_another_request() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    desk.run(&asked, 201, "first").await.unwrap();
    for other in [
        Asked { merchant: desk.merchants[1], ..asked.clone() },
        Asked { route: "POST /v1/others".to_owned(), ..asked.clone() },
        Asked { key: "k-1".to_owned(), ..asked.clone() },
    ] {
        // Of another body, so that a shared key would be refused.
        let mark = fingerprint(&desk.gateway().marks, "/", b"other");
        let other = Asked { fingerprint: mark, ..other };
        let (answer, replayed) = desk.run(&other, 201, "second").await.unwrap();
        assert_eq!((answer.body.as_str(), replayed), ("second", false), "{other:?}");
    }
}

#[tokio::test]
async fn what_settles_nothing_is_not_kept() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    for status in [400, 401, 403, 404, 413, 415, 422, 429, 500, 503] {
        assert!(!desk.run(&asked, status, "no").await.unwrap().1, "{status}");
        assert_eq!(desk.rows().await, 0, "{status}");
    }
    let silent = "{\"status\":409,\"code\":\"payment-open\"}";
    assert!(!desk.run(&asked, 409, silent).await.unwrap().1);
    assert_eq!(desk.rows().await, 0, "the provider answers sooner than a day from now");
    // Even another request may have the key then.
    desk.run(&desk.asked("mended"), 409, "state").await.unwrap();
    assert_eq!(
        desk.run(&desk.asked("mended"), 200, "").await.unwrap(),
        (answer(409, "state"), true)
    );
}

#[tokio::test]
async fn one_runs_while_the_others_are_told_to_wait() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    let ran = AtomicUsize::new(0);
    let tries = (0..32).map(|_| {
        run(desk.gateway(), &asked, async |_| {
            ran.fetch_add(1, Ordering::Relaxed);
            let there = code(desk.run(&desk.asked("other"), 200, "").await);
            assert_eq!(there, "idempotency-key-reused", "told at once, not once it is over");
            (answer(201, "done"), ())
        })
    });
    let outcomes = futures::future::join_all(tries).await;
    assert_eq!(ran.load(Ordering::Relaxed), 1);
    for outcome in outcomes {
        match outcome {
            Ok(Outcome::Ran(())) => {}
            Ok(Outcome::Replayed(kept)) => assert_eq!(kept, answer(201, "done")),
            error => assert_eq!(code(error), "request-running"),
        }
    }
}

#[tokio::test]
async fn a_runner_that_died_is_succeeded_and_its_late_writes_are_nothing() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    let store = &desk.gateway().store;
    let note = |turn: Turn, made: &'static str| async move {
        let noted = store.write(move |tx| {
            let turn = turn.clone();
            Box::pin(async move { turn.note(tx, made).await })
        });
        noted.await
    };
    let first = run(desk.gateway(), &asked, async |turn| {
        note(turn.clone(), "thing_1").await.unwrap();
        // It hangs: within its lease nobody else may run, after it the next one does.
        desk.pass(LEASE - Duration::from_secs(1));
        assert_eq!(code(desk.run(&asked, 201, "early").await), "request-running");
        desk.pass(Duration::from_secs(1));
        let second = run(desk.gateway(), &asked, async |next| {
            assert_eq!(next.made.as_deref(), Some("thing_1"), "the successor goes on with it");
            assert_eq!(code(note(turn.clone(), "thing_2").await), "request-running");
            (answer(200, "of the successor"), ())
        });
        assert!(matches!(second.await, Ok(Outcome::Ran(()))));
        (answer(201, "too late"), ())
    });
    // The one that was given up tells its client what the successor answered.
    let Ok(Outcome::Replayed(told)) = first.await else { panic!("two answers") };
    assert_eq!(told, answer(200, "of the successor"));
    assert_eq!(desk.run(&asked, 201, "").await.unwrap(), (told, true));
}

#[tokio::test]
async fn what_broke_down_goes_on_with_what_it_made() {
    let desk = Desk::new().await;
    let asked = desk.asked("{}");
    let store = &desk.gateway().store;
    run(desk.gateway(), &asked, async |turn| {
        let noted = store.write(move |tx| {
            let turn = turn.clone();
            Box::pin(async move { turn.note(tx, "thing_1").await })
        });
        noted.await.unwrap();
        (answer(500, "broke down"), ())
    })
    .await
    .unwrap();
    let again = run(desk.gateway(), &asked, async |turn| (answer(201, "there"), turn.made)).await;
    let Ok(Outcome::Ran(made)) = again else { panic!("{again:?}") };
    assert_eq!(made.as_deref(), Some("thing_1"));
}

#[tokio::test]
async fn a_key_is_new_again_after_its_time_and_swept() {
    let desk = Desk::new().await;
    desk.run(&desk.asked("{}"), 201, "first").await.unwrap();
    let kept = desk.gateway().settings.answers_kept;
    desk.pass(kept - Duration::from_secs(1));
    assert_eq!(sweep(desk.gateway()).await.unwrap(), 0);
    assert!(desk.run(&desk.asked("{}"), 201, "").await.unwrap().1);
    desk.pass(Duration::from_secs(1));
    let (answer, replayed) = desk.run(&desk.asked("other"), 201, "second").await.unwrap();
    assert_eq!((answer.body.as_str(), replayed), ("second", false));
    assert_eq!(desk.rows().await, 1);
    desk.pass(kept);
    assert_eq!(sweep(desk.gateway()).await.unwrap(), 1);
    assert_eq!(desk.rows().await, 0);
}

#[tokio::test]
async fn an_answer_lies_sealed_and_is_bound_to_its_request() {
    let desk = Desk::new().await;
    desk.run(&desk.asked("{}"), 201, "a secret that is told once").await.unwrap();
    let mut other = desk.asked("{}");
    other.key = "K-2".to_owned();
    desk.run(&other, 201, "another one").await.unwrap();
    let store = &desk.gateway().store;
    let mut sql = store.read().await.unwrap();
    let all = sqlx::query_as("SELECT answer FROM keyed_requests ORDER BY key");
    let answers: Vec<(Vec<u8>,)> = all.fetch_all(&mut sql).await.unwrap();
    drop(sql);
    for (sealed,) in &answers {
        assert!(!String::from_utf8_lossy(sealed).contains("secret"));
    }
    // Somebody with a hand in the database moves an answer to where it does not belong.
    let foreign = answers[0].0.as_slice();
    store
        .write::<(), StoreError, _>(move |tx| {
            Box::pin(async move {
                let swap = sqlx::query("UPDATE keyed_requests SET answer = $1 WHERE key = 'K-2'");
                swap.bind(foreign).execute(tx.sql()).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    assert!(matches!(desk.run(&other, 200, "").await, Err(FlowError::Seal(_))));
}

proptest! {
    /// Attack row 13 of the security catalogue in small: what tells requests apart takes the address and every byte in.
    #[test]
    fn a_fingerprint_tells_every_other_request_apart(
        address in "/[a-z0-9/?=&]{0,20}", body: Vec<u8>, at: prop::sample::Index, other: u8,
    ) {
        let marks = Marks::new(&[7; 32]);
        let fingerprint = |address: &str, body: &[u8]| fingerprint(&marks, address, body);
        let own = fingerprint(&address, &body);
        prop_assert_eq!(&own, &fingerprint(&address, &body));
        let mut changed = body.clone();
        if let Some(byte) = (!body.is_empty()).then(|| at.index(body.len())) {
            changed[byte] = other;
            prop_assert_eq!(own == fingerprint(&address, &changed), changed == body);
        }
        changed = [body.as_slice(), b"x"].concat();
        prop_assert_ne!(&own, &fingerprint(&address, &changed));
        prop_assert_ne!(&own, &fingerprint(&format!("{address}x"), &body));
    }
}
