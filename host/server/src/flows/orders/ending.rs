//! How an order ends without being paid: by the merchant, or by time. What may still take money is ended at its provider
//! first.

use tollgate_domain::ids::{MerchantId, OrderId};
use tollgate_domain::order::{GRACE_MS, Order, OrderEffect, OrderRefusal, OrderState};
use tollgate_domain::payment::Payment;
use tollgate_domain::time::Moment;

use super::{OrderView, refused, view};
use crate::flows::query::{self, Asked};
use crate::flows::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::store::orders;
use crate::store::payments::{self, PaymentRow};

/// Ends an unpaid order for the merchant: what may still take money is ended at its provider first.
pub async fn close(gateway: &Gateway, merchant: MerchantId, id: OrderId) -> Flow<OrderView> {
    let before = view(gateway, merchant, id).await?;
    let still_open = end_attempts(gateway, &before).await?;
    if let Some(reason) = still_open {
        return Err(FlowError::Conflict { code: "payment-open", detail: reason });
    }
    end(gateway, merchant, id, Order::close).await?;
    view(gateway, merchant, id).await
}

/// What became of an order that was to end because its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It has ended, if not by this.
    Over,
    /// Its time is not over before then.
    NotBefore(Moment),
    /// A payment may still take money there, and why.
    StillOpen(String),
}

/// Ends an order whose time is over. One whose time is not keeps its payments, whoever thought that it was.
pub async fn expire(gateway: &Gateway, merchant: MerchantId, id: OrderId) -> Flow<Expiry> {
    let before = view(gateway, merchant, id).await?;
    if before.order.state != OrderState::Open {
        return Ok(Expiry::Over);
    }
    let (now, over) = (gateway.store.now(), before.order.expires_at.plus_millis(GRACE_MS));
    if now < over {
        return Ok(Expiry::NotBefore(over));
    }
    if let Some(reason) = end_attempts(gateway, &before).await? {
        return Ok(Expiry::StillOpen(reason));
    }
    let ended =
        end(gateway, merchant, id, move |order, attempts| order.expire(attempts, now)).await;
    match ended {
        // Paid while we were at it: there is nothing to end.
        Ok(()) | Err(FlowError::Conflict { code: "order-paid", .. }) => Ok(Expiry::Over),
        Err(error) => Err(error),
    }
}

/// Ends each attempt that may still take money. Some: one cannot be ended, and why.
async fn end_attempts(gateway: &Gateway, view: &OrderView) -> Flow<Option<String>> {
    for payment in view.payments.iter().filter(|payment| payment.state.is_alive()) {
        match query::close_payment(gateway, payment.merchant_id, payment.id).await? {
            Asked::Answered(row) if row.state.is_alive() => {
                return Ok(Some(format!("payment {} is still open at the provider", row.id)));
            }
            Asked::Answered(_) => {}
            Asked::NoAnswer(failure) => {
                return Ok(Some(format!(
                    "payment {} could not be closed: {}",
                    payment.id, failure.message
                )));
            }
        }
    }
    Ok(None)
}

async fn end<F>(gateway: &Gateway, merchant: MerchantId, id: OrderId, rule: F) -> Flow<()>
where
    F: Fn(Order, &[Payment]) -> Result<(Order, Vec<OrderEffect>), OrderRefusal>
        + Copy
        + Send
        + Sync,
{
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                orders::lock(tx.sql(), merchant, id).await?;
                let row = orders::must(tx.sql(), merchant, id).await?;
                let attempts: Vec<Payment> = payments::of_order(tx.sql(), merchant, id)
                    .await?
                    .iter()
                    .map(PaymentRow::rules)
                    .collect();
                let (after, effects) = rule(row.rules(), &attempts).map_err(refused)?;
                learn::order::set(tx, gateway, &row, after.state, effects).await
            })
        })
        .await
}
