//! Money that went back without us: refunds that the merchant made at the provider, told by a sum, by name, or by a bill.
//!
//! Each becomes a refund of origin `provider`, once, whichever way tells first. A sum tells how much; what of it no refund
//! explains is one without a name, until something names it.

use tollgate_domain::ids::{MerchantId, PaymentId, RefundId};
use tollgate_domain::payment::{PaymentCommand, PaymentState};
use tollgate_domain::refund::{Origin, RefundCommand, RefundState};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::Fact;

use super::Flow;
use super::account::Account;
use super::give_back::OUR_NUMBERS;
use super::learn::{self, Particulars};
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::payments::{self, PaymentRow};
use crate::store::refunds::{self, RefundRow};

/// Who told a sum. A query outranks a message: where queries tell it, what messages say of it is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The provider's answer to a question.
    Query,
    /// The same, to a question that was asked before the payment changed: it may count a refund that has failed since.
    OldQuery,
    /// A message whose signature held.
    Message,
    /// A message that proves nothing: a reason to ask about the refunds that are open.
    Hint,
}

/// A refund that the provider calls by a name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// Its name: that of the request, or the provider's own.
    pub name: String,
    /// What went back, in minor units.
    pub minor: i64,
    /// When.
    pub at: Option<Moment>,
}

/// What a name turned out to be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A refund that we knew by it.
    Known,
    /// All or a part of these, which only sums had told of.
    OfSums(Vec<RefundId>),
    /// One that nobody had told of.
    New,
    /// Perhaps one of ours whose name there is not known yet: it is being asked about.
    PerhapsOurs,
    /// Of a payment that we do not know to have taken anything yet: it is being asked about.
    TooEarly,
}

/// Learns how much of a payment was given back so far, by whomever.
pub(super) async fn sum(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &PaymentRow,
    fact: &Fact,
    source: Source,
) -> Flow<()> {
    let Some(told) = &fact.refunded else { return Ok(()) };
    let is_ours = told.currency == row.currency.code() && told.exponent == row.currency.exponent();
    if !is_ours || told.minor < 0 {
        tracing::warn!(payment = %row.id, "the sum given back is in another currency, or none");
        return Ok(());
    }
    let mut now = learn::payment_now(tx, row).await?;
    let kept = match source {
        Source::Query => &mut now.refunded_asked,
        Source::OldQuery => return Ok(()),
        Source::Message => &mut now.refunded_told,
        Source::Hint => {
            if told.minor > now.refunded {
                ask_about_open(tx, gateway, &now).await?;
            }
            return Ok(());
        }
    };
    if kept.is_none_or(|known| known < told.minor) {
        *kept = Some(told.minor);
        payments::update(tx.sql(), &now).await?;
    }
    level(tx, gateway, account, row.merchant_id, row.id).await
}

/// Books what went back of a payment and no refund explains. While one of ours is open, it may be that one: then it is
/// asked about, and this is done again when it has ended.
pub(super) async fn level(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    merchant: MerchantId,
    payment: PaymentId,
) -> Flow<()> {
    let paid = payments::must(tx.sql(), merchant, payment).await?;
    let Some(there) = paid.refunded_asked.or(paid.refunded_told) else { return Ok(()) };
    let refunds = refunds::of_payment(tx.sql(), merchant, payment).await?;
    // What a name took from a sum is in the refund that has the name.
    let is_in_another = |refund: &RefundRow| {
        refund.provider_ref.is_none()
            && refund.origin == Origin::Provider
            && refund.reversed_at.is_some()
    };
    let is_done = |refund: &&RefundRow| refund.state == RefundState::Succeeded;
    let done = refunds.iter().filter(is_done).filter(|refund| !is_in_another(refund));
    let explained = done.fold(0i64, |sum, refund| sum.saturating_add(refund.amount));
    if paid.state != PaymentState::Succeeded || there <= explained {
        return Ok(());
    }
    if ask_about_open(tx, gateway, &paid).await? {
        return Ok(());
    }
    book(tx, gateway, account, &paid, there - explained, None, None).await
}

/// Forgets what was told of a sum once a refund that it may have counted has failed: the next sum, or the bill, tells anew.
pub(super) async fn forget(tx: &mut Tx<'_>, merchant: MerchantId, payment: PaymentId) -> Flow<()> {
    let mut paid = payments::must(tx.sql(), merchant, payment).await?;
    if paid.refunded_asked.is_some() || paid.refunded_told.is_some() {
        (paid.refunded_asked, paid.refunded_told) = (None, None);
        payments::update(tx.sql(), &paid).await?;
    }
    Ok(())
}

/// Takes into the sum what went back beyond the payment while a refund of ours held its place, once that one came to nothing.
pub(super) async fn fit(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    merchant: MerchantId,
    payment: PaymentId,
) -> Flow<()> {
    for mut refund in refunds::of_payment(tx.sql(), merchant, payment).await? {
        let is_in_no_sum = refund.beyond == 1 && refund.reversed_at.is_none();
        let paid = payments::must(tx.sql(), merchant, payment).await?;
        if is_in_no_sum && paid.rules().fits(refund.amount) {
            refund.beyond = 0;
            refund.updated_at = gateway.store.now();
            refunds::update(tx.sql(), &refund).await?;
            let command = PaymentCommand::RefundUnreserved(refund.amount);
            learn::payment(tx, gateway, account, paid, command, &Particulars::default()).await?;
        }
    }
    Ok(())
}

/// Makes the questions about a payment's open refunds due. False: there are none.
async fn ask_about_open(tx: &mut Tx<'_>, gateway: &Gateway, paid: &PaymentRow) -> Flow<bool> {
    let now = gateway.store.now();
    let mut any = false;
    for refund in refunds::of_payment(tx.sql(), paid.merchant_id, paid.id).await? {
        if refund.state.is_open() {
            learn::ask_about_refund(tx, gateway, &refund, now).await?;
            any = true;
        }
    }
    Ok(any)
}

/// Learns of a refund by its name.
pub(super) async fn by_name(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    row: &PaymentRow,
    seen: &Named,
) -> Flow<Found> {
    let paid = learn::payment_now(tx, row).await?;
    if paid.state != PaymentState::Succeeded {
        // Nothing goes back of what was never paid: we have missed that.
        learn::ask_about_payment(tx, gateway, &paid, gateway.store.now()).await?;
        return Ok(Found::TooEarly);
    }
    let all = refunds::of_payment(tx.sql(), paid.merchant_id, paid.id).await?;
    let is_it = |refund: &&RefundRow| {
        refund.reference == seen.name || refund.provider_ref.as_ref() == Some(&seen.name)
    };
    if all.iter().any(|refund| is_it(&refund)) {
        return Ok(Found::Known);
    }
    let may_be_ours = |refund: &RefundRow| {
        refund.state.is_open() && refund.provider_ref.is_none() && refund.amount == seen.minor
    };
    if all.iter().any(may_be_ours) && ask_about_open(tx, gateway, &paid).await? {
        return Ok(Found::PerhapsOurs);
    }
    let mut sums: Vec<RefundRow> = all.into_iter().filter(is_of_a_sum).collect();
    sums.sort_by_key(|sum| sum.amount);
    let Some(fits) = sums.iter().position(|sum| sum.amount >= seen.minor) else {
        return beyond_sums(tx, gateway, account, &paid, seen, sums).await;
    };
    let mut sum = sums.swap_remove(fits);
    let id = sum.id;
    if sum.amount == seen.minor {
        name(tx, gateway, &paid, &mut sum, seen).await?;
        return Ok(Found::OfSums(vec![id]));
    }
    // The sum was of several: this one gets a row of its own, and the rest waits for a name.
    sum.amount -= seen.minor;
    sum.updated_at = gateway.store.now();
    refunds::update(tx.sql(), &sum).await?;
    let mut part = done(gateway, &paid, seen.minor, seen.at);
    part.beyond = sum.beyond;
    part.reference = free_reference(tx, &paid, part.id, Some(&seen.name)).await?;
    part.provider_ref = Some(seen.name.clone());
    refunds::insert(tx.sql(), &part).await?;
    Ok(Found::OfSums(vec![id]))
}

/// Whether a refund stands for what only a sum has told of.
fn is_of_a_sum(refund: &RefundRow) -> bool {
    refund.origin == Origin::Provider
        && refund.provider_ref.is_none()
        && refund.reversed_at.is_none()
}

/// A refund larger than each that only a sum has told of: names that the sums did not hold have taken their place, so what is left
/// of them is of this one. What it is more is new.
async fn beyond_sums(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    seen: &Named,
    mut sums: Vec<RefundRow>,
) -> Flow<Found> {
    sums.retain(|sum| sum.beyond == 0);
    let largest = sums.pop().filter(|sum| paid.rules().fits(seen.minor - sum.amount));
    let Some(mut first) = largest else {
        book(tx, gateway, account, paid, seen.minor, Some(&seen.name), seen.at).await?;
        return Ok(Found::New);
    };
    let (mut ids, mut more) = (vec![first.id], seen.minor - first.amount);
    let mut wanting = more;
    while let Some(mut sum) = sums.pop().filter(|_| wanting > 0) {
        ids.push(sum.id);
        if sum.amount <= wanting {
            wanting -= sum.amount;
            let (undone, none) = (RefundCommand::Reverse, Particulars::default());
            learn::refund(tx, gateway, account, sum, undone, &none).await?;
        } else {
            sum.amount -= wanting;
            sum.updated_at = gateway.store.now();
            refunds::update(tx.sql(), &sum).await?;
            more -= std::mem::take(&mut wanting);
        }
    }
    first.amount = seen.minor;
    name(tx, gateway, paid, &mut first, seen).await?;
    if more > 0 {
        let now = learn::payment_now(tx, paid).await?;
        let (command, none) = (PaymentCommand::RefundUnreserved(more), Particulars::default());
        learn::payment(tx, gateway, account, now, command, &none).await?;
    }
    Ok(Found::OfSums(ids))
}

/// Gives a refund that only a sum had told of its name.
async fn name(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    paid: &PaymentRow,
    sum: &mut RefundRow,
    seen: &Named,
) -> Flow<()> {
    sum.reference = free_reference(tx, paid, sum.id, Some(&seen.name)).await?;
    sum.provider_ref = Some(seen.name.clone());
    sum.succeeded_at = seen.at.map(|at| at.0).or(sum.succeeded_at);
    sum.updated_at = gateway.store.now();
    Ok(refunds::update(tx.sql(), sum).await?)
}

/// Writes a refund that has happened, and what follows from it. What exceeds the payment is kept, and in no sum.
async fn book(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    minor: i64,
    name: Option<&str>,
    at: Option<Moment>,
) -> Flow<()> {
    let mut row = done(gateway, paid, minor, at);
    row.provider_ref = name.map(str::to_owned);
    row.reference = free_reference(tx, paid, row.id, name).await?;
    row.beyond = i64::from(!paid.rules().fits(minor));
    refunds::insert(tx.sql(), &row).await?;
    if row.beyond == 1 {
        learn::tell_beyond(tx, gateway, &row).await?;
    } else {
        let command = PaymentCommand::RefundUnreserved(minor);
        let none = Particulars::default();
        learn::payment(tx, gateway, account, paid.clone(), command, &none).await?;
    }
    let (merchant, order) = (row.merchant_id, Some(row.order_id));
    let data = learn::of_refund(&row);
    learn::announce(tx, gateway, merchant, order, "refund.succeeded", data).await
}

fn done(gateway: &Gateway, paid: &PaymentRow, minor: i64, at: Option<Moment>) -> RefundRow {
    let now = gateway.store.now();
    let id: RefundId = gateway.chance.id(now);
    RefundRow {
        number: format!("{}{id}", OUR_NUMBERS[1]),
        state: RefundState::Succeeded,
        succeeded_at: Some(at.unwrap_or(now).0),
        ..RefundRow::blank(paid, id, minor, Origin::Provider, now)
    }
}

/// The name by which a bill will call the refund, if no other refund of the account has it; else one of our own.
async fn free_reference(
    tx: &mut Tx<'_>,
    paid: &PaymentRow,
    id: RefundId,
    name: Option<&str>,
) -> Flow<String> {
    let Some(name) = name else { return Ok(id.reference()) };
    let (merchant, account) = (paid.merchant_id, paid.account_id);
    let taken = refunds::by_reference(tx.sql(), merchant, account, name).await?.is_some();
    Ok(if taken { id.reference() } else { name.to_owned() })
}
