//! What was learnt becomes state: the only place where a payment, a refund or an order changes.
//!
//! Each function runs in the caller's transaction and does all that belongs together: the row, the order that is
//! derived from it, the events, the jobs. The order is locked first; a row that changed before it was ours is stale,
//! and the write runs again.

use serde_json::{Value, json};
use tollgate_domain::ids::{MerchantId, OrderId};
use tollgate_domain::order::OrderEffect;
use tollgate_domain::payment::{
    Payment, PaymentCommand, PaymentEffect, PaymentRefusal, PaymentState, Told,
};
use tollgate_domain::refund::{RefundCommand, RefundEffect, RefundState};
use tollgate_domain::schedule::next_gap_ms;
use tollgate_domain::time::Moment;

use super::account::Account;
use super::{Failure, Flow, FlowError, deliveries};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::events::{self, NewEvent};
use crate::store::jobs::{self, NewJob};
use crate::store::orders::OrderRow;
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

/// Applies `command` to a payment that was read in this transaction, and everything that follows.
pub async fn payment(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    mut row: PaymentRow,
    command: PaymentCommand,
    particulars: &Particulars,
) -> Flow<PaymentRow> {
    orders::lock(tx.sql(), row.merchant_id, row.order_id).await?;
    let now = gateway.store.now();
    let (after, effects) = row.rules().apply(command, now).map_err(refused)?;
    let succeeded = after.taken > row.taken;
    row.take(after);
    if succeeded {
        row.succeeded_at = Some(particulars.at.unwrap_or(now).0);
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
    if let Some(failure) = &particulars.failure {
        row.failure = Some(serde_json::to_string(failure)?);
    } else if succeeded || particulars.action.is_some() {
        row.failure = None;
    }
    payments::update(tx.sql(), &row).await?;
    for effect in effects {
        match effect {
            PaymentEffect::Announce(kind) => {
                announce(tx, gateway, row.merchant_id, Some(row.order_id), kind, of_payment(&row))
                    .await?;
            }
            PaymentEffect::DeriveOrder => {
                derive_order(tx, gateway, row.merchant_id, row.order_id).await?;
                if succeeded {
                    tell_if_paid_twice(tx, gateway, &row).await?;
                }
            }
            PaymentEffect::KeepAsking => ask_again(tx, gateway, account, &row).await?,
        }
    }
    if !row.state.is_alive() && !may_be_paid_yet(&row) {
        jobs::cancel(tx.sql(), row.merchant_id, Kind::QueryPayment.as_str(), &row.id.to_string())
            .await?;
    }
    Ok(row)
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

/// Applies `command` to a refund that was read in this transaction, and everything that follows.
pub async fn refund(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    mut row: RefundRow,
    command: RefundCommand,
    particulars: &Particulars,
) -> Flow<RefundRow> {
    orders::lock(tx.sql(), row.merchant_id, row.order_id).await?;
    let now = gateway.store.now();
    let was_open = row.state.is_open();
    let (after, effects) = row.rules().apply(command, now);
    row.take(after);
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
        row.succeeded_at = Some(particulars.at.unwrap_or(now).0);
        row.failure = None;
    }
    refunds::update(tx.sql(), &row).await?;
    for effect in effects {
        match effect {
            RefundEffect::Announce(kind) => {
                announce(tx, gateway, row.merchant_id, Some(row.order_id), kind, of_refund(&row))
                    .await?;
            }
            RefundEffect::SettleReserve(minor) => {
                change_payment_of(tx, gateway, account, &row, PaymentCommand::Refund(minor))
                    .await?;
            }
            RefundEffect::ReleaseReserve(minor) => {
                change_payment_of(tx, gateway, account, &row, PaymentCommand::Release(minor))
                    .await?;
            }
            RefundEffect::SettleUnreserved(minor) => {
                settle_unreserved(tx, gateway, account, &row, minor).await?;
            }
            RefundEffect::KeepAsking => ask_refund_again(tx, gateway, account, &row).await?,
        }
    }
    if was_open && !row.state.is_open() {
        jobs::cancel(tx.sql(), row.merchant_id, Kind::QueryRefund.as_str(), &row.id.to_string())
            .await?;
    }
    Ok(row)
}

/// One attempt at a time may be alive, but one that was ended can be paid after all, beside the one that followed it.
/// Both took money, so somebody has to give one back.
async fn tell_if_paid_twice(tx: &mut Tx<'_>, gateway: &Gateway, row: &PaymentRow) -> Flow<()> {
    let attempts = payments::of_order(tx.sql(), row.merchant_id, row.order_id).await?;
    if attempts.iter().any(|other| other.id != row.id && other.taken > 0) {
        let (merchant, order) = (row.merchant_id, Some(row.order_id));
        announce(tx, gateway, merchant, order, "payment.duplicate_success", of_payment(row))
            .await?;
    }
    Ok(())
}

async fn change_payment_of(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    command: PaymentCommand,
) -> Flow<()> {
    let paid = payments::must(tx.sql(), row.merchant_id, row.payment_id).await?;
    payment(tx, gateway, account, paid, command, &Particulars::default()).await?;
    Ok(())
}

/// Books money that went back after its refund was called failed. If other refunds have taken its place, more went
/// back than came in: only people can mend that, so they are told.
async fn settle_unreserved(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    minor: i64,
) -> Flow<()> {
    let paid = payments::must(tx.sql(), row.merchant_id, row.payment_id).await?;
    if minor <= paid.rules().refundable() {
        return change_payment_of(
            tx,
            gateway,
            account,
            row,
            PaymentCommand::RefundUnreserved(minor),
        )
        .await;
    }
    announce(tx, gateway, row.merchant_id, Some(row.order_id), "refund.conflict", of_refund(row))
        .await
}

/// Makes the order what its payments make it, and tells the merchant if that is something new.
async fn derive_order(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    merchant: MerchantId,
    id: OrderId,
) -> Flow<()> {
    let row = orders::must(tx.sql(), merchant, id).await?;
    let attempts: Vec<Payment> =
        payments::of_order(tx.sql(), merchant, id).await?.iter().map(PaymentRow::rules).collect();
    let (after, effects) = row.rules().derive(&attempts);
    set_order(tx, gateway, &row, after.state, effects).await
}

/// Writes an order's new state and tells what follows.
pub async fn set_order(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &OrderRow,
    state: tollgate_domain::order::OrderState,
    effects: Vec<OrderEffect>,
) -> Flow<()> {
    if state != row.state {
        orders::set_state(tx.sql(), row, state, gateway.store.now()).await?;
        jobs::cancel(tx.sql(), row.merchant_id, Kind::EndOrder.as_str(), &row.id.to_string())
            .await?;
    }
    for OrderEffect::Announce(kind) in effects {
        announce(tx, gateway, row.merchant_id, Some(row.id), kind, of_order(row, state.as_str()))
            .await?;
    }
    Ok(())
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
    put_job(tx, gateway, row.merchant_id, Kind::QueryPayment, &row.id.to_string(), due).await
}

/// Puts the next question about a refund on the provider's schedule.
pub async fn ask_refund_again(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
) -> Flow<()> {
    let due = next_question(gateway, account, "query-refund", row.asked);
    put_job(tx, gateway, row.merchant_id, Kind::QueryRefund, &row.id.to_string(), due).await
}

/// When to ask next, `asked` being how often we have.
pub fn next_question(gateway: &Gateway, account: &Account, operation: &str, asked: i64) -> Moment {
    let gaps = account.ability(operation).map_or(&[][..], |ability| ability.schedule_ms.as_slice());
    gateway.store.now().plus_millis(next_gap_ms(gaps, asked))
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
    let now = gateway.store.now();
    let job =
        NewJob { id: gateway.chance.id(now), kind: kind.as_str(), subject, payload: "{}", due_at };
    jobs::put(tx.sql(), merchant, &job, now).await?;
    gateway.bell.notify_one();
    Ok(())
}

fn refused(refusal: PaymentRefusal) -> FlowError {
    FlowError::Conflict { code: "payment-state", detail: refusal.to_string() }
}

fn of_order(row: &OrderRow, state: &str) -> Value {
    json!({
        "order_id": row.id, "number": row.number, "state": state,
        "amount": row.amount, "currency": row.currency,
    })
}

fn of_payment(row: &PaymentRow) -> Value {
    json!({
        "payment_id": row.id, "order_id": row.order_id, "state": row.state.as_str(), "amount": row.amount,
        "currency": row.currency, "reference": row.reference, "provider_reference": row.provider_ref,
    })
}

fn of_refund(row: &RefundRow) -> Value {
    json!({
        "refund_id": row.id, "payment_id": row.payment_id, "order_id": row.order_id, "number": row.number,
        "state": row.state.as_str(), "amount": row.amount, "currency": row.currency,
    })
}
