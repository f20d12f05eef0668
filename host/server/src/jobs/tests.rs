//! The worker's places: bills have their own, and a job that panics has only failed.

use super::*;
use crate::flows::FlowError;
use crate::flows::reconcile::tests::{Bench, NOW};
use crate::store::jobs::NewJob;

async fn put(bench: &Bench, kind: Kind, subject: &str) {
    let id = bench.gateway.chance.id(NOW);
    let job = &NewJob { id, kind: kind.as_str(), subject, payload: "{}", due_at: NOW };
    let merchant = bench.merchant;
    let write = bench.gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(store::jobs::put(tx.sql(), merchant, job, NOW).await?) })
    });
    write.await.unwrap();
}

async fn next_due(bench: &Bench, lane: Lane) -> Option<Moment> {
    let mut sql = bench.gateway.store.read().await.unwrap();
    store::jobs::next_due(&mut sql, lane).await.unwrap()
}

#[tokio::test]
async fn bills_have_places_and_a_lease_of_their_own() {
    let bench = Bench::new().await;
    for number in 0..5 {
        put(&bench, Kind::Reconcile, &number.to_string()).await;
    }
    put(&bench, Kind::QueryPayment, "6").await;
    let wanted: Vec<_> = Places::all().iter().filter_map(|places| places.wanted(NOW)).collect();
    let claimed = due::claim(&bench.gateway, &wanted).await.unwrap();
    let of = |lane| claimed.iter().filter(|(of, _)| *of == lane).count();
    assert_eq!((of(Lane::Short), of(Lane::Bills)), (1, BILLS_AT_ONCE));
    assert_eq!(next_due(&bench, Lane::Short).await, Some(NOW.plus_millis(LEASE_MS)));
    assert_eq!(next_due(&bench, Lane::Bills).await, Some(NOW));
    for _ in 0..2 {
        due::claim(&bench.gateway, &wanted).await.unwrap();
    }
    assert_eq!(next_due(&bench, Lane::Bills).await, Some(NOW.plus_millis(BILLS_LEASE_MS)));
}

#[tokio::test]
async fn a_job_that_panics_is_due_again_later() {
    let bench = Bench::new().await;
    put(&bench, Kind::QueryPayment, "1").await;
    let wanted = [Wanted { lane: Lane::Short, most: 1, until: NOW.plus_millis(LEASE_MS) }];
    let (_, job) = due::claim(&bench.gateway, &wanted).await.unwrap().remove(0);
    settle(&bench.gateway, &job, async { panic!("as planned") }).await;
    let due = next_due(&bench, Lane::Short).await.unwrap();
    assert!(due > NOW && due < NOW.plus_millis(LEASE_MS), "{due}");
}
