//! The order that follows from its payments: which one it counts, and what state that makes.

use serde_json::{Value, json};
use tollgate_domain::order::{Claim, OrderEffect, OrderState};
use tollgate_domain::payment::Payment;

use super::announce;
use crate::flows::Flow;
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::orders::OrderRow;
use crate::store::payments::PaymentRow;
use crate::store::{Tx, orders, payments};

/// What the order makes of a payment whose money has just come in.
pub(super) async fn claim(tx: &mut Tx<'_>, row: &PaymentRow) -> Flow<Claim> {
    let order = orders::must(tx.sql(), row.merchant_id, row.order_id).await?;
    let others = payments::of_order(tx.sql(), row.merchant_id, row.order_id).await?;
    let others: Vec<Payment> =
        others.iter().filter(|other| other.id != row.id).map(PaymentRow::rules).collect();
    Ok(order.rules().claim(&others))
}

/// Makes a payment's order what its payments make it, and tells the merchant if that is something new.
pub(super) async fn derive(tx: &mut Tx<'_>, gateway: &Gateway, of: &PaymentRow) -> Flow<()> {
    let row = orders::must(tx.sql(), of.merchant_id, of.order_id).await?;
    let attempts = payments::of_order(tx.sql(), of.merchant_id, of.order_id).await?;
    let attempts: Vec<Payment> = attempts.iter().map(PaymentRow::rules).collect();
    let (after, effects) = row.rules().derive(&attempts);
    set(tx, gateway, &row, after.state, effects).await
}

/// Writes an order's new state and tells what follows.
pub async fn set(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &OrderRow,
    state: OrderState,
    effects: Vec<OrderEffect>,
) -> Flow<()> {
    if state != row.state {
        orders::set_state(tx.sql(), row, state, gateway.store.now()).await?;
        super::settle_job(tx, gateway, row.merchant_id, Kind::EndOrder, &row.id.to_string())
            .await?;
    }
    for OrderEffect::Announce(kind) in effects {
        announce(tx, gateway, row.merchant_id, Some(row.id), kind, told(row, state)).await?;
    }
    Ok(())
}

fn told(row: &OrderRow, state: OrderState) -> Value {
    json!({
        "order_id": row.id, "number": row.number, "state": state.as_str(),
        "amount": row.amount, "currency": row.currency,
    })
}
