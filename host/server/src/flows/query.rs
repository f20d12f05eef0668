//! Asking a provider: what became of a payment or a refund, and ending a payment that nobody paid.
//!
//! About one payment one question is asked at a time. Whoever comes while another one asks waits, reads the row
//! again, and asks only if that did not tell what it came for.

use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::ids::{MerchantId, PaymentId, RefundId};
use tollgate_domain::payment::{PaymentCommand, Told};
use tollgate_domain::refund::{RefundCommand, RefundState, RefundTold};
use tollgate_plugin::contract::{self, Fact, Operation, Outcome, Subject};

use super::account::{self, Account};
use super::learn::{self, Particulars};
use super::operation::{self, Ending, Ran, Task};
use super::{Failure, Flow, FlowError, facts, payments, refunds};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::payments::PaymentRow;
use crate::store::refunds::RefundRow;
use crate::store::{self, Tx};

/// What a question came to.
pub enum Asked<T> {
    /// The provider said something that agrees with what we know; this is the row now.
    Answered(T),
    /// It did not, or what it said cannot be believed. Nothing is known but that.
    NoAnswer(Failure),
}

/// Asks now, for a merchant who wants to know.
pub async fn sync(gateway: &Gateway, merchant: MerchantId, id: PaymentId) -> Flow<PaymentRow> {
    payments::get(gateway, merchant, id).await?;
    match ask_payment(gateway, merchant, id, gateway.settings.call_limit, |_| false).await? {
        Asked::Answered(row) => Ok(row),
        Asked::NoAnswer(failure) => {
            Err(FlowError::Unavailable(format!("no answer: {}", failure.message)))
        }
    }
}

/// Asks what became of a payment, unless the row already tells enough.
pub async fn ask_payment(
    gateway: &Gateway,
    merchant: MerchantId,
    id: PaymentId,
    limit: Duration,
    enough: impl Fn(&PaymentRow) -> bool + Send,
) -> Flow<Asked<PaymentRow>> {
    let Some(mut turn) = gateway.asking.turn(id, limit, gateway.store.clock()).await else {
        return Ok(Asked::NoAnswer(no_answer("the provider does not answer")));
    };
    let row = payments::get(gateway, merchant, id).await?;
    if enough(&row) {
        return Ok(Asked::Answered(row));
    }
    // The question that we waited for met with silence: another one now would keep our caller waiting as long again.
    if turn.waited && turn.silence.met {
        return Ok(Asked::NoAnswer(no_answer("the provider does not answer")));
    }
    let account = account::open(gateway, merchant, row.account_id).await?;
    if account.ability("query-payment").is_none() {
        return Ok(Asked::NoAnswer(no_answer("the provider cannot be asked about a payment")));
    }
    let operation = Operation::QueryPayment(payments::to_contract(&row));
    let asked = ask(gateway, &account, &row, &operation, limit, false).await?;
    turn.silence.met = matches!(asked, Asked::NoAnswer(_));
    Ok(asked)
}

/// Ends a payment that has taken nothing. One that the provider never saw is ended here; one that turns out to be
/// paid is paid.
pub async fn close_payment(
    gateway: &Gateway,
    merchant: MerchantId,
    id: PaymentId,
) -> Flow<Asked<PaymentRow>> {
    let limit = gateway.settings.call_limit;
    let row = payments::get(gateway, merchant, id).await?;
    let account = account::open(gateway, merchant, row.account_id).await?;
    if account.ability("close").is_none() {
        return ask_payment(gateway, merchant, id, limit, |row| !row.state.is_alive()).await;
    }
    let closed = {
        let Some(_turn) = gateway.asking.turn(id, limit, gateway.store.clock()).await else {
            return Ok(Asked::NoAnswer(no_answer("the provider does not answer")));
        };
        let row = payments::get(gateway, merchant, id).await?;
        if !row.state.is_alive() {
            return Ok(Asked::Answered(row));
        }
        let operation = Operation::Close(payments::to_contract(&row));
        ask(gateway, &account, &row, &operation, limit, true).await?
    };
    match closed {
        Asked::Answered(row) if !row.state.is_alive() => Ok(Asked::Answered(row)),
        // It may have been paid in the meantime: then the provider refuses to close it, and only a query tells.
        _ => ask_payment(gateway, merchant, id, limit, |row| !row.state.is_alive()).await,
    }
}

async fn ask(
    gateway: &Gateway,
    account: &Arc<Account>,
    row: &PaymentRow,
    operation: &Operation,
    limit: Duration,
    closing: bool,
) -> Flow<Asked<PaymentRow>> {
    let (subject, key) = (row.id.to_string(), row.reference.clone());
    let task = Task { account, subject: &subject, key: &key, operation, state: Vec::new(), limit };
    let ran = operation::run(gateway, &task).await?;
    let read = match &ran.ending {
        Ending::Done(Outcome::Report(report)) => {
            judge(account, row, &report.fact, report.keep.clone())
        }
        Ending::Done(_) => Err(no_answer("the plugin gave another operation's outcome")),
        Ending::Wait { .. } => Err(no_answer("the provider needs more time")),
        Ending::Failed { failure, .. } => Err(failure.clone()),
    };
    let (ran, read, row) = (&ran, &read, row);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                match read {
                    Ok((command, particulars, fact)) => {
                        let now = store::payments::must(tx.sql(), row.merchant_id, row.id).await?;
                        let command = if closing { ended(*command, &now) } else { *command };
                        let after =
                            learn::payment(tx, gateway, account, now, command, particulars).await?;
                        ask_about_refunds(tx, gateway, &after, fact).await?;
                        Ok(Asked::Answered(after))
                    }
                    Err(failure) => Ok(Asked::NoAnswer(failure.clone())),
                }
            })
        })
        .await
}

type Judged<'f> = Result<(PaymentCommand, Particulars, &'f Fact), Failure>;

fn judge<'f>(
    account: &Account,
    row: &PaymentRow,
    fact: &'f Fact,
    kept: Option<Vec<u8>>,
) -> Judged<'f> {
    let Subject::Payment(status) = &fact.about else {
        return Err(no_answer("the plugin reported something else than the payment"));
    };
    let told = facts::of_payment(account, row, fact, *status).map_err(|mismatch| {
        tracing::warn!(payment = %row.id, %mismatch, "the provider's answer disagrees with what we know");
        Failure { code: "mismatch".to_owned(), ..no_answer(&mismatch.to_string()) }
    })?;
    Ok((PaymentCommand::Learn(told), Particulars { kept, ..facts::particulars(fact) }, fact))
}

/// What an answer to a close comes to. Nobody can pay what the provider has never seen, once we have ended it; if somebody
/// does, money wins. But its start may have arrived while the close was under way: then the answer is out of date.
fn ended(command: PaymentCommand, now: &PaymentRow) -> PaymentCommand {
    match command {
        PaymentCommand::Learn(Told::NotFound) if now.provider_ref.is_none() => {
            PaymentCommand::Learn(Told::Closed)
        }
        other => other,
    }
}

/// The provider counts more given back than we do: one of our open refunds may be done.
pub(super) async fn ask_about_refunds(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &PaymentRow,
    fact: &Fact,
) -> Flow<()> {
    let more = fact.refunded.as_ref().is_some_and(|refunded| refunded.minor > row.refunded);
    if !more {
        return Ok(());
    }
    let now = gateway.store.now();
    for refund in store::refunds::of_payment(tx.sql(), row.merchant_id, row.id).await? {
        if refund.state.is_open() {
            let subject = refund.id.to_string();
            learn::put_job(tx, gateway, row.merchant_id, Kind::QueryRefund, &subject, now).await?;
        }
    }
    Ok(())
}

/// Asks what became of a refund, for `limit` at most.
pub async fn ask_refund(
    gateway: &Gateway,
    merchant: MerchantId,
    id: RefundId,
    limit: Duration,
) -> Flow<Asked<RefundRow>> {
    let row = refunds::get(gateway, merchant, id).await?;
    Ok(question_refund(gateway, &row, limit).await?.0)
}

/// Asks what became of a refund, and sends one that never arrived again, where a repeat does no harm.
pub async fn pursue_refund(
    gateway: &Gateway,
    merchant: MerchantId,
    id: RefundId,
) -> Flow<Asked<RefundRow>> {
    let limit = gateway.settings.call_limit;
    let row = refunds::get(gateway, merchant, id).await?;
    let (asked, told) = question_refund(gateway, &row, limit).await?;
    let account = account::open(gateway, merchant, row.account_id).await?;
    let age_ms = gateway.store.now().millis_since(row.created_at);
    let repeatable = account.ability("refund").and_then(|ability| ability.repeat_ms);
    let harmless =
        repeatable.is_some_and(|within| u64::try_from(age_ms).is_ok_and(|age| age < within));
    // While its first sending may still be under way, nobody sends it beside that one.
    let at_rest = row.state != RefundState::Requested
        || i128::from(age_ms) > i128::try_from(2 * limit.as_millis()).unwrap_or(i128::MAX);
    if told == Some(RefundTold::NotFound) && harmless && at_rest {
        let payment = payments::get(gateway, merchant, row.payment_id).await?;
        let row = refunds::doubt(gateway, &account, &row).await?;
        if row.state.is_open() {
            return Ok(Asked::Answered(refunds::send(gateway, &account, &payment, &row).await?));
        }
        return Ok(Asked::Answered(row));
    }
    Ok(asked)
}

async fn question_refund(
    gateway: &Gateway,
    row: &RefundRow,
    limit: Duration,
) -> Flow<(Asked<RefundRow>, Option<RefundTold>)> {
    if row.state == RefundState::Succeeded {
        return Ok((Asked::Answered(row.clone()), None));
    }
    let payment = payments::get(gateway, row.merchant_id, row.payment_id).await?;
    let account = account::open(gateway, row.merchant_id, row.account_id).await?;
    if account.ability("query-refund").is_none() {
        return Ok((
            Asked::NoAnswer(no_answer("the provider cannot be asked about a refund")),
            None,
        ));
    }
    let operation = Operation::QueryRefund(refunds::to_contract(row, &payment));
    let (subject, key) = (row.id.to_string(), row.reference.clone());
    let task = Task {
        account: &account,
        subject: &subject,
        key: &key,
        operation: &operation,
        state: Vec::new(),
        limit,
    };
    let ran = operation::run(gateway, &task).await?;
    let read = refunds::judge(&account, &payment, row, &ran);
    let told = read.as_ref().ok().map(|(told, _)| *told);
    Ok((note_refund(gateway, &account, row, &ran, &read).await?, told))
}

async fn note_refund(
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    ran: &Ran,
    read: &Result<(RefundTold, Particulars), Failure>,
) -> Flow<Asked<RefundRow>> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                match read {
                    Ok((told, particulars)) => {
                        let now = store::refunds::must(tx.sql(), row.merchant_id, row.id).await?;
                        let command = RefundCommand::Learn(*told);
                        let after =
                            learn::refund(tx, gateway, account, now, command, particulars).await?;
                        Ok(Asked::Answered(after))
                    }
                    Err(failure) => Ok(Asked::NoAnswer(failure.clone())),
                }
            })
        })
        .await
}

fn no_answer(message: &str) -> Failure {
    Failure {
        code: "no-answer".to_owned(),
        message: message.to_owned(),
        provider_code: None,
        provider_message: None,
    }
}

/// An amount as plugins see it.
pub(super) fn money(minor: i64, currency: tollgate_domain::money::Currency) -> contract::Money {
    contract::Money { minor, currency: currency.code().to_owned(), exponent: currency.exponent() }
}
