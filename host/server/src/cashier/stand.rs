//! How an order stands for its payer: still to choose, underway, or over.

use tollgate_domain::order::OrderState;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::time::Moment;

use crate::flows::orders::OrderView;
use crate::store::payments::PaymentRow;

/// What a payer's page is about.
#[derive(Debug)]
pub enum Stand<'v> {
    /// A method is to be chosen.
    Choose {
        /// The last attempt came to nothing.
        earlier_failed: bool,
    },
    /// A payment was started and may still succeed.
    Underway(&'v PaymentRow),
    /// Nothing is left to do.
    Over(Ending),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Paid.
    Paid,
    /// Paid, and at least part of it goes back.
    Refunded,
    /// Ended by the shop.
    Closed,
    /// Ended by time.
    Expired,
}

/// How an order stands at `now`.
pub fn of(view: &OrderView, now: Moment) -> Stand<'_> {
    match view.order.state {
        OrderState::Paid if view.refunds.iter().any(|refund| refund.state.is_open()) => {
            Stand::Over(Ending::Refunded)
        }
        OrderState::Paid => Stand::Over(Ending::Paid),
        OrderState::PartiallyRefunded | OrderState::Refunded => Stand::Over(Ending::Refunded),
        OrderState::Closed => Stand::Over(Ending::Closed),
        OrderState::Expired => Stand::Over(Ending::Expired),
        OrderState::Open => {
            if let Some(alive) = view.payments.iter().rev().find(|payment| payment.state.is_alive())
            {
                return Stand::Underway(alive);
            }
            if now >= view.order.expires_at {
                return Stand::Over(Ending::Expired);
            }
            let last = view.payments.last().map(|payment| payment.state);
            Stand::Choose { earlier_failed: last == Some(PaymentState::Failed) }
        }
    }
}

/// A word that changes whenever the page would. It tells nothing that the page does not.
pub fn word(view: &OrderView, now: Moment) -> String {
    let stand = match of(view, now) {
        Stand::Choose { .. } => "choose".to_owned(),
        Stand::Underway(row) => {
            format!("underway-{}-{}", row.state, u8::from(row.action.is_some()))
        }
        Stand::Over(ending) => format!("{ending:?}").to_lowercase(),
    };
    let settled = view.refunds.iter().filter(|refund| !refund.state.is_open()).count();
    format!("{stand}-{}-{}-{settled}", view.payments.len(), view.refunds.len())
}
