//! Whether to believe what a message says: our payment, our account, our amount, a signature that held in this very
//! call, and the provider's own word when asked.

mod doubt;
mod elsewhere;

use tollgate_domain::ids::NotificationId;
use tollgate_domain::payment::{PaymentCommand, PaymentState, Told};
use tollgate_domain::refund::RefundCommand;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{
    Authority, Channel, Event, Fact, PaymentStatus, RefundNews, Subject,
};

use super::account::Account;
use super::found::{self, Source};
use super::learn::{self, Particulars};
use super::query::{self, Asked};
use super::{Flow, facts};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::Tx;
use crate::store::notifications::{self, Settled};
use crate::store::payments::{self, PaymentRow};
use crate::store::refunds::{self, RefundRow};

/// A message that a plugin has read.
pub struct Message<'a> {
    /// Whose.
    pub account: &'a Account,
    /// The payment whose address it came to.
    pub about: Option<&'a PaymentRow>,
    /// As what it is kept.
    pub notification: NotificationId,
    /// When it came.
    pub received_at: Moment,
    /// Whether the host saw a signature hold while it was read.
    pub signed: bool,
    /// What kind of message it turned out to be.
    pub channel: Channel,
}

/// What became of one event in a message.
pub enum Believed {
    /// It changed something.
    Applied,
    /// It told nothing new.
    Duplicate,
    /// It is about something that we do not keep.
    Ignored,
    /// It cannot be believed, and why.
    Rejected(String),
    /// The provider could not be asked in time: it is read again.
    Waits(String),
}

/// Believes an event or not, and writes what it changes.
pub async fn event(gateway: &Gateway, message: &Message<'_>, event: &Event) -> Flow<Believed> {
    match &event.fact.about {
        Subject::Payment(_) | Subject::Refund(_) | Subject::Dispute(_) => {}
        Subject::Other(word) if word == "refused" => {
            let reason = event.fact.reason.clone();
            return Ok(Believed::Rejected(reason.unwrap_or_else(|| "refused".to_owned())));
        }
        Subject::Bill(_) | Subject::Other(_) => return Ok(Believed::Ignored),
    }
    let Some(row) = find(gateway, message, &event.fact).await? else {
        // Of somebody else's payment on the same account at the provider: those of ours bear our reference, and once
        // they are known to be paid, their numbers at the provider are here.
        if event.fact.payment_ref.is_none() {
            return Ok(Believed::Ignored);
        }
        return doubt::unmatched(gateway, message, event).await;
    };
    match &event.fact.about {
        Subject::Payment(status) => payment(gateway, message, event, &row, *status).await,
        Subject::Refund(news) => refund(gateway, message, event, &row, news).await,
        Subject::Dispute(news) => elsewhere::dispute(gateway, message, event, &row, news).await,
        Subject::Bill(_) | Subject::Other(_) => Ok(Believed::Ignored),
    }
}

/// The payment that an event is about, among those of the account that it was sent to.
async fn find(gateway: &Gateway, message: &Message<'_>, fact: &Fact) -> Flow<Option<PaymentRow>> {
    let (merchant, account) = (message.account.row.merchant_id, message.account.row.id);
    let mut sql = gateway.store.read().await?;
    if let Some(about) = message.about {
        return Ok(payments::get(&mut sql, merchant, about.id).await?);
    }
    if let Some(reference) = &fact.payment_ref {
        return Ok(payments::by_reference(&mut sql, merchant, account, reference).await?);
    }
    for alias in fact.provider_ref.iter().chain(&fact.aliases) {
        if let Some(row) = payments::by_provider_ref(&mut sql, merchant, account, alias).await? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

async fn payment(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    status: PaymentStatus,
) -> Flow<Believed> {
    let told = match facts::of_payment(message.account, row, &event.fact, status) {
        Ok(told) => told,
        // A return says no amount: it is a reason to ask, and proves nothing.
        Err(mismatch) if mismatch.theirs == facts::NOT_SAID && !proves(message, event) => {
            Told::Unknown
        }
        Err(mismatch) => return doubt::disbelieve(gateway, message, row, &mismatch).await,
    };
    let more_refunded = event.fact.refunded.as_ref().is_some_and(|sum| sum.minor > row.refunded);
    if tells_nothing(row, told) && !more_refunded {
        return Ok(Believed::Duplicate);
    }
    if message.account.ability("query-payment").is_some() {
        return confirm(gateway, message, event, row, told, more_refunded).await;
    }
    if !proves(message, event) {
        return Ok(Believed::Rejected(
            "it proves nothing, and the provider cannot be asked".to_owned(),
        ));
    }
    let command = facts::payment_command(row, told);
    if matches!(command, PaymentCommand::Reverse(_)) && !is_later(&event.fact, row.succeeded_at) {
        return Ok(Believed::Duplicate);
    }
    write_payment(gateway, message, event, row, command).await?;
    Ok(Believed::Applied)
}

/// Whether a message is proof by itself: the plugin says so and the host saw a signature hold. A browser never is.
fn proves(message: &Message<'_>, event: &Event) -> bool {
    message.signed
        && matches!(event.authority, Authority::Authoritative)
        && !matches!(message.channel, Channel::BrowserReturn)
}

/// Whether the row already says as much.
fn tells_nothing(row: &PaymentRow, told: Told) -> bool {
    if told == Told::Failed && row.state == PaymentState::Succeeded {
        // An old word, or a reversal: only the provider can tell.
        return row.reversed > 0;
    }
    let learnt = row.rules().apply(PaymentCommand::Learn(told), row.updated_at);
    let unchanged = learnt.is_ok_and(|(after, _)| after.state == row.state);
    unchanged && (matches!(told, Told::Succeeded(_)) || !row.state.is_alive())
}

/// Asks the provider before anything is believed; what it answers is written by the question itself.
async fn confirm(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    told: Told,
    more_refunded: bool,
) -> Flow<Believed> {
    let limit = gateway.settings.confirm_limit;
    let enough = |now: &PaymentRow| tells_nothing(now, told) && !more_refunded;
    let before = row.version;
    match query::ask_payment(gateway, row.merchant_id, row.id, limit, enough).await? {
        Asked::NoAnswer(failure) => {
            Ok(Believed::Waits(format!("not confirmed: {}", failure.message)))
        }
        Asked::Answered(now) => {
            let claimed = matches!(told, Told::Succeeded(_)) && proves(message, event);
            if claimed && now.state != PaymentState::Succeeded {
                return doubt::unconfirmed(gateway, message, &now).await;
            }
            note(gateway, message, event, &now).await?;
            Ok(if now.version == before { Believed::Duplicate } else { Believed::Applied })
        }
    }
}

async fn refund(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    payment: &PaymentRow,
    news: &RefundNews,
) -> Flow<Believed> {
    let Some(row) = find_refund(gateway, payment, news).await? else {
        return elsewhere::refund(gateway, message, event, payment, news).await;
    };
    let told = match facts::of_refund(message.account, payment, &row, &event.fact, news) {
        Ok(told) => told,
        Err(mismatch) => return doubt::disbelieve(gateway, message, payment, &mismatch).await,
    };
    let command = facts::refund_command(&row, told);
    let (after, _) = row.rules().apply(command, row.updated_at);
    if !row.state.is_open() && after == row.rules() {
        return Ok(Believed::Duplicate);
    }
    if message.account.ability("query-refund").is_some() {
        let limit = gateway.settings.confirm_limit;
        return Ok(match query::ask_refund(gateway, row.merchant_id, row.id, limit).await? {
            Asked::NoAnswer(failure) => {
                Believed::Waits(format!("not confirmed: {}", failure.message))
            }
            Asked::Answered(now) => {
                note(gateway, message, event, payment).await?;
                if now == row { Believed::Duplicate } else { Believed::Applied }
            }
        });
    }
    if !proves(message, event) {
        return Ok(Believed::Rejected(
            "it proves nothing, and the provider cannot be asked".to_owned(),
        ));
    }
    if command == RefundCommand::Reverse && !is_later(&event.fact, row.succeeded_at) {
        return Ok(Believed::Duplicate);
    }
    let (particulars, row) = (&facts::particulars(&event.fact), &row);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::refund_now(tx, row).await?;
                learn::refund(tx, gateway, message.account, now, command, particulars).await?;
                settle_applied(tx, gateway, message, event, payment).await?;
                Ok(Believed::Applied)
            })
        })
        .await
}

/// Whether a fact happened after a success, where nobody can be asked which came first.
fn is_later(fact: &Fact, succeeded_at: Option<i64>) -> bool {
    let at = fact.at.as_deref().and_then(|at| at.parse::<Moment>().ok());
    matches!((at, succeeded_at), (Some(at), Some(success)) if at.0 > success)
}

async fn find_refund(
    gateway: &Gateway,
    payment: &PaymentRow,
    news: &RefundNews,
) -> Flow<Option<RefundRow>> {
    let mut sql = gateway.store.read().await?;
    let of_payment = refunds::of_payment(&mut sql, payment.merchant_id, payment.id).await?;
    Ok(of_payment.into_iter().find(|refund| match (&news.refund_ref, &news.provider_refund_ref) {
        (Some(ours), _) => refund.reference == *ours,
        (None, theirs) => theirs.is_some() && refund.provider_ref == *theirs,
    }))
}

async fn write_payment(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
    command: PaymentCommand,
) -> Flow<()> {
    let particulars: &Particulars = &facts::particulars(&event.fact);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let (account, fact) = (message.account, &event.fact);
                let now = learn::payment_now(tx, row).await?;
                learn::payment(tx, gateway, account, now, command, particulars).await?;
                found::sum(tx, gateway, account, row, fact, Source::Message).await?;
                settle_applied(tx, gateway, message, event, row).await
            })
        })
        .await
}

/// Notes that a message was confirmed by the provider's own answer, which is written already.
async fn note(
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
) -> Flow<()> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let source = if proves(message, event) { Source::Message } else { Source::Hint };
                found::sum(tx, gateway, message.account, row, &event.fact, source).await?;
                settle_applied(tx, gateway, message, event, row).await
            })
        })
        .await
}

async fn settle_applied(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    message: &Message<'_>,
    event: &Event,
    row: &PaymentRow,
) -> Flow<()> {
    let settled = Settled {
        state: "applied",
        reason: None,
        payment_id: Some(row.id.to_string()),
        dedupe_key: Some(&event.dedupe_key),
        signed: message.signed,
    };
    let now = gateway.store.now();
    Ok(notifications::settle(tx.sql(), row.merchant_id, message.notification, &settled, now)
        .await?)
}

/// Reads a kept message again soon.
pub async fn read_later(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    id: NotificationId,
) -> Flow<()> {
    let due = gateway.store.now().plus_millis(2_000);
    let (merchant, account) = (account.row.merchant_id, account.row.id);
    learn::put_job_about(tx, gateway, merchant, account, Kind::ReadNotice, &id.to_string(), due)
        .await
}
