//! What holds of what is done at the provider beside us: disputes, refunds and reversals that it tells of, or a bill.

use tollgate::store::payments::PaymentRow;
use tollgate_domain::dispute::{self, Dispute, DisputeState};
use tollgate_domain::refund::{Origin, RefundState};

use crate::picture::{Broken, Picture};
use crate::provider::Provider;
use crate::provider::trade::BackState;

/// What the numbers of refunds begin with that a merchant wants although the payment is in dispute.
pub const DESPITE: &str = "despite-";

/// At every instant: disputes are summed up once, and each is in a state that it was in at the provider.
pub fn check(now: &Picture, provider: &Provider) -> Result<(), Broken> {
    for payment in &now.payments {
        let of: Vec<_> = now.disputes.iter().filter(|row| row.payment_id == payment.id).collect();
        let rules: Vec<Dispute> = of.iter().map(|row| row.rules()).collect();
        let (id, sums) = (payment.id, dispute::sums(&rules));
        if sums != (payment.disputed, payment.charged_back) && !now.disputes.is_empty() {
            let (disputed, lost) = (payment.disputed, payment.charged_back);
            return Err(format!(
                "9: {id} has {disputed} disputed and {lost} lost, and not {sums:?}"
            ));
        }
        let Some(trade) = provider.trades.get(&payment.reference) else { continue };
        if of.len() > usize::from(trade.contest.is_some()) {
            return Err(format!("9: one dispute of {id} is counted {} times", of.len()));
        }
        for (row, contest) in of.iter().zip(&trade.contest) {
            let opened_by_bill = row.bill_id.is_some() && row.state == DisputeState::Opened;
            let was_so = contest.states.contains(&row.state) || opened_by_bill;
            let lost = row.bill_id.is_none() || contest.taken_at.is_some();
            if row.amount != contest.amount || !was_so || !lost {
                return Err(format!("10: the dispute {row:?} is {contest:?} at the provider"));
            }
        }
        if payment.reversed > 0 && trade.reversed_at.is_none() {
            return Err(format!("10: {id} is reversed, and not at the provider"));
        }
    }
    Ok(())
}

/// Between two looks at an order: who wants a refund of a payment that is in dispute has to say so, and none is made by itself
/// while one is open.
pub fn blocked(before: &Picture, now: &Picture) -> Result<(), Broken> {
    for refund in &now.refunds {
        let is_old = before.refunds.iter().any(|old| old.id == refund.id);
        let happened = refund.origin == Origin::Provider;
        if is_old || happened || refund.number.starts_with(DESPITE) {
            continue;
        }
        let contested = |at: &Picture| {
            let payment = at.payments.iter().find(|payment| payment.id == refund.payment_id);
            payment.is_some_and(|payment| {
                let lost = if refund.origin.is_automatic() { 0 } else { payment.charged_back };
                payment.disputed + lost > 0
            })
        };
        if contested(before) && contested(now) {
            return Err(format!("31 of the faults: refund {} beside a dispute", refund.number));
        }
    }
    Ok(())
}

/// At rest: what was acknowledged is here, what a bill tells is here, and what went back is counted once.
pub fn told(now: &Picture, payment: &PaymentRow, provider: &Provider) -> Result<(), Broken> {
    let Some(trade) = provider.trades.get(&payment.reference) else { return Ok(()) };
    if let Some(contest) = &trade.contest {
        let row = now.disputes.iter().find(|row| row.payment_id == payment.id);
        let heard = contest.heard.is_none_or(|heard| row.is_some_and(|row| row.state >= heard));
        let taken = contest.taken_at.is_none() || row.is_some_and(|row| row.bill_id.is_some());
        if !heard || !taken {
            return Err(format!("25: the dispute {contest:?} is {row:?}"));
        }
    }
    let made_there = trade.backs.values().filter(|back| back.made_there);
    let made_there: i64 =
        made_there.filter(|back| back.state == BackState::Done).map(|back| back.amount).sum();
    let of = now.refunds.iter().filter(|refund| {
        refund.payment_id == payment.id
            && refund.origin == Origin::Provider
            && refund.state == RefundState::Succeeded
            && refund.reversed_at.is_none()
    });
    let booked: i64 = of.map(|refund| refund.amount).sum();
    if made_there != booked {
        let id = payment.id;
        return Err(format!("18: {made_there} of {id} went back there, and {booked} is booked"));
    }
    Ok(())
}
