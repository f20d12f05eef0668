//! What holds of the whole database.

use sqlx::AssertSqlSafe;
use tollgate::store::Sql;

use crate::picture::Broken;

/// Statements that find what must not be, and what it would break.
const NEVER: [(&str, &str); 10] = [
    (
        "1: an order number twice",
        "SELECT number FROM orders GROUP BY merchant_id, number HAVING count(*) > 1",
    ),
    (
        "4: a reference twice",
        "SELECT reference FROM payments GROUP BY reference HAVING count(*) > 1",
    ),
    (
        "13: an event of an order without its number",
        "SELECT e.id FROM events e JOIN orders o ON o.id = e.order_id WHERE e.sequence > o.event_seq",
    ),
    (
        "23: a message waits for nobody",
        "SELECT n.id FROM notifications n WHERE n.state = 'waiting' AND NOT EXISTS \
         (SELECT 1 FROM jobs j WHERE j.kind = 'read_notice' AND j.subject_id = n.id)",
    ),
    (
        "14: an event that an endpoint is not told of",
        "SELECT e.id FROM events e JOIN webhook_endpoints w ON w.merchant_id = e.merchant_id AND w.state = 'enabled' \
         WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND d.endpoint_id = w.id)",
    ),
    (
        "23: a message to a merchant that nobody sends",
        "SELECT d.id FROM deliveries d WHERE d.state = 'pending' AND NOT EXISTS \
         (SELECT 1 FROM jobs j WHERE j.kind = 'deliver' AND j.subject_id = d.endpoint_id)",
    ),
    (
        "32: a row of another merchant",
        "SELECT p.id FROM payments p JOIN orders o ON o.id = p.order_id WHERE o.merchant_id <> p.merchant_id \
         UNION ALL SELECT p.id FROM payments p JOIN accounts a ON a.id = p.account_id WHERE a.merchant_id <> p.merchant_id \
         UNION ALL SELECT r.id FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.merchant_id <> r.merchant_id \
         UNION ALL SELECT e.id FROM events e JOIN orders o ON o.id = e.order_id WHERE o.merchant_id <> e.merchant_id",
    ),
    (
        "36: a refund of a payment that took nothing",
        "SELECT r.id FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE p.taken = 0",
    ),
    (
        "a job broke on what no fault explains",
        "SELECT kind || ': ' || reason FROM jobs WHERE reason LIKE '%is not what it must be%' \
         OR reason LIKE '%error returned from database%' OR reason LIKE 'stored JSON%' OR reason LIKE 'job %'",
    ),
    (
        "10: money without a moment",
        "SELECT id FROM payments WHERE state = 'succeeded' AND succeeded_at IS NULL",
    ),
];

/// Checks everything that one statement can find.
pub async fn check(sql: &mut Sql) -> Result<(), Broken> {
    for (rule, statement) in NEVER {
        let found: Option<(String,)> = sqlx::query_as(AssertSqlSafe(statement.to_owned()))
            .fetch_optional(&mut *sql)
            .await
            .map_err(|error| format!("{rule}: {error}"))?;
        if let Some((found,)) = found {
            return Err(format!("{rule}: {found}"));
        }
    }
    Ok(())
}
