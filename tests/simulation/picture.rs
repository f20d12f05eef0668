//! What the database says of one order, read beside the gateway.

use sqlx::AssertSqlSafe;
use tollgate::store::Sql;
use tollgate::store::disputes::{self, DisputeRow};
use tollgate::store::orders::{self, OrderRow};
use tollgate::store::payments::{self, PaymentRow};
use tollgate::store::refunds::{self, RefundRow};
use tollgate_domain::ids::{MerchantId, OrderId};

/// What breaks the simulation off.
pub type Broken = String;

/// One of an order's events.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place, from 1.
    pub sequence: i64,
    /// What it tells.
    pub kind: String,
    /// The payment or refund that it is about, or the order itself.
    pub subject: String,
}

/// An order with all that belongs to it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The order.
    pub order: OrderRow,
    /// Its payments, oldest first.
    pub payments: Vec<PaymentRow>,
    /// Its refunds, oldest first.
    pub refunds: Vec<RefundRow>,
    /// Disputes about its payments, in a seed that has them.
    pub disputes: Vec<DisputeRow>,
    /// Its events in order.
    pub events: Vec<Event>,
    /// Kinds and subjects of jobs that must be there and are not.
    pub missing_jobs: Vec<String>,
}

const EVENTS: &str = "SELECT sequence, kind, coalesce(data ->> 'dispute_id', data ->> 'refund_id', data ->> 'payment_id', order_id) \
     FROM events WHERE merchant_id = $1 AND order_id = $2 AND sequence > $3 ORDER BY sequence";

/// Reads an order; none: there is no such. What was known of its events is not read again.
pub async fn take(
    sql: &mut Sql,
    merchant: MerchantId,
    order: OrderId,
    known: &[Event],
    contested: bool,
) -> Result<Option<Picture>, Broken> {
    let broken = |error: &dyn std::fmt::Display| format!("order {order} cannot be read: {error}");
    let row = orders::get(sql, merchant, order).await.map_err(|error| broken(&error))?;
    let Some(row) = row else { return Ok(None) };
    let payments =
        payments::of_order(sql, merchant, order).await.map_err(|error| broken(&error))?;
    let refunds = refunds::of_order(sql, merchant, order).await.map_err(|error| broken(&error))?;
    let mut contests = Vec::new();
    for payment in payments.iter().filter(|_| contested) {
        let of = disputes::of_payment(sql, merchant, payment.id).await;
        contests.extend(of.map_err(|error| broken(&error))?);
    }
    let new: Vec<(i64, String, String)> = sqlx::query_as(EVENTS)
        .bind(merchant.to_string())
        .bind(order.to_string())
        .bind(known.len() as i64)
        .fetch_all(&mut *sql)
        .await
        .map_err(|error| broken(&error))?;
    let mut events = known.to_vec();
    events.extend(new.into_iter().map(|(sequence, kind, subject)| Event {
        sequence,
        kind,
        subject,
    }));
    let mut picture = Picture {
        order: row,
        payments,
        refunds,
        disputes: contests,
        events,
        missing_jobs: Vec::new(),
    };
    picture.missing_jobs = missing_jobs(sql, &picture).await.map_err(|error| broken(&error))?;
    Ok(Some(picture))
}

/// Whatever is open has a job that will bring it to an end.
async fn missing_jobs(sql: &mut Sql, picture: &Picture) -> Result<Vec<String>, sqlx::Error> {
    let mut wanted = Vec::new();
    if picture.order.state == tollgate_domain::order::OrderState::Open {
        wanted.push(("end_order", picture.order.id.to_string()));
    }
    for payment in picture.payments.iter().filter(|payment| payment.state.is_alive()) {
        wanted.push(("query_payment", payment.id.to_string()));
    }
    for refund in picture.refunds.iter().filter(|refund| refund.state.is_open()) {
        wanted.push(("query_refund", refund.id.to_string()));
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let merchant = picture.order.merchant_id;
    let list: Vec<String> =
        wanted.iter().map(|(kind, subject)| format!("('{kind}', '{subject}')")).collect();
    let statement = format!(
        "SELECT subject_id FROM jobs WHERE merchant_id = '{merchant}' AND (kind, subject_id) IN (VALUES {})",
        list.join(", ")
    );
    let there: Vec<(String,)> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(&mut *sql).await?;
    let is_there = |subject: &String| there.iter().any(|(there,)| there == subject);
    Ok(wanted
        .into_iter()
        .filter(|(_, subject)| !is_there(subject))
        .map(|(kind, subject)| format!("{kind} of {subject}"))
        .collect())
}
