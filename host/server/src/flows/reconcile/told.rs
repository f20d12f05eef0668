//! What a bill tells of that happened without us: refunds made at the provider, chargebacks, reversals. Each becomes a
//! fact of its payment before the row is compared, and is the same fact where a message told of it before.

use tollgate_domain::dispute::DisputeTold;
use tollgate_domain::ids::RefundId;
use tollgate_domain::matching::{RowKind, RowStatus, StatementRow};
use tollgate_domain::payment::PaymentCommand;

use crate::flows::account::{self, Account};
use crate::flows::found::{self, Found, Named};
use crate::flows::learn::{self, Particulars};
use crate::flows::{Flow, FlowError, disputes};
use crate::gateway::Gateway;
use crate::store::Sql;
use crate::store::bills::BillRow;
use crate::store::payments::{self, PaymentRow};

/// What a row turned out to be.
pub(super) enum Told {
    /// Nothing that we can place.
    Nothing,
    /// A refund, which our records have now; with those that it is all or a part of, where only sums had told of it.
    Refund(Vec<RefundId>),
    /// A fact that is kept beside payments and refunds.
    Fact,
}

/// Learns of what a row tells, if it is about a payment of ours.
pub(super) async fn of(
    gateway: &Gateway,
    sql: &mut Sql,
    bill: &BillRow,
    row: &StatementRow,
) -> Flow<Told> {
    if row.status != RowStatus::Succeeded {
        return Ok(Told::Nothing);
    }
    let Some(paid) = payment_of(sql, bill, row).await? else { return Ok(Told::Nothing) };
    let minor = row.gross.minor.saturating_neg();
    if row.gross.currency != paid.currency || minor <= 0 || minor > paid.amount {
        return Ok(Told::Nothing);
    }
    let account = match account::open(gateway, bill.merchant_id, bill.account_id).await {
        Ok(account) => account,
        // Without its plugin nothing can follow from what is learnt: the row stays a difference until it is back.
        Err(FlowError::Unavailable(reason)) => {
            tracing::warn!(bill = %bill.id, reason, "a row of the bill is left alone");
            return Ok(Told::Nothing);
        }
        Err(error) => return Err(error),
    };
    match row.kind {
        RowKind::Refund => refund(gateway, &account, &paid, row, minor).await,
        RowKind::Chargeback => chargeback(gateway, &account, &paid, bill, row, minor).await,
        RowKind::Reversal => reversal(gateway, &account, &paid, row, minor).await,
        RowKind::Payment
        | RowKind::Fee
        | RowKind::Payout
        | RowKind::Adjustment
        | RowKind::Other => Ok(Told::Nothing),
    }
}

async fn payment_of(sql: &mut Sql, bill: &BillRow, row: &StatementRow) -> Flow<Option<PaymentRow>> {
    let (merchant, account) = (bill.merchant_id, bill.account_id);
    if let Some(ours) = &row.payment_ref {
        let found = payments::by_reference(sql, merchant, account, ours).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    let Some(theirs) = &row.provider_ref else { return Ok(None) };
    Ok(payments::by_provider_ref(sql, merchant, account, theirs).await?)
}

async fn refund(
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    row: &StatementRow,
    minor: i64,
) -> Flow<Told> {
    // Without a name it may be one of ours.
    let name = row.refund_ref.as_ref().or(row.provider_refund_ref.as_ref());
    let Some(name) = name else { return Ok(Told::Nothing) };
    let seen = &Named { name: name.clone(), minor, at: row.at };
    let found = gateway
        .store
        .write::<Found, FlowError, _>(move |tx| {
            Box::pin(async move { found::by_name(tx, gateway, account, paid, seen).await })
        })
        .await?;
    Ok(match found {
        Found::OfSums(sums) => Told::Refund(sums),
        Found::Known | Found::New => Told::Refund(Vec::new()),
        Found::PerhapsOurs | Found::TooEarly => Told::Nothing,
    })
}

async fn chargeback(
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    bill: &BillRow,
    row: &StatementRow,
    minor: i64,
) -> Flow<Told> {
    let line = i64::try_from(row.place.line).unwrap_or(i64::MAX);
    let news = &disputes::News {
        reference: row.provider_refund_ref.clone(),
        told: DisputeTold::Withdrawn,
        minor,
        reason: None,
        respond_by: None,
        bill: Some((bill.id, line)),
    };
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, paid).await?;
                disputes::learn(tx, gateway, account, &now, news).await?;
                Ok(())
            })
        })
        .await?;
    Ok(Told::Fact)
}

async fn reversal(
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    row: &StatementRow,
    minor: i64,
) -> Flow<Told> {
    let particulars = &Particulars { at: row.at, ..Particulars::default() };
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, paid).await?;
                let command = PaymentCommand::Reverse(minor);
                learn::payment(tx, gateway, account, now, command, particulars).await?;
                Ok(())
            })
        })
        .await?;
    Ok(Told::Fact)
}
