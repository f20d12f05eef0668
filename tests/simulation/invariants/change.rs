//! What holds between an order as it was and as it is after a step.

use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::{Origin, RefundState};

use crate::picture::{Broken, Picture};

/// 4, 9 and 27: references are for life, facts only move up, and nothing that was written goes away.
pub fn check(before: &Picture, now: &Picture) -> Result<(), Broken> {
    for was in &before.payments {
        let Some(is) = now.payments.iter().find(|is| is.id == was.id) else {
            return Err(format!("9: payment {} is gone", was.id));
        };
        if is.reference != was.reference || is.account_id != was.account_id {
            return Err(format!("4: payment {} has another reference", was.id));
        }
        if rank(is.state) < rank(was.state) || is.taken < was.taken || is.refunded < was.refunded {
            return Err(format!("9: payment {} fell from {} to {}", was.id, was.state, is.state));
        }
        if is.reversed < was.reversed {
            return Err(format!("9: payment {} is less reversed than it was", was.id));
        }
        if was.provider_ref.is_some() && is.provider_ref != was.provider_ref {
            return Err(format!("4: payment {} is another one at the provider", was.id));
        }
    }
    super::elsewhere::blocked(before, now)?;
    for was in &before.refunds {
        let Some(is) = now.refunds.iter().find(|is| is.id == was.id) else {
            return Err(format!("9: refund {} is gone", was.id));
        };
        // Of a sum that the provider told of, a name takes its part.
        let is_named_later = was.origin == Origin::Provider && was.provider_ref.is_none();
        if !is_named_later && (is.reference != was.reference || is.amount != was.amount) {
            return Err(format!("4: refund {} has another reference", was.id));
        }
        let settled = was.state == RefundState::Succeeded && is.state != was.state;
        let reopened = was.state == RefundState::Failed && is.state.is_open();
        if settled || reopened {
            return Err(format!("9: refund {} fell from {} to {}", was.id, was.state, is.state));
        }
    }
    Ok(())
}

/// 19: what a forgery may change of an order.
pub fn nothing(before: &Picture, now: &Picture) -> Result<(), Broken> {
    let same = before.order.state == now.order.state
        && before.events.len() == now.events.len()
        && before.payments.len() == now.payments.len()
        && before.payments.iter().zip(&now.payments).all(|(was, is)| was.version == is.version);
    if same { Ok(()) } else { Err("19: a forged message changed an order".to_owned()) }
}

fn rank(state: PaymentState) -> u8 {
    match state {
        PaymentState::Created => 0,
        PaymentState::Pending | PaymentState::Unknown => 1,
        PaymentState::Approved => 2,
        PaymentState::Authorized => 3,
        PaymentState::Failed | PaymentState::Closed => 4,
        PaymentState::Succeeded => 5,
    }
}
