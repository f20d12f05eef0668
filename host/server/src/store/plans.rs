//! How SQLite goes about a statement: what belongs to an order or a payment is found by an index that has nothing else,
//! however many others a merchant has.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row};

use super::reconciliations::records;
use super::{Store, SystemClock};
use super::{deliveries, disputes, events, notifications, orders, payments, refunds};

/// The steps that it would take.
pub(super) async fn plan(statement: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&folder.path().join("db"), Arc::new(SystemClock)).await.unwrap();
    let mut sql = store.read().await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let steps = sqlx::raw_sql(explain).fetch_all(&mut sql).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>(3)).collect()
}

#[tokio::test]
async fn what_belongs_to_one_is_found_among_all() {
    let found = [
        (payments::OF_ORDER, "payments_by_order (merchant_id=? AND order_id=?)"),
        (refunds::OF_ORDER, "refunds_by_order (merchant_id=? AND order_id=?)"),
        (refunds::OF_PAYMENT, "refunds_by_payment (merchant_id=? AND payment_id=?)"),
        (disputes::OF_PAYMENT, "disputes_by_payment (merchant_id=? AND payment_id=?)"),
        (records::PAYMENT_BY_OURS, "(merchant_id=? AND account_id=? AND reference=?)"),
        (records::PAYMENT_BY_THEIRS, "(merchant_id=? AND account_id=? AND provider_ref=?)"),
        (records::REFUND_BY_OURS, "(merchant_id=? AND account_id=? AND reference=?)"),
        (records::REFUND_BY_THEIRS, "(merchant_id=? AND account_id=? AND provider_ref=?)"),
    ];
    for (statement, by) in found {
        let steps = plan(statement).await;
        assert!(steps[0].starts_with("SEARCH") && steps[0].ends_with(by), "{statement} {steps:#?}");
        for step in &steps {
            assert!(
                !step.contains("SCAN") && !step.contains("TEMP B-TREE"),
                "{statement} {steps:#?}"
            );
        }
    }
}

#[tokio::test]
async fn a_list_of_what_belongs_to_one_reads_nothing_else() {
    let lists = [
        (orders::LIST, &["(merchant_id=? AND number=?)"][..]),
        (refunds::LIST, &["refunds_by_payment (", "refunds_by_order ("]),
        (disputes::LIST, &["disputes_by_payment (", "disputes_by_order ("]),
        (events::LIST, &["events_by_order (merchant_id=? AND order_id=?)"]),
        (deliveries::LIST, &["(merchant_id=? AND event_id=?)"]),
    ];
    for (statement, by) in lists {
        let steps = plan(statement).await;
        // Where nothing is asked for in particular.
        let all = steps.iter().filter(|step| step.contains("(merchant_id=? AND id")).count();
        assert_eq!(all, 1, "{statement} {steps:#?}");
        for by in by {
            assert!(steps.iter().any(|step| step.contains(by)), "{statement} {steps:#?}");
        }
    }
}

#[tokio::test]
async fn what_nobody_has_read_is_found_by_a_look_for_each_account() {
    let steps = plan(notifications::UNREAD).await;
    let by = "notifications_by_kind (merchant_id=? AND account_id=? AND signed=? AND state=?)";
    assert!(steps.iter().any(|step| step.ends_with(by)), "{steps:#?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN notifications")), "{steps:#?}");
}
