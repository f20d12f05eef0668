//! What happened without us: refunds that were made at the provider, and disputes.

use tollgate_domain::dispute::DisputeTold;
use tollgate_domain::payment::PaymentState;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{DisputeNews, Event, RefundNews, RefundStatus};

use super::{Believed, Message, doubt, proves, settle_applied};
use crate::flows::found::{self, Found, Named};
use crate::flows::{Flow, disputes, facts, learn};
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
                    Found::Known | Found::OfASum(_) | Found::New => {
                        settle_applied(tx, gateway, message, event, payment).await?;
                        Ok(Believed::Applied)
                    }
                }
            })
        })
        .await
}

/// A payer contests the payment. No provider can be asked about that, so only a signature counts.
pub(super) async fn dispute(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    news: &DisputeNews,
) -> Flow<Believed> {
    if !proves(message, event) {
        return Ok(Believed::Rejected(
            "it tells of a dispute, and its signature proves nothing".to_owned(),
        ));
    }
    let Ok(state) = news.status.parse() else {
        return Ok(Believed::Rejected(format!("{:?} is no state of a dispute", news.status)));
    };
    let minor = match facts::part_of(message.account, row, &event.fact) {
        Ok(minor) => minor,
        Err(mismatch) => return doubt::disbelieve(gateway, message, row, &mismatch).await,
    };
    let news = &disputes::News {
        reference: Some(news.dispute_ref.clone()),
        told: DisputeTold::Stands(state),
        minor,
        reason: event.fact.reason.clone(),
        respond_by: news.respond_by.clone(),
        bill: None,
    };
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, row).await?;
                if !disputes::learn(tx, gateway, message.account, &now, news).await? {
                    return Ok(Believed::Duplicate);
                }
                if now.state != PaymentState::Succeeded {
                    // Nobody contests what was never paid: we have missed it.
                    learn::ask_about_payment(tx, gateway, row, gateway.store.now()).await?;
                }
                settle_applied(tx, gateway, message, event, row).await?;
                Ok(Believed::Applied)
            })
        })
        .await
}
