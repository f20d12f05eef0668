//! What happened without us: refunds that were made at the provider, and disputes.

use tollgate_domain::payment::{PaymentState, Told};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{DisputeNews, Event, RefundNews, RefundStatus};

use super::{Believed, Message, confirm, doubt, note, proves, settle_applied};
use crate::flows::found::{self, Found, Named};
use crate::flows::query::{self, Asked};
use crate::flows::{Flow, disputes, facts};
use crate::gateway::Gateway;
use crate::store::payments::PaymentRow;

/// A refund that we did not ask for: the merchant made it at the provider.
pub(super) async fn refund(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    payment: &PaymentRow,
    news: &RefundNews,
) -> Flow<Believed> {
    let refused = |why: &str| Ok(Believed::Rejected(why.to_owned()));
    if !proves(message, event) {
        if message.account.ability("query-payment").is_some() {
            // It shows in the sum of its payment.
            return confirm(gateway, message, event, payment, Told::Unknown, true).await;
        }
        return refused("it is about a refund that we did not ask for, and proves nothing");
    }
    if news.status != RefundStatus::Succeeded {
        return Ok(Believed::Ignored);
    }
    let name = news.refund_ref.as_ref().or(news.provider_refund_ref.as_ref());
    let minor = match facts::part_of(message.account, payment, &event.fact) {
        Ok(minor) => minor,
        Err(mismatch) => return doubt::disbelieve(gateway, message, payment, &mismatch).await,
    };
    let Some(name) = name else { return refused("it does not name the refund") };
    if payment.state != PaymentState::Succeeded {
        // Nothing goes back of what was never paid: we have missed that, or the message is wrong.
        let (limit, is_paid) = (gateway.settings.confirm_limit, |now: &PaymentRow| {
            now.state == PaymentState::Succeeded
        });
        match query::ask_payment(gateway, payment.merchant_id, payment.id, limit, is_paid).await? {
            Asked::NoAnswer(failure) => {
                return Ok(Believed::Waits(format!("not confirmed: {}", failure.message)));
            }
            Asked::Answered(now) if now.state != PaymentState::Succeeded => {
                return doubt::unconfirmed(gateway, message, &now).await;
            }
            Asked::Answered(_) => {}
        }
    }
    let at = event.fact.at.as_deref().and_then(|at| at.parse::<Moment>().ok());
    let seen = &Named { name: name.clone(), minor, at };
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                match found::by_name(tx, gateway, message.account, payment, seen).await? {
                    Found::PerhapsOurs => {
                        Ok(Believed::Waits("it may be a refund of ours that is open".to_owned()))
                    }
                    Found::TooEarly => {
                        Ok(Believed::Waits("its payment is not known to be paid yet".to_owned()))
                    }
                    Found::Known | Found::OfSums(_) | Found::New => {
                        settle_applied(tx, gateway, message, event, payment).await?;
                        Ok(Believed::Applied)
                    }
                }
            })
        })
        .await
}

/// A payer contests the payment. Where the provider can be asked about that, its answer is what counts; where it cannot,
/// only a signature does.
pub(super) async fn dispute(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    news: &DisputeNews,
) -> Flow<Believed> {
    if message.account.ability("query-dispute").is_some() {
        return confirm_dispute(gateway, message, event, row, &news.dispute_ref).await;
    }
    if !proves(message, event) {
        return Ok(Believed::Rejected(
            "it tells of a dispute, and its signature proves nothing".to_owned(),
        ));
    }
    let (state, minor) = match facts::of_dispute(message.account, row, &event.fact, news) {
        Ok(told) => told,
        Err(mismatch) => return doubt::disbelieve(gateway, message, row, &mismatch).await,
    };
    let news = &disputes::News::told(news, &event.fact, state, minor);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                if !disputes::hear(tx, gateway, message.account, row, news).await? {
                    return Ok(Believed::Duplicate);
                }
                settle_applied(tx, gateway, message, event, row).await?;
                Ok(Believed::Applied)
            })
        })
        .await
}

/// Asks the provider how a dispute stands. The message said which one, and nothing else of it is used.
async fn confirm_dispute(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    reference: &str,
) -> Flow<Believed> {
    let limit = gateway.settings.confirm_limit;
    match disputes::ask(gateway, message.account, row, reference, limit).await? {
        Asked::NoAnswer(failure) => {
            Ok(Believed::Waits(format!("not confirmed: {}", failure.message)))
        }
        Asked::Answered(false) => Ok(Believed::Duplicate),
        Asked::Answered(true) => {
            note(gateway, message, event, row).await?;
            Ok(Believed::Applied)
        }
    }
}
