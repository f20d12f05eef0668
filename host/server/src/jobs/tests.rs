//! The worker's places: bills have their own, and a job that panics has only failed.

use tollgate_domain::time::Moment;

use super::*;
use crate::flows::FlowError;
use crate::flows::reconcile::tests::{Bench, NOW};
use crate::store;
use crate::store::jobs::{Line, NewJob};

async fn put(bench: &Bench, kind: Kind, subject: &str) {
    let (id, queue) = (bench.gateway.chance.id(NOW), kind.lane().line(""));
    let kind = kind.as_str();
    let job = &NewJob { id, kind, subject, payload: "{}", queue: &queue, due_at: NOW };
    let merchant = bench.merchant;
    let write = bench.gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(store::jobs::put(tx.sql(), merchant, job, NOW).await?) })
    });
    write.await.unwrap();
}

async fn claim(bench: &Bench) -> Vec<JobRow> {
    let (places, running) = (Places::all(bench.gateway.settings.jobs), due::Running::new());
    let until = NOW.plus_millis(LEASE_MS);
    let wanted: Vec<_> = places.iter().filter_map(|lane| lane.wanted(&running, until)).collect();
    due::claim(&bench.gateway, &wanted).await.unwrap().jobs
}

/// When the first job of a lane's line wakes.
async fn wakes(bench: &Bench, lane: Lane) -> Option<Moment> {
    let mut sql = bench.gateway.store.read().await.unwrap();
    let lines: Vec<Line> = store::jobs::lines(&mut sql).await.unwrap();
    lines.into_iter().find(|line| line.queue == lane.line("")).map(|line| line.wake_at)
}

#[tokio::test]
async fn bills_have_places_of_their_own() {
    let bench = Bench::new().await;
    for number in 0..3 {
        put(&bench, Kind::Reconcile, &number.to_string()).await;
    }
    put(&bench, Kind::QueryPayment, "6").await;
    let claimed = claim(&bench).await;
    let of = |lane| claimed.iter().filter(|job| job.lane() == lane).count();
    assert_eq!((of(Lane::Short), of(Lane::Bills)), (1, 2));
    assert_eq!(wakes(&bench, Lane::Short).await, Some(NOW.plus_millis(LEASE_MS)));
    assert_eq!(wakes(&bench, Lane::Bills).await, Some(NOW));
    claim(&bench).await;
    assert_eq!(wakes(&bench, Lane::Bills).await, Some(NOW.plus_millis(LEASE_MS)));
}

#[test]
fn a_place_is_free_again_once_its_job_has_ended() {
    let (places, running) = (Places::all(Default::default()), Running::default());
    let wanted = |running: &Running| {
        let counts = running.counts();
        places[0].wanted(&counts, NOW).map(|wanted| wanted.most)
    };
    assert_eq!(wanted(&running), Some(8));
    let taken: Vec<_> = (0..8).map(|_| running.enter("short/a")).collect();
    let _bills = running.enter("bills/a");
    assert_eq!(wanted(&running), None);
    drop(taken);
    assert_eq!(wanted(&running), Some(8));
    assert_eq!(running.counts().len(), 1, "what does not run is not kept");
}

#[tokio::test]
async fn a_job_that_panics_is_due_again_later() {
    let bench = Bench::new().await;
    put(&bench, Kind::QueryPayment, "1").await;
    let job = claim(&bench).await.remove(0);
    let longest = places::longest(Lane::Short);
    settle(&bench.gateway, &job, longest, async { panic!("as planned") }).await;
    let due = wakes(&bench, Lane::Short).await.unwrap();
    assert!(due > NOW && due < NOW.plus_millis(LEASE_MS), "{due}");
}
