//! What holds of an order at every instant.

use tollgate::store::refunds::RefundRow;
use tollgate_domain::order::OrderState;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::{Origin, RefundState};

use super::elsewhere;
use crate::picture::{Broken, Picture};
use crate::provider::Provider;
use crate::provider::trade::TradeState;

/// Checks an order by itself and against what the provider knows.
pub fn check(now: &Picture, provider: &Provider) -> Result<(), Broken> {
    at_most_one_alive(now)?;
    for payment in &now.payments {
        let id = payment.id;
        // 6
        if payment.taken > payment.amount
            || payment.amount != now.order.amount
            || payment.currency != now.order.currency
        {
            return Err(format!("6: payment {id} took {} of {}", payment.taken, now.order.amount));
        }
        held(now, id)?;
        proven(payment, provider)?;
    }
    derived(now)?;
    counted_or_given_back(now)?;
    elsewhere::check(now, provider)?;
    told(now)?;
    match now.missing_jobs.first() {
        Some(job) => Err(format!("23: the job {job} is lost")),
        None => Ok(()),
    }
}

/// 5: one attempt at a time may be alive.
fn at_most_one_alive(now: &Picture) -> Result<(), Broken> {
    let alive = now.payments.iter().filter(|payment| payment.state.is_alive()).count();
    if alive > 1 {
        return Err(format!("5: order {} has {alive} payments alive", now.order.id));
    }
    Ok(())
}

/// 7 and 8: what refunds hold and gave back is what the payment says, and never more than it took.
fn held(now: &Picture, id: tollgate_domain::ids::PaymentId) -> Result<(), Broken> {
    let Some(payment) = now.payments.iter().find(|payment| payment.id == id) else { return Ok(()) };
    let of = |wanted: &dyn Fn(RefundState) -> bool| -> i64 {
        let refunds = now.refunds.iter().filter(|refund| refund.payment_id == id);
        refunds.filter(|refund| wanted(refund.state)).map(|refund| refund.amount).sum()
    };
    let open = of(&RefundState::is_open);
    let done = of(&|state| state == RefundState::Succeeded);
    // What went back beyond what came in is in no sum, and what came back neither.
    let is_in_none = |refund: &&RefundRow| refund.beyond == 1 || refund.reversed_at.is_some();
    let in_none = now.refunds.iter().filter(|refund| refund.payment_id == id).filter(is_in_none);
    let done = done - in_none.map(|refund| refund.amount).sum::<i64>();
    if payment.reserved != open {
        return Err(format!("8: payment {id} holds {}, its refunds {open}", payment.reserved));
    }
    if payment.refunded != done {
        return Err(format!("7: payment {id} gave {} back, its refunds {done}", payment.refunded));
    }
    if payment.reserved + payment.refunded > payment.taken {
        return Err(format!("7: payment {id} gives back more than it took"));
    }
    Ok(())
}

/// 10 to 12: money is taken only where the provider took it, and a payment has ended only where the provider said so
/// or never heard of it.
fn proven(
    payment: &tollgate::store::payments::PaymentRow,
    provider: &Provider,
) -> Result<(), Broken> {
    let id = payment.id;
    let trade = provider.trades.get(&payment.reference);
    match payment.state {
        PaymentState::Succeeded => match trade {
            Some(trade) if trade.state == TradeState::Paid && trade.amount == payment.taken => {
                Ok(())
            }
            _ => Err(format!("10: payment {id} succeeded, and the provider has {trade:?}")),
        },
        // One that was closed before the provider heard of it may come to life there: it is asked about.
        PaymentState::Closed if payment.provider_ref.is_none() => Ok(()),
        state @ (PaymentState::Failed | PaymentState::Closed)
            if trade.is_some_and(|trade| !trade.said_over) =>
        {
            Err(format!("11: payment {id} is {state}, and the provider has {trade:?}"))
        }
        _ => Ok(()),
    }
}

/// 9 and 17 in parts: the order is what the payment makes it that it counts.
fn derived(now: &Picture) -> Result<(), Broken> {
    let paid = || now.payments.iter().filter(|payment| payment.allocated == 1);
    let taken: i64 = paid().map(|payment| payment.taken).sum();
    let refunded: i64 = paid().map(|payment| payment.refunded).sum();
    let is_right = match now.order.state {
        OrderState::Open | OrderState::Closed | OrderState::Expired => taken == 0,
        OrderState::Paid => taken > 0 && refunded == 0,
        OrderState::PartiallyRefunded => refunded > 0 && refunded < taken,
        OrderState::Refunded => taken > 0 && refunded == taken,
    };
    if !is_right {
        let state = now.order.state;
        return Err(format!(
            "9: the order is {state} with {taken} taken and {refunded} given back"
        ));
    }
    Ok(())
}

/// 28 and 29: a success is counted by its order, one at most, or goes back by one refund that nobody asked for.
fn counted_or_given_back(now: &Picture) -> Result<(), Broken> {
    let counted = now.payments.iter().filter(|payment| payment.allocated == 1).count();
    if counted > 1 {
        return Err(format!("29: order {} counts {counted} payments", now.order.id));
    }
    for payment in &now.payments {
        let of =
            |refund: &&RefundRow| refund.payment_id == payment.id && refund.origin.is_automatic();
        let given_back = now.refunds.iter().filter(of).count();
        let is_counted = usize::from(payment.allocated == 1);
        let took = usize::from(payment.state == PaymentState::Succeeded);
        // Nothing was left to give back of what had gone another way before we heard of it.
        let is_gone = took == 1 && payment.reversed + payment.charged_back >= payment.taken;
        // And what a payer contested then is for people to give back.
        let is_a_case = now.disputes.iter().any(|dispute| dispute.payment_id == payment.id)
            && now.events.iter().any(|event| {
                event.kind == "payment.conflict" && event.subject == payment.id.to_string()
            });
        let may_stay = (is_gone || is_a_case) && is_counted + given_back == 0;
        if is_counted + given_back != took && !may_stay {
            let id = payment.id;
            return Err(format!(
                "29: payment {id} is counted {is_counted} and went back {given_back}"
            ));
        }
    }
    Ok(())
}

/// 13: each fact was told once, in the transaction that made it one, and events count from 1 without a gap.
fn told(now: &Picture) -> Result<(), Broken> {
    for (place, event) in now.events.iter().enumerate() {
        if event.sequence != place as i64 + 1 {
            return Err(format!("13: event {} has the number {}", place + 1, event.sequence));
        }
    }
    if now.order.event_seq != now.events.len() as i64 {
        return Err(format!("13: {} events, {} counted", now.events.len(), now.order.event_seq));
    }
    let count = |kind: &str, subject: &str| {
        now.events.iter().filter(|event| event.kind == kind && event.subject == subject).count()
    };
    let once = |kind: &str, subject: &str, is_so: bool| {
        let told = count(kind, subject);
        // What came after may hide that it was so once; more than once it never was.
        if told > 1 || (is_so && told == 0) {
            return Err(format!("13: {kind} of {subject} was told {told} times"));
        }
        Ok(())
    };
    let order = now.order.id.to_string();
    once("order.created", &order, true)?;
    once("order.paid", &order, now.order.state == OrderState::Paid)?;
    for payment in &now.payments {
        let id = payment.id.to_string();
        for state in [PaymentState::Succeeded, PaymentState::Failed, PaymentState::Closed] {
            once(&format!("payment.{state}"), &id, payment.state == state)?;
        }
        once("payment.reversed", &id, payment.reversed > 0)?;
    }
    for refund in &now.refunds {
        let id = refund.id.to_string();
        let is_asked_for = refund.origin != Origin::Provider;
        once("refund.requested", &id, is_asked_for)?;
        // A part of a sum that was told is not told again.
        if !is_asked_for {
            once("refund.succeeded", &id, false)?;
            continue;
        }
        for state in [RefundState::Succeeded, RefundState::Failed] {
            once(&format!("refund.{state}"), &id, refund.state == state)?;
        }
    }
    Ok(())
}
