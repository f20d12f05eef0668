//! Disputes and chargebacks: told by a message, a bill or the provider when asked; one row for each, counted in its payment.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_domain::dispute::{self, Dispute, DisputeEffect, DisputeState, DisputeTold};
use tollgate_domain::ids::{BillId, DisputeId, MerchantId};
use tollgate_domain::payment::{PaymentCommand, PaymentState};
use tollgate_plugin::contract::{
    Dispute as Contested, DisputeNews, Fact, Operation, Outcome, Subject,
};

use super::account::Account;
use super::cases::{self, NewCase};
use super::learn::{self, Particulars};
use super::operation::{self, Ending, Task};
use super::query::{self, Asked};
use super::{Failure, Flow, FlowError, facts, payments};
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::disputes::{self, DisputeRow, Filter};
use crate::store::payments::PaymentRow;

/// What was told of a dispute.
#[derive(Clone, Debug)]
pub(super) struct News {
    /// The provider's reference, if it was told.
    pub reference: Option<String>,
    /// Where it stands, or that its money is gone.
    pub told: DisputeTold,
    /// What it is about, in minor units.
    pub minor: i64,
    /// Why, in the provider's words.
    pub reason: Option<String>,
    /// Until when the merchant may object.
    pub respond_by: Option<String>,
    /// The bill that told, and its line; none: a message did.
    pub bill: Option<(BillId, i64)>,
}

impl News {
    /// What the provider itself told, after it was checked.
    pub fn told(news: &DisputeNews, fact: &Fact, state: DisputeState, minor: i64) -> News {
        News {
            reference: Some(news.dispute_ref.clone()),
            told: DisputeTold::Stands(state),
            minor,
            reason: fact.reason.clone(),
            respond_by: news.respond_by.clone(),
            bill: None,
        }
    }
}

/// Asks the provider how a dispute stands that a message named, and learns that. True: it was new.
pub(super) async fn ask(
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    reference: &str,
    limit: Duration,
) -> Flow<Asked<bool>> {
    let (payment, dispute_ref) = (payments::to_contract(paid), reference.to_owned());
    let operation = &Operation::QueryDispute(Contested { payment, dispute_ref });
    let (subject, key) = (&paid.id.to_string(), &paid.reference);
    let (state, private) = (Vec::new(), None);
    let task = Task { account, subject, key, operation, state, limit, private };
    let ran = &operation::run(gateway, &task).await?;
    let read = &match &ran.ending {
        Ending::Done(Outcome::Report(report)) => judge(account, paid, &report.fact, reference),
        Ending::Done(_) => Err(query::no_answer("the plugin gave another operation's outcome")),
        Ending::Wait { .. } => Err(query::no_answer("the provider needs more time")),
        Ending::Failed { failure, .. } => Err(failure.clone()),
    };
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                ran.records.write(tx, gateway, account, subject).await?;
                Ok(match read {
                    Ok(news) => Asked::Answered(hear(tx, gateway, account, paid, news).await?),
                    Err(failure) => {
                        query::tell_of_mismatch(tx, gateway, account, paid, failure).await?;
                        Asked::NoAnswer(failure.clone())
                    }
                })
            })
        })
        .await
}

/// What an answer tells, if it is about this dispute and this payment: both have to be named.
fn judge(
    account: &Account,
    paid: &PaymentRow,
    fact: &Fact,
    reference: &str,
) -> Result<News, Failure> {
    let Subject::Dispute(news) = &fact.about else {
        return Err(query::no_answer("the plugin reported something else than the dispute"));
    };
    if news.dispute_ref != reference {
        return Err(query::no_answer("the answer is about another dispute"));
    }
    let told = match facts::names(paid, fact) {
        true => facts::of_dispute(account, paid, fact, news),
        false => Err(facts::unsaid("reference", &paid.reference)),
    };
    let (state, minor) = told.map_err(|mismatch| query::mismatched(&mismatch))?;
    Ok(News::told(news, fact, state, minor))
}

/// Learns what the provider told of a dispute over a payment, which may have changed since it was read. True: it was new.
pub(super) async fn hear(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    news: &News,
) -> Flow<bool> {
    let now = learn::payment_now(tx, paid).await?;
    if !learn(tx, gateway, account, &now, news).await? {
        return Ok(false);
    }
    if now.state != PaymentState::Succeeded {
        // Nobody contests what was never paid: we have missed it.
        learn::ask_about_payment(tx, gateway, paid, gateway.store.now()).await?;
    }
    Ok(true)
}

/// Learns of a dispute about a payment that was read in this transaction. Told by two ways, or twice, it is one.
/// True: that was new.
pub(super) async fn learn(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    news: &News,
) -> Flow<bool> {
    let Some(before) = find(tx, paid, news).await? else {
        return begin(tx, gateway, account, paid, news).await;
    };
    if before.payment_id != paid.id {
        let case = NewCase {
            kind: "mismatch",
            cause: format!("dispute_of_another_payment/{}/{}", before.id, paid.id),
            event: "notification.mismatch",
            payment: Some(paid),
            notification: None,
            data: json!({ "field": "dispute_reference", "ours": before.payment_id, "theirs": paid.id }),
        };
        cases::open(tx, gateway, account, &case).await?;
        return Ok(false);
    }
    tell_of_two_endings(tx, gateway, account, paid, &before, news).await?;
    let (after, effects) = before.rules().learn(news.told, gateway.store.now());
    let mut row = before.clone();
    (row.state, row.updated_at) = (after.state, after.changed);
    fill(&mut row.reference, &news.reference);
    fill(&mut row.reason, &news.reason);
    if news.respond_by.is_some() {
        row.respond_by.clone_from(&news.respond_by);
    }
    if let (None, Some((bill, line))) = (&row.bill_id, news.bill) {
        (row.bill_id, row.bill_line) = (Some(bill.to_string()), Some(line));
    }
    if row == before {
        return Ok(false);
    }
    disputes::update(tx.sql(), &row).await?;
    follow(tx, gateway, account, paid, &row, effects).await?;
    Ok(true)
}

fn fill(ours: &mut Option<String>, theirs: &Option<String>) {
    if ours.is_none() {
        ours.clone_from(theirs);
    }
}

/// The dispute that news are about: by its reference, or by its amount where a bill and a message each told of one
/// that the other has not told of yet.
async fn find(tx: &mut Tx<'_>, paid: &PaymentRow, news: &News) -> Flow<Option<DisputeRow>> {
    if let Some(reference) = &news.reference {
        let (merchant, account) = (paid.merchant_id, paid.account_id);
        let named = disputes::by_reference(tx.sql(), merchant, account, reference).await?;
        if named.is_some() {
            return Ok(named);
        }
    }
    let bill = news.bill.map(|(bill, _)| bill.to_string());
    let all = disputes::of_payment(tx.sql(), paid.merchant_id, paid.id).await?;
    Ok(all.into_iter().filter(|row| row.amount == news.minor).find(|row| match &bill {
        // A line that was compared before, or the first line about what a message told.
        Some(bill) => row.bill_id.as_ref().is_none_or(|known| known == bill),
        None => row.reference.is_none(),
    }))
}

async fn begin(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    news: &News,
) -> Flow<bool> {
    let now = gateway.store.now();
    let id: DisputeId = gateway.chance.id(now);
    let (dispute, effects) = Dispute::new(news.told, news.minor, now);
    let row = DisputeRow {
        merchant_id: paid.merchant_id,
        id,
        payment_id: paid.id,
        order_id: paid.order_id,
        account_id: paid.account_id,
        reference: news.reference.clone(),
        state: dispute.state,
        amount: news.minor,
        currency: paid.currency,
        reason: news.reason.clone(),
        respond_by: news.respond_by.clone(),
        source: if news.bill.is_some() { "bill" } else { "notification" }.to_owned(),
        bill_id: news.bill.map(|(bill, _)| bill.to_string()),
        bill_line: news.bill.map(|(_, line)| line),
        version: 1,
        created_at: now,
        updated_at: now,
    };
    disputes::insert(tx.sql(), &row).await?;
    follow(tx, gateway, account, paid, &row, effects).await?;
    Ok(true)
}

async fn follow(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    row: &DisputeRow,
    effects: Vec<DisputeEffect>,
) -> Flow<()> {
    for effect in effects {
        match effect {
            DisputeEffect::CountPayment => {
                let all = disputes::of_payment(tx.sql(), paid.merchant_id, paid.id).await?;
                let all: Vec<Dispute> = all.iter().map(DisputeRow::rules).collect();
                let (disputed, charged_back) = dispute::sums(&all);
                let now = learn::payment_now(tx, paid).await?;
                let command = PaymentCommand::Contest { disputed, charged_back };
                let none = Particulars::default();
                learn::payment(tx, gateway, account, now, command, &none).await?;
            }
            DisputeEffect::Announce(kind) => {
                let (merchant, order) = (row.merchant_id, Some(row.order_id));
                learn::announce(tx, gateway, merchant, order, kind, told(row)).await?;
            }
        }
    }
    Ok(())
}

/// A dispute that has ended cannot end another way: somebody has to look.
async fn tell_of_two_endings(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    before: &DisputeRow,
    news: &News,
) -> Flow<()> {
    let DisputeTold::Stands(state) = news.told else { return Ok(()) };
    if before.state.is_open() || state.is_open() || before.state == state {
        return Ok(());
    }
    let case = NewCase {
        kind: "dispute_endings",
        cause: format!("dispute_endings/{}", before.id),
        event: "dispute.conflict",
        payment: Some(paid),
        notification: None,
        data: json!({
            "dispute_id": before.id, "ours": before.state.as_str(), "theirs": state.as_str(),
        }),
    };
    cases::open(tx, gateway, account, &case).await
}

fn told(row: &DisputeRow) -> Value {
    json!({
        "dispute_id": row.id, "payment_id": row.payment_id, "order_id": row.order_id,
        "reference": row.reference, "state": row.state.as_str(), "amount": row.amount,
        "currency": row.currency, "reason": row.reason, "respond_by": row.respond_by,
    })
}

/// A merchant's dispute.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: DisputeId) -> Flow<DisputeRow> {
    let mut sql = gateway.store.read().await?;
    disputes::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("dispute"))
}

/// A merchant's disputes, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<DisputeRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(disputes::list(&mut sql, merchant, filter).await?)
}
