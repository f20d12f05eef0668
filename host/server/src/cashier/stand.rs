//! How an order stands for its payer: still to choose, underway, or over.

use tollgate_domain::order::OrderState;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::RefundState;
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

/// Where a refund stands for the payer, who need not know what we know not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asked for; the provider has it, or will.
    OnItsWay,
    /// Somebody at the shop has to do something first.
    WithTheShop,
    /// The provider has given the money back.
    Done,
    /// It came to nothing.
    Failed,
}

impl Stage {
    /// Of a refund in this state.
    pub fn of(state: RefundState) -> Stage {
        match state {
            RefundState::Requested | RefundState::Pending | RefundState::Unknown => Stage::OnItsWay,
            RefundState::NeedsAction => Stage::WithTheShop,
            RefundState::Succeeded => Stage::Done,
            RefundState::Failed => Stage::Failed,
        }
    }

    /// Whether it may still become another.
    pub fn may_change(self) -> bool {
        matches!(self, Stage::OnItsWay | Stage::WithTheShop)
    }

    fn letter(self) -> char {
        match self {
            Stage::OnItsWay => 'w',
            Stage::WithTheShop => 's',
            Stage::Done => 'd',
            Stage::Failed => 'f',
        }
    }
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
    let stages: String =
        view.refunds.iter().map(|refund| Stage::of(refund.state).letter()).collect();
    format!("{stand}-{}-{stages}", view.payments.len())
}
