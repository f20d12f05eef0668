//! What was learnt becomes state: the only place where the state of a payment, a refund or an order changes. Beside it,
//! `found` names refunds and keeps sums, `reconcile` marks what a bill has, and `refunds` notes when one is sent.
//!
//! Each function runs in the caller's transaction and does all that belongs together: the row, the order that is
//! derived from it, the events, the jobs. The order is locked first; a row that changed before it was ours is stale,
//! and the write runs again.

pub mod order;

use serde_json::{Value, json};
use tollgate_domain::ids::{AccountId, MerchantId, OrderId};
use tollgate_domain::order::Claim;
use tollgate_domain::payment::{PaymentCommand, PaymentEffect, PaymentRefusal, PaymentState, Told};
use tollgate_domain::refund::{Origin, RefundCommand, RefundEffect, RefundState};
use tollgate_domain::schedule::{next_gap_ms, spread_ms};
use tollgate_domain::time::Moment;

use super::account::Account;
use super::{Failure, Flow, FlowError, deliveries, found, give_back};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::events::{self, NewEvent};
use crate::store::jobs::{self, NewJob};
use crate::store::payments::PaymentRow;
use crate::store::refunds::RefundRow;
use crate::store::{Tx, orders, payments, refunds};

/// What came with a command: none leaves a column as it is.
#[derive(Clone, Debug, Default)]
pub struct Particulars {
    /// The provider's reference.
    pub provider_ref: Option<String>,
    /// What the plugin wants back.
    pub kept: Option<Vec<u8>>,
    /// JSON of what the payer does next.
    pub action: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it happened, by the provider's clock.
    pub at: Option<Moment>,
}

/// A payment as it is now, its order locked: what is decided about the two holds until the commit.
pub async fn payment_now(tx: &mut Tx<'_>, row: &PaymentRow) -> Flow<PaymentRow> {
    orders::lock(tx.sql(), row.merchant_id, row.order_id).await?;
    Ok(payments::must(tx.sql(), row.merchant_id, row.id).await?)
}

/// A refund as it is now, its order locked.
pub async fn refund_now(tx: &mut Tx<'_>, row: &RefundRow) -> Flow<RefundRow> {
    orders::lock(tx.sql(), row.merchant_id, row.order_id).await?;
    Ok(refunds::must(tx.sql(), row.merchant_id, row.id).await?)
}

/// Applies `command` to a payment that was read in this transaction, and everything that follows. Gives it as it is
/// then.
pub async fn payment(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    mut row: PaymentRow,
    command: PaymentCommand,
    particulars: &Particulars,
) -> Flow<PaymentRow> {
    let now = gateway.store.now();
    let before = row.clone();
    let (after, effects) = row.rules().apply(command, now).map_err(refused)?;
    row.take(after);
    note(&mut row, &before, command, particulars, now)?;
    let claim = if effects.contains(&PaymentEffect::ClaimOrder) {
        let claim = order::claim(tx, &row).await?;
        row.allocated = i64::from(matches!(claim, Claim::Counted { .. }));
        row.late = i64::from(matches!(claim, Claim::Counted { late: true } | Claim::Late));
        Some(claim)
    } else {
        None
    };
    if row != before {
        payments::update(tx.sql(), &row).await?;
    }
    for effect in effects {
        match effect {
            PaymentEffect::Announce(kind) => {
                announce(tx, gateway, row.merchant_id, Some(row.order_id), kind, of_payment(&row))
                    .await?;
            }
            PaymentEffect::ClaimOrder => match claim {
                Some(Claim::Duplicate) => {
                    give_back::whole(tx, gateway, account, &row, Origin::Duplicate).await?;
                }
                Some(Claim::Late) => {
                    give_back::whole(tx, gateway, account, &row, Origin::Late).await?;
                }
                Some(Claim::Counted { .. }) | None => order::derive(tx, gateway, &row).await?,
            },
            PaymentEffect::DeriveOrder => order::derive(tx, gateway, &row).await?,
            PaymentEffect::KeepAsking => ask_again(tx, gateway, account, &row).await?,
        }
    }
    if !row.state.is_alive() && !may_be_paid_yet(&row) {
        settle_job(tx, gateway, row.merchant_id, Kind::QueryPayment, &row.id.to_string()).await?;
    }
    Ok(payments::must(tx.sql(), row.merchant_id, row.id).await?)
}

/// Writes into the row what came with a command.
fn note(
    row: &mut PaymentRow,
    before: &PaymentRow,
    command: PaymentCommand,
    particulars: &Particulars,
    now: Moment,
) -> Flow<()> {
    let at = particulars.at.unwrap_or(now).0;
    let succeeded = row.taken > before.taken;
    if succeeded {
        row.succeeded_at = Some(at);
    }
    if row.reversed > before.reversed {
        row.reversed_at = Some(at);
    }
    if row.provider_ref.is_none() && (row.state != PaymentState::Closed || ends(command)) {
        row.provider_ref.clone_from(&particulars.provider_ref);
    }
    if let Some(kept) = &particulars.kept {
        row.kept.clone_from(kept);
    }
    // Nobody is sent to pay what was ended while it was being offered.
    if particulars.action.is_some() && row.state.is_alive() {
        row.action.clone_from(&particulars.action);
    }
    // A card that is sealed in it is there to be paid with: once that is over, PCI DSS 3.3.1 wants no code kept, encrypted or not.
    if !row.state.is_alive() && super::payments::brought_private_fields(row)? {
        row.action = None;
    }
    if let Some(failure) = &particulars.failure {
        row.failure = Some(serde_json::to_string(failure)?);
    } else if succeeded || particulars.action.is_some() {
        row.failure = None;
    }
    Ok(())
}

/// Whether a command says how a payment ended, so that nothing more can come of it.
fn ends(command: PaymentCommand) -> bool {
    let told = match command {
        PaymentCommand::Learn(told) => told,
        _ => return false,
    };
    matches!(told, Told::Succeeded(_) | Told::Failed | Told::Closed)
}

/// Whether a payment that we ended may be paid all the same: the provider had never seen it, so nobody but its expiry
/// keeps the payer, who may hold its code or page, from paying. It is asked about until then. What shows it is the
/// provider's reference, which such a payment gets only with the provider's word on how it ended: a start that was
/// under way while it was closed may have arrived since.
pub fn may_be_paid_yet(row: &PaymentRow) -> bool {
    row.state == PaymentState::Closed && row.provider_ref.is_none()
}

/// Applies `command` to a refund that was read in this transaction, and everything that follows. Gives it as it is
/// then.
pub async fn refund(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    mut row: RefundRow,
    command: RefundCommand,
    particulars: &Particulars,
) -> Flow<RefundRow> {
    let now = gateway.store.now();
    let before = row.clone();
    let (after, effects) = row.rules().apply(command, now);
    let at = particulars.at.unwrap_or(now);
    row.take(after, at);
    if row.provider_ref.is_none() {
        row.provider_ref.clone_from(&particulars.provider_ref);
    }
    if let Some(kept) = &particulars.kept {
        row.kept.clone_from(kept);
    }
    if let Some(failure) = &particulars.failure {
        row.failure = Some(serde_json::to_string(failure)?);
    }
    if row.state == RefundState::Succeeded && row.succeeded_at.is_none() {
        row.succeeded_at = Some(at.0);
        row.failure = None;
    }
    if effects.contains(&RefundEffect::SettleUnreserved(row.amount)) {
        // Other refunds may have taken its place: then more went back than came in.
        let paid = payments::must(tx.sql(), row.merchant_id, row.payment_id).await?;
        row.beyond = i64::from(!paid.rules().fits(row.amount));
    }
    if row != before {
        refunds::update(tx.sql(), &row).await?;
    }
    for effect in effects {
        follow(tx, gateway, account, &row, effect).await?;
    }
    if before.state.is_open() && !row.state.is_open() {
        settle_job(tx, gateway, row.merchant_id, Kind::QueryRefund, &row.id.to_string()).await?;
        if row.state == RefundState::Failed {
            found::forget(tx, row.merchant_id, row.payment_id).await?;
            found::fit(tx, gateway, account, row.merchant_id, row.payment_id).await?;
            give_back::failed(tx, gateway, account, &row).await?;
        } else {
            found::level(tx, gateway, account, row.merchant_id, row.payment_id).await?;
        }
    }
    if row.reversed_at.is_some() && before.reversed_at.is_none() {
        found::fit(tx, gateway, account, row.merchant_id, row.payment_id).await?;
        give_back::failed(tx, gateway, account, &row).await?;
    }
    Ok(refunds::must(tx.sql(), row.merchant_id, row.id).await?)
}

/// One of the things that follow a change of a refund.
async fn follow(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    effect: RefundEffect,
) -> Flow<()> {
    let command = match effect {
        RefundEffect::Announce(kind) => {
            let (merchant, order) = (row.merchant_id, Some(row.order_id));
            return announce(tx, gateway, merchant, order, kind, of_refund(row)).await;
        }
        RefundEffect::KeepAsking => return ask_refund_again(tx, gateway, account, row).await,
        RefundEffect::SettleReserve(minor) => PaymentCommand::Refund(minor),
        RefundEffect::ReleaseReserve(minor) => PaymentCommand::Release(minor),
        RefundEffect::SettleUnreserved(_) if row.beyond == 1 => {
            return tell_beyond(tx, gateway, row).await;
        }
        RefundEffect::SettleUnreserved(minor) => PaymentCommand::RefundUnreserved(minor),
        // What is in no sum is taken out of none.
        RefundEffect::TakeBack(_) if row.beyond == 1 => return Ok(()),
        RefundEffect::TakeBack(minor) => PaymentCommand::ReverseRefund(minor),
    };
    let paid = payments::must(tx.sql(), row.merchant_id, row.payment_id).await?;
    payment(tx, gateway, account, paid, command, &Particulars::default()).await?;
    Ok(())
}

/// More went back than came in: only people can mend that.
pub(super) async fn tell_beyond(tx: &mut Tx<'_>, gateway: &Gateway, row: &RefundRow) -> Flow<()> {
    let (merchant, order) = (row.merchant_id, Some(row.order_id));
    announce(tx, gateway, merchant, order, "refund.conflict", of_refund(row)).await
}

/// Writes an event, and a delivery of it for each endpoint that wants to hear of it.
pub async fn announce(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    order: Option<OrderId>,
    kind: &str,
    data: Value,
) -> Flow<()> {
    let now = gateway.store.now();
    let event = NewEvent { id: gateway.chance.id(now), order, kind, data };
    events::insert(tx.sql(), merchant, &event, now).await?;
    deliveries::enqueue(tx, gateway, merchant, (event.id, kind)).await
}

/// Puts the next question about a payment on the provider's schedule.
pub async fn ask_again(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &PaymentRow,
) -> Flow<()> {
    let due = next_question(gateway, account, "query-payment", row.asked);
    ask_about_payment(tx, gateway, row, due).await
}

/// Puts the next question about a refund on the provider's schedule.
pub async fn ask_refund_again(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
) -> Flow<()> {
    let due = next_question(gateway, account, "query-refund", row.asked);
    ask_about_refund(tx, gateway, row, due).await
}

/// Asks about a payment at that time, or sooner if that was planned.
pub async fn ask_about_payment(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &PaymentRow,
    due: Moment,
) -> Flow<()> {
    let (merchant, account, id) = (row.merchant_id, row.account_id, row.id.to_string());
    put_job_about(tx, gateway, merchant, account, Kind::QueryPayment, &id, due).await
}

/// Asks about a refund at that time, or sooner if that was planned.
pub async fn ask_about_refund(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &RefundRow,
    due: Moment,
) -> Flow<()> {
    let (merchant, account, id) = (row.merchant_id, row.account_id, row.id.to_string());
    put_job_about(tx, gateway, merchant, account, Kind::QueryRefund, &id, due).await
}

/// When to ask next, `asked` being how often we have: by the provider's schedule, a little spread.
pub fn next_question(gateway: &Gateway, account: &Account, operation: &str, asked: i64) -> Moment {
    let gaps = account.ability(operation).map_or(&[][..], |ability| ability.schedule_ms.as_slice());
    let gap = spread_ms(next_gap_ms(gaps, asked), gateway.chance.draw());
    gateway.store.now().plus_millis(gap)
}

/// Writes a job of which there is one for each subject; one that is there is brought forward, never back.
pub async fn put_job(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    kind: Kind,
    subject: &str,
    due_at: Moment,
) -> Flow<()> {
    put_in_line(tx, gateway, merchant, "", kind, subject, due_at).await
}

/// As [`put_job`], of what is about an account: it stands in that account's line, and waits while its provider does
/// not answer.
pub async fn put_job_about(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    account: AccountId,
    kind: Kind,
    subject: &str,
    due_at: Moment,
) -> Flow<()> {
    put_in_line(tx, gateway, merchant, &account.to_string(), kind, subject, due_at).await
}

async fn put_in_line(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    key: &str,
    kind: Kind,
    subject: &str,
    due_at: Moment,
) -> Flow<()> {
    let now = gateway.store.now();
    let (id, queue) = (gateway.chance.id(now), kind.lane().line(key));
    let (kind, queue) = (kind.as_str(), queue.as_str());
    let job = NewJob { id, kind, subject, payload: "{}", queue, due_at };
    jobs::put(tx.sql(), merchant, &job, now).await?;
    gateway.bell.ring_for(due_at, now);
    Ok(())
}

/// Ends a subject's job of a kind: there is nothing left to do.
pub(super) async fn settle_job(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    kind: Kind,
    subject: &str,
) -> Flow<()> {
    let now = gateway.store.now();
    Ok(jobs::cancel(tx.sql(), merchant, kind.as_str(), subject, now).await?)
}

fn refused(refusal: PaymentRefusal) -> FlowError {
    FlowError::Conflict { code: "payment-state", detail: refusal.to_string() }
}

/// What an event says of a payment.
pub(super) fn of_payment(row: &PaymentRow) -> Value {
    json!({
        "payment_id": row.id, "order_id": row.order_id, "state": row.state.as_str(), "amount": row.amount,
        "currency": row.currency, "reference": row.reference, "provider_reference": row.provider_ref,
        "allocated": row.allocated == 1, "late": row.late == 1, "reversed": row.reversed,
    })
}

/// What an event says of a refund.
pub(super) fn of_refund(row: &RefundRow) -> Value {
    json!({
        "refund_id": row.id, "payment_id": row.payment_id, "order_id": row.order_id, "number": row.number,
        "state": row.state.as_str(), "amount": row.amount, "currency": row.currency,
        "origin": row.origin.as_str(), "reversed": row.reversed_at.is_some(),
    })
}
