//! Pursuing a refund until it is known what became of it: sent if it never was, asked about if it may have been, and sent
//! again only where the provider says that a repeat does no harm.

use std::sync::Arc;

use tollgate_domain::ids::{MerchantId, RefundId};
use tollgate_domain::pursuit::{Promise, Step, when_absent};
use tollgate_domain::refund::{RefundCommand, RefundState, RefundTold};
use tollgate_domain::time::Moment;

use super::account::{self, Account};
use super::learn::{self, Particulars};
use super::query::{self, Asked};
use super::{Failure, Flow, FlowError, payments, refunds};
use crate::gateway::Gateway;
use crate::store;
use crate::store::refunds::RefundRow;

/// Takes a refund one step further.
pub async fn refund(
    gateway: &Gateway,
    merchant: MerchantId,
    id: RefundId,
) -> Flow<Asked<RefundRow>> {
    let row = refunds::get(gateway, merchant, id).await?;
    if row.state == RefundState::Succeeded {
        return Ok(Asked::Answered(row));
    }
    let account = account::open(gateway, merchant, row.account_id).await?;
    if row.state == RefundState::Failed {
        return doubted(gateway, &account, row).await;
    }
    let Some(sent) = row.sent_at.map(Moment) else {
        return first_sending(gateway, &account, &row).await;
    };
    let can_ask = account.ability("query-refund").is_some();
    let (asked, absent) = if can_ask {
        let limit = gateway.settings.call_limit;
        let (asked, told) = query::question_refund(gateway, &row, limit).await?;
        (asked, told == Some(RefundTold::NotFound))
    } else {
        let failure = query::no_answer("the provider cannot be asked about a refund");
        (Asked::NoAnswer(failure), true)
    };
    // What the provider took and cannot be asked about, a message or a bill tells.
    if !absent || (!can_ask && row.state == RefundState::Pending) {
        return Ok(asked);
    }
    match when_absent(&row.rules(), sent, gateway.store.now(), &promise(gateway, &account)) {
        Step::Wait => Ok(asked),
        Step::Repeat => send_again(gateway, &account, &row).await,
        Step::GiveUp => {
            let failure = query::no_answer("the provider never got it");
            let told = RefundCommand::Learn(RefundTold::Failed);
            conclude(gateway, &account, &row, told, Some(failure)).await
        }
        Step::Ask => conclude(gateway, &account, &row, RefundCommand::Strand, None).await,
    }
}

/// Asks about one that was called failed: a bill, say, shows it done.
async fn doubted(gateway: &Gateway, account: &Account, row: RefundRow) -> Flow<Asked<RefundRow>> {
    if account.ability("query-refund").is_none() {
        return Ok(Asked::Answered(row));
    }
    Ok(query::question_refund(gateway, &row, gateway.settings.call_limit).await?.0)
}

fn promise(gateway: &Gateway, account: &Account) -> Promise {
    let query = account.ability("query-refund");
    Promise {
        repeat_ms: account.ability("refund").and_then(|ability| ability.repeat_ms),
        absent_after_ms: query.and_then(|ability| ability.absent_after_ms),
        sending_ms: u64::try_from(gateway.settings.call_limit.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Sends what was never sent. That it is about to be is written first: who comes later asks before he sends.
async fn first_sending(
    gateway: &Gateway,
    account: &Arc<Account>,
    row: &RefundRow,
) -> Flow<Asked<RefundRow>> {
    let marked = gateway
        .store
        .write::<Option<RefundRow>, FlowError, _>(move |tx| {
            Box::pin(async move {
                let mut now = learn::refund_now(tx, row).await?;
                if now.sent_at.is_some() || !now.state.is_open() {
                    return Ok(None);
                }
                now.sent_at = Some(gateway.store.now().0);
                store::refunds::update(tx.sql(), &now).await?;
                Ok(Some(store::refunds::must(tx.sql(), row.merchant_id, row.id).await?))
            })
        })
        .await?;
    let Some(row) = marked else {
        // Another one is at it.
        return Ok(Asked::NoAnswer(query::no_answer("it is being sent")));
    };
    let payment = payments::get(gateway, row.merchant_id, row.payment_id).await?;
    Ok(Asked::Answered(refunds::send(gateway, account, &payment, &row).await?))
}

/// Sends again what may have been sent. That this sending comes to nothing cannot fail the first one; what the provider says of
/// the reference that both have is of both.
async fn send_again(
    gateway: &Gateway,
    account: &Arc<Account>,
    row: &RefundRow,
) -> Flow<Asked<RefundRow>> {
    let row = refunds::doubt(gateway, account, row).await?;
    if !row.state.is_open() {
        // It came to its end meanwhile.
        return Ok(Asked::Answered(row));
    }
    let payment = payments::get(gateway, row.merchant_id, row.payment_id).await?;
    Ok(Asked::Answered(refunds::send(gateway, account, &payment, &row).await?))
}

async fn conclude(
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
    command: RefundCommand,
    failure: Option<Failure>,
) -> Flow<Asked<RefundRow>> {
    let particulars = &Particulars { failure, ..Particulars::default() };
    let after = gateway
        .store
        .write::<RefundRow, FlowError, _>(move |tx| {
            Box::pin(async move {
                let now = learn::refund_now(tx, row).await?;
                learn::refund(tx, gateway, account, now, command, particulars).await
            })
        })
        .await?;
    Ok(Asked::Answered(after))
}
