//! Asking a provider: what became of a payment or a refund, and ending a payment that nobody paid.
//!
//! About one payment one question is asked at a time. Whoever comes while another one asks waits, reads the row
//! again, and asks only if that did not tell what it came for.

use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::checks::Mismatch;
use tollgate_domain::ids::{MerchantId, PaymentId, RefundId};
use tollgate_domain::order::{GRACE_MS, OrderState};
use tollgate_domain::payment::{PaymentCommand, PaymentState, Told};
use tollgate_domain::refund::{RefundState, RefundTold};
use tollgate_plugin::contract::{
    self, CompleteRequest, Fact, NextAction, Operation, Outcome, Report, Subject,
};

use super::account::{self, Account};
use super::cases::{self, NewCase};
use super::found::{self, Source};
use super::learn::{self, Particulars};
use super::operation::{self, Ending, Ran, Task};
use super::{Failure, Flow, FlowError, facts, payments, refunds, tries};
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::orders;
use crate::store::payments::{self as payment_rows, PaymentRow};
use crate::store::refunds::RefundRow;
use crate::store::tries::TryRow;

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
    Ok(question_payment(gateway, merchant, id, limit, enough).await?.0)
}

/// The same, and what the provider said, if it was asked and could be believed.
pub(super) async fn question_payment(
    gateway: &Gateway,
    merchant: MerchantId,
    id: PaymentId,
    limit: Duration,
    enough: impl Fn(&PaymentRow) -> bool + Send,
) -> Flow<(Asked<PaymentRow>, Option<Told>)> {
    let silent = |words: &str| Ok((Asked::NoAnswer(no_answer(words)), None));
    let Some(mut turn) = gateway.asking.turn(id, limit, gateway.store.clock()).await else {
        return silent("the provider does not answer");
    };
    let row = payments::get(gateway, merchant, id).await?;
    if enough(&row) {
        return Ok((Asked::Answered(row), None));
    }
    // The question that we waited for met with silence: another one now would keep our caller waiting as long again.
    if turn.waited && turn.silence.met {
        return silent("the provider does not answer");
    }
    let account = account::open(gateway, merchant, row.account_id).await?;
    if account.ability("query-payment").is_none() {
        return silent("the provider cannot be asked about a payment");
    }
    let operation = Operation::QueryPayment(payments::to_contract(&row));
    // Where nothing can be closed, time alone ends what the provider never saw.
    let ends = account.ability("close").is_none()
        && gateway.store.now() >= row.expires_at.plus_millis(GRACE_MS);
    let mut asked = ask(gateway, &account, &row, &operation, limit, ends).await?;
    // Only where this very answer says so: the row may remember an approval whose money is on its way.
    if let (Asked::Answered(row), Some(Told::Approved)) = &asked
        && is_to_be_taken(gateway, &account, row).await?
    {
        let payment = payments::to_contract(row);
        let operation = Operation::Complete(CompleteRequest { payment, returned: None });
        asked = ask(gateway, &account, &row.clone(), &operation, limit, false).await?;
    }
    turn.silence.met = matches!(asked.0, Asked::NoAnswer(_));
    Ok(asked)
}

/// Whether the payer has agreed and the money is still to be taken: not for an order that something else has paid or ended.
async fn is_to_be_taken(gateway: &Gateway, account: &Account, row: &PaymentRow) -> Flow<bool> {
    if row.state != PaymentState::Approved || account.ability("complete").is_none() {
        return Ok(false);
    }
    let mut sql = gateway.store.read().await?;
    let order = orders::must(&mut sql, row.merchant_id, row.order_id).await?;
    Ok(order.state == OrderState::Open)
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
        ask(gateway, &account, &row, &operation, limit, true).await?.0
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
    ends: bool,
) -> Flow<(Asked<PaymentRow>, Option<Told>)> {
    let (asked, told, missed) = ask_once(gateway, account, row, operation, limit, ends).await?;
    match (&asked, operation) {
        // Only the answer to a new question tells what that one could not.
        (Asked::Answered(now), Operation::QueryPayment(_)) if missed => {
            let (asked, told, _) = ask_once(gateway, account, now, operation, limit, ends).await?;
            Ok((asked, told))
        }
        _ => Ok((asked, told)),
    }
}

/// Asks, and says as well whether the answer told of more that went back and came too late to be taken for it.
async fn ask_once(
    gateway: &Gateway,
    account: &Arc<Account>,
    row: &PaymentRow,
    operation: &Operation,
    limit: Duration,
    ends: bool,
) -> Flow<(Asked<PaymentRow>, Option<Told>, bool)> {
    let (subject, key) = (row.id.to_string(), row.reference.clone());
    let (subject, key, state, private) = (&subject, &key, Vec::new(), None);
    let task = Task { account, subject, key, operation, state, limit, private };
    let spent = match operation {
        Operation::QueryPayment(_) => tries::spent(gateway, row.merchant_id, subject).await?,
        _ => Vec::new(),
    };
    let ran = operation::run(gateway, &task).await?;
    let read = match &ran.ending {
        Ending::Done(Outcome::Report(report)) => judge(account, row, report)?,
        Ending::Done(_) => Err(no_answer("the plugin gave another operation's outcome")),
        Ending::Wait { .. } => Err(no_answer("the provider needs more time")),
        Ending::Failed { failure, .. } => Err(failure.clone()),
    };
    let told = match &read {
        Ok((PaymentCommand::Learn(told), _, _)) => Some(*told),
        _ => None,
    };
    let (ran, read, row, spent) = (&ran, &read, row, &spent[..]);
    let (asked, missed) = gateway
        .store
        .write::<(Asked<PaymentRow>, bool), FlowError, _>(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, row).await?;
                let is_current = now.version == row.version;
                let source = if is_current { Source::Query } else { Source::OldQuery };
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                match read {
                    Ok((command, particulars, fact)) => {
                        let command = if ends { ended(*command, &now) } else { *command };
                        learn::payment(tx, gateway, account, now, command, particulars).await?;
                        let nothing =
                            |name: &str| told.is_some_and(|told| tries::did_nothing(name, told));
                        tries::renew(tx, row.merchant_id, subject, spent, nothing).await?;
                        found::sum(tx, gateway, account, row, fact, source).await?;
                        let after = learn::payment_now(tx, row).await?;
                        let sum = fact.refunded.as_ref().map_or(0, |sum| sum.minor);
                        let missed = !is_current && sum > after.refunded;
                        Ok((Asked::Answered(after), missed))
                    }
                    Err(failure) => {
                        tell_of_mismatch(tx, gateway, account, &now, failure).await?;
                        Ok((Asked::NoAnswer(failure.clone()), false))
                    }
                }
            })
        })
        .await?;
    Ok((asked, told, missed))
}

type Judged<'f> = Result<(PaymentCommand, Particulars, &'f Fact), Failure>;

fn judge<'f>(account: &Account, row: &PaymentRow, report: &'f Report) -> Flow<Judged<'f>> {
    let fact = &report.fact;
    let Subject::Payment(status) = &fact.about else {
        return Ok(Err(no_answer("the plugin reported something else than the payment")));
    };
    let told = match facts::of_payment(account, row, fact, *status) {
        Ok(told) => told,
        Err(mismatch) => {
            tracing::warn!(payment = %row.id, %mismatch, "the provider's answer disagrees with what we know");
            return Ok(Err(mismatched(&mismatch)));
        }
    };
    // The answer to its start was lost, and nobody was told how to pay.
    let is_news =
        row.action.is_none() && told == Told::Pending && !matches!(report.action, NextAction::None);
    let action = if is_news { payments::next(account, row, report)?.ok() } else { None };
    let command = facts::payment_command(row, told);
    let kept = report.keep.clone();
    Ok(Ok((command, Particulars { kept, action, ..facts::particulars(fact) }, fact)))
}

/// What an answer comes to that ends a payment: to a close, or to a question after its time. Nobody can pay what the provider has never seen, once we have ended it; if somebody
/// does, money wins. But its start may have arrived while the close was under way: then the answer is out of date.
fn ended(command: PaymentCommand, now: &PaymentRow) -> PaymentCommand {
    match command {
        PaymentCommand::Learn(Told::NotFound) if now.provider_ref.is_none() => {
            PaymentCommand::Learn(Told::Closed)
        }
        other => other,
    }
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

/// The same, and what the provider said.
pub(super) async fn question_refund(
    gateway: &Gateway,
    row: &RefundRow,
    limit: Duration,
) -> Flow<(Asked<RefundRow>, Option<RefundTold>)> {
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
        private: None,
    };
    let spent = tries::spent(gateway, row.merchant_id, &subject).await?;
    let ran = operation::run(gateway, &task).await?;
    let read = refunds::judge(&account, &payment, row, &ran);
    let told = read.as_ref().ok().map(|(told, _)| *told);
    Ok((note_refund(gateway, &account, row, &ran, &read, &spent).await?, told))
}

async fn note_refund(
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    ran: &Ran,
    read: &Result<(RefundTold, Particulars), Failure>,
    spent: &[TryRow],
) -> Flow<Asked<RefundRow>> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::refund_now(tx, row).await?;
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                match read {
                    // Its sending may still be under way: that it is not there proves nothing, not even that it was sent.
                    Ok((RefundTold::NotFound, _)) if now.state == RefundState::Requested => {
                        Ok(Asked::Answered(now))
                    }
                    Ok((told, particulars)) => {
                        let (merchant, subject) = (row.merchant_id, row.id.to_string());
                        let nothing = |_: &str| *told == RefundTold::NotFound;
                        tries::renew(tx, merchant, &subject, spent, nothing).await?;
                        let command = facts::refund_command(row, *told);
                        let after =
                            learn::refund(tx, gateway, account, now, command, particulars).await?;
                        Ok(Asked::Answered(after))
                    }
                    Err(failure) => {
                        let sql = tx.sql();
                        let paid = payment_rows::must(sql, row.merchant_id, row.payment_id).await?;
                        tell_of_mismatch(tx, gateway, account, &paid, failure).await?;
                        Ok(Asked::NoAnswer(failure.clone()))
                    }
                }
            })
        })
        .await
}

/// An answer that disagrees with what we know.
pub(super) fn mismatched(mismatch: &Mismatch) -> Failure {
    Failure { code: "mismatch".to_owned(), ..no_answer(&mismatch.to_string()) }
}

/// An answer that disagrees with what we know is not believed: somebody has to look.
pub(super) async fn tell_of_mismatch(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    failure: &Failure,
) -> Flow<()> {
    if failure.code != "mismatch" {
        return Ok(());
    }
    let case = NewCase {
        kind: "mismatch",
        cause: format!("answer/{}/{:.200}", paid.id, failure.message),
        event: "payment.conflict",
        payment: Some(paid),
        notification: None,
        data: serde_json::json!({ "reason": failure.message }),
    };
    cases::open(tx, gateway, account, &case).await
}

/// Why nothing is known.
pub(super) fn no_answer(message: &str) -> Failure {
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
