//! What a bill's period leaves open is asked about, and nothing else.

use crate::flows::reconcile::tests::{Bench, NOON};

const ASKED: &str = "SELECT kind || ' ' || subject_id || ' ' || queue || ' ' || (due_at = created_at) \
     FROM jobs ORDER BY kind, subject_id";

#[tokio::test]
async fn what_the_bills_day_left_open_is_asked_about_once_for_each_edition() {
    let bench = Bench::new().await;
    let day = 86_400_000_000;
    let made = async |reference: &str, state: &str, at: i64| {
        let id = bench.payment(reference, 100, state, at).await;
        bench.run(format!("UPDATE payments SET created_at = {at} WHERE id = '{id}'")).await;
        id
    };
    let unknown = made("P1", "unknown", NOON).await;
    let pending = made("P2", "pending", NOON).await;
    for (reference, state, at) in [
        ("P3", "succeeded", NOON),
        ("P4", "failed", NOON),
        ("P5", "unknown", NOON - day),
        ("P6", "unknown", NOON + day),
    ] {
        made(reference, state, at).await;
    }
    let refund = bench.refund("R1", unknown, 30).await;
    bench
        .run(format!(
            "UPDATE refunds SET created_at = {NOON}, state = 'unknown', succeeded_at = NULL WHERE id = '{refund}'"
        ))
        .await;
    let bill = bench.bill("2026-11-21", &[]).await;
    bench.compare("2026-11-21", &bill).await;
    let line = format!("short/{}", bench.account);
    let mut wanted = vec![
        format!("query_payment {unknown} {line} 1"),
        format!("query_payment {pending} {line} 1"),
        format!("query_refund {refund} {line} 1"),
    ];
    wanted.sort();
    assert_eq!(bench.read(ASKED).await, wanted);

    // The same bill again asks nobody; another edition of it does.
    bench.run("DELETE FROM jobs".to_owned()).await;
    bench.compare("2026-11-21", &bill).await;
    assert!(bench.read(ASKED).await.is_empty());
    let bill = bench.bill("2026-11-21", &[]).await;
    bench.compare("2026-11-21", &bill).await;
    assert_eq!(bench.read(ASKED).await, wanted);
}
