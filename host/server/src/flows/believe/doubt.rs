//! What is not believed, and who is told: a message that disagrees with what we know or with the provider's own answer
//! changes nothing. If its signature held, somebody who holds the keys said it, so it becomes a case.

use tollgate_domain::checks::Mismatch;
use tollgate_plugin::contract::Event;

use super::{Believed, Message, proves};
use crate::flows::cases::{self, NewCase};
use crate::flows::{Flow, learn};
use crate::gateway::Gateway;
use crate::store::accounts;
use crate::store::payments::{self, PaymentRow};

/// A message about a payment that this account does not know is not taken: the provider says it again. If it proves that
/// money moved at our account, somebody has to look: this database may have lost what it knew.
pub(super) async fn unmatched(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
) -> Flow<Believed> {
    let fact = &event.fact;
    let settings = message.account.settings();
    let is_ours = fact.seen.iter().all(|(name, theirs)| {
        settings.iter().any(|(setting, ours)| setting == name && ours == theirs)
    });
    let name = fact.payment_ref.as_ref().or(fact.provider_ref.as_ref());
    let is_lost =
        proves(message, event) && is_ours && !is_elsewhere(gateway, message, event).await?;
    if let (true, Some(name)) = (is_lost, name) {
        let amount = fact.amount.as_ref();
        let case = &NewCase {
            kind: "unknown_payment",
            cause: format!("unknown_payment/{name}"),
            event: "payment.unmatched",
            payment: None,
            notification: Some(message.notification),
            data: serde_json::json!({
                "reference": fact.payment_ref, "provider_reference": fact.provider_ref,
                "status": fact.raw_status, "amount": amount.map(|money| money.minor),
                "currency": amount.map(|money| &money.currency),
            }),
        };
        open_case(gateway, message, case).await?;
    }
    Ok(Believed::Rejected("it is about a payment that this account does not know".to_owned()))
}

/// Whether another account of the merchant has the payment: then the message only came to the wrong address.
async fn is_elsewhere(gateway: &Gateway, message: &Message<'_>, event: &Event) -> Flow<bool> {
    let Some(reference) = &event.fact.payment_ref else { return Ok(false) };
    let merchant = message.account.row.merchant_id;
    let mut sql = gateway.store.read().await?;
    for account in accounts::list(&mut sql, merchant).await? {
        if payments::by_reference(&mut sql, merchant, account.id, reference).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// For so long a success that the provider does not confirm is put down to its own books being late.
const BOOKS_LATE_MS: i64 = 600_000;

/// The notice outran the provider's own books, or one of the two is wrong. Nobody is told success before the provider
/// says so when asked; and where it denies it, or goes on being silent, somebody has to look.
pub(super) async fn unconfirmed(
    gateway: &Gateway,
    message: &Message<'_>,
    row: &PaymentRow,
) -> Flow<Believed> {
    let is_denied = !row.state.is_alive() && !learn::may_be_paid_yet(row);
    let waited_ms = gateway.store.now().millis_since(message.received_at);
    if is_denied || waited_ms >= BOOKS_LATE_MS {
        let case = &NewCase {
            kind: "unconfirmed_success",
            cause: format!("unconfirmed_success/{}", row.id),
            event: "payment.conflict",
            payment: Some(row),
            notification: Some(message.notification),
            data: serde_json::json!({ "ours": row.state.as_str(), "theirs": "succeeded" }),
        };
        open_case(gateway, message, case).await?;
    }
    Ok(if is_denied {
        Believed::Rejected("the provider denies it when asked".to_owned())
    } else {
        Believed::Waits("the provider does not confirm it yet".to_owned())
    })
}

/// A message that disagrees with what we know.
pub(super) async fn disbelieve(
    gateway: &Gateway,
    message: &Message<'_>,
    row: &PaymentRow,
    mismatch: &Mismatch,
) -> Flow<Believed> {
    if message.signed {
        let Mismatch { field, ours, theirs } = mismatch;
        let case = &NewCase {
            kind: "mismatch",
            cause: format!("mismatch/{}/{field}/{theirs:.200}", row.id),
            event: "notification.mismatch",
            payment: Some(row),
            notification: Some(message.notification),
            data: serde_json::json!({ "field": field, "ours": ours, "theirs": theirs }),
        };
        open_case(gateway, message, case).await?;
    }
    Ok(Believed::Rejected(mismatch.to_string()))
}

async fn open_case(gateway: &Gateway, message: &Message<'_>, case: &NewCase<'_>) -> Flow<()> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move { cases::open(tx, gateway, message.account, case).await })
        })
        .await
}
