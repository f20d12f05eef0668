//! What holds once faults are over and nothing is left to do: our books are the provider's.

use tollgate_domain::order::OrderState;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::RefundState;

use super::elsewhere;
use crate::picture::{Broken, Picture};
use crate::provider::Provider;
use crate::provider::trade::{BackState, TradeState};

/// 16 to 18: nothing is unknown that the provider knows, and each state is the truth.
pub fn check(now: &Picture, provider: &Provider) -> Result<(), Broken> {
    for payment in &now.payments {
        let trade = provider.trades.get(&payment.reference);
        let is_true = match trade.map(|trade| trade.state) {
            Some(TradeState::Paid) => {
                let reversed = trade.is_some_and(|trade| trade.reversed_at.is_some());
                let taken_back = if reversed { payment.amount } else { 0 };
                payment.state == PaymentState::Succeeded && payment.reversed == taken_back
            }
            Some(TradeState::Failed | TradeState::Closed) | None => {
                matches!(payment.state, PaymentState::Failed | PaymentState::Closed)
            }
            Some(TradeState::Waiting | TradeState::Approved) => false,
        };
        if !is_true {
            let (id, state) = (payment.id, payment.state);
            return Err(format!("17: payment {id} is {state}, and the provider has {trade:?}"));
        }
        let given_back = trade.map_or(0, |trade| trade.given_back());
        if payment.refunded != given_back || payment.reserved != 0 {
            return Err(format!("18: payment {} and {trade:?} differ in refunds", payment.id));
        }
    }
    for payment in &now.payments {
        elsewhere::told(now, payment, provider)?;
    }
    for refund in now.refunds.iter().filter(|refund| refund.reversed_at.is_none()) {
        let payment = now.payments.iter().find(|payment| payment.id == refund.payment_id);
        let trade = payment.and_then(|payment| provider.trades.get(&payment.reference));
        let back = trade.and_then(|trade| trade.backs.get(&refund.reference));
        let is_true = match back.map(|back| back.state) {
            Some(BackState::Done) => refund.state == RefundState::Succeeded,
            Some(BackState::Failed) | None => refund.state == RefundState::Failed,
            Some(BackState::Pending) => false,
        };
        if !is_true {
            let (id, state) = (refund.id, refund.state);
            return Err(format!("17: refund {id} is {state}, and the provider has {back:?}"));
        }
    }
    if now.order.state == OrderState::Open {
        return Err(format!("17: order {} is still open", now.order.id));
    }
    Ok(())
}
