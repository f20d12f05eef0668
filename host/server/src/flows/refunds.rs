//! Refunds: the amount is reserved in one guarded update before the provider is asked, and stays reserved until the
//! provider says what became of it.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::{MerchantId, PaymentId, RefundId};
use tollgate_domain::money::Money;
use tollgate_domain::payment::{PaymentCommand, PaymentRefusal};
use tollgate_domain::refund::{Origin, RefundCommand, RefundState, RefundTold};
use tollgate_plugin::contract::{self, Operation, Outcome, RefundRequest, Subject};

use super::account::{self, Account};
use super::give_back::OUR_NUMBERS;
use super::learn::{self, Particulars};
use super::operation::{self, Ending, Ran, Task};
use super::query::money;
use super::texts::one_line;
use super::{Failure, FieldError, Flow, FlowError, Made, facts, payments};
use crate::gateway::Gateway;
use crate::store;
use crate::store::payments::PaymentRow;
use crate::store::refunds::{self, Filter, RefundRow};

/// A refund as the merchant asks for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The merchant's own number, unique for the merchant.
    pub number: String,
    /// How much, in minor units of the payment's currency.
    pub amount: i64,
    /// Why, for the payer.
    #[serde(default)]
    pub reason: Option<String>,
    /// Somebody knows that the payment is in dispute, or was charged back, and wants it all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub despite_dispute: bool,
}

/// Reserves the amount, asks the provider, and says how it stands; the same number and request again gives the one
/// that is there.
pub async fn create(
    gateway: &Gateway,
    merchant: MerchantId,
    new: NewRefund,
) -> Flow<Made<RefundRow>> {
    check(&new)?;
    let payment =
        payments::get(gateway, merchant, new.payment_id).await.map_err(|error| match error {
            FlowError::NotFound(_) => FlowError::invalid("payment_id", "is no payment of yours"),
            other => other,
        })?;
    let account = account::open(gateway, merchant, payment.account_id).await?;
    if account.ability("refund").is_none() {
        let detail = "the provider takes no refunds".to_owned();
        return Err(FlowError::Conflict { code: "refund-unsupported", detail });
    }
    let made = reserve(gateway, &account, &payment, &new).await?;
    if !made.fresh {
        return Ok(made);
    }
    let row = send(gateway, &account, &payment, &made.row).await?;
    Ok(Made { row, fresh: true })
}

fn check(new: &NewRefund) -> Flow<()> {
    let mut errors = Vec::new();
    errors.extend(one_line("number", &new.number, 64));
    errors.extend(new.reason.as_deref().and_then(|reason| one_line("reason", reason, 200)));
    if let Some(ours) = OUR_NUMBERS.iter().find(|ours| new.number.starts_with(**ours)) {
        errors.push(FieldError::new("number", format!("must not start with {ours}")));
    }
    if errors.is_empty() { Ok(()) } else { Err(FlowError::Invalid(errors)) }
}

/// Writes the refund, its reserve and its first question, or gives the one that is there.
async fn reserve(
    gateway: &Gateway,
    account: &Account,
    payment: &PaymentRow,
    new: &NewRefund,
) -> Flow<Made<RefundRow>> {
    let amount = Money::positive(new.amount, payment.currency)
        .map_err(|error| FlowError::invalid("amount", error.to_string()))?;
    let now = gateway.store.now();
    let id: RefundId = gateway.chance.id(now);
    let row = RefundRow {
        number: new.number.clone(),
        reason: new.reason.clone(),
        fingerprint: hex::encode(digest(&SHA256, &serde_json::to_vec(new)?)),
        reference: id.reference(),
        // It is sent as soon as this is committed: whoever finds it later asks before he sends.
        sent_at: Some(now.0),
        ..RefundRow::blank(payment, id, amount.minor, Origin::Merchant, now)
    };
    let (row, merchant) = (&row, payment.merchant_id);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                store::orders::lock(tx.sql(), merchant, row.order_id).await?;
                if let Some(there) = refunds::by_number(tx.sql(), merchant, &row.number).await? {
                    if there.fingerprint == row.fingerprint {
                        return Ok(Made { row: there, fresh: false });
                    }
                    let detail =
                        format!("refund number {:?} was used for another refund", row.number);
                    return Err(FlowError::Conflict { code: "refund-number-used", detail });
                }
                let (id, despite) = (row.payment_id, new.despite_dispute);
                let sql = tx.sql();
                if !store::payments::reserve(sql, merchant, id, row.amount, despite, now).await? {
                    let current = store::payments::must(sql, merchant, id).await?;
                    return Err(why_not(&current, row.amount, despite));
                }
                refunds::insert(sql, row).await?;
                let (order, data) = (Some(row.order_id), learn::of_refund(row));
                learn::announce(tx, gateway, merchant, order, "refund.requested", data).await?;
                learn::ask_refund_again(tx, gateway, account, row).await?;
                Ok(Made { row: row.clone(), fresh: true })
            })
        })
        .await
}

/// Why the guarded update took nothing: the rule of the domain that it stands for.
fn why_not(payment: &PaymentRow, minor: i64, despite_dispute: bool) -> FlowError {
    let now = payment.updated_at;
    let command = match despite_dispute {
        true => PaymentCommand::ReserveDespiteDispute(minor),
        false => PaymentCommand::Reserve(minor),
    };
    match payment.rules().apply(command, now) {
        Err(PaymentRefusal::NotSucceeded) => FlowError::Conflict {
            code: "payment-not-succeeded",
            detail: PaymentRefusal::NotSucceeded.to_string(),
        },
        Err(PaymentRefusal::Disputed) => FlowError::Conflict {
            code: "payment-disputed",
            detail: PaymentRefusal::Disputed.to_string(),
        },
        _ => FlowError::Conflict {
            code: "refund-exceeds-payment",
            detail: format!(
                "{} asked, {} left to give back",
                Money::new(minor, payment.currency),
                Money::new(payment.rules().refundable(), payment.currency)
            ),
        },
    }
}

/// Notes that a refund may have been sent, so that no later sending can call it failed. Gives it as it is then: it may
/// have come to its end meanwhile.
pub(super) async fn doubt(
    gateway: &Gateway,
    account: &Account,
    row: &RefundRow,
) -> Flow<RefundRow> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::refund_now(tx, row).await?;
                let (lost, none) = (RefundCommand::LoseSight, Particulars::default());
                learn::refund(tx, gateway, account, now, lost, &none).await
            })
        })
        .await
}

/// Sends a refund whose amount is reserved, and writes what that came to.
pub(super) async fn send(
    gateway: &Gateway,
    account: &Account,
    payment: &PaymentRow,
    row: &RefundRow,
) -> Flow<RefundRow> {
    let operation = Operation::Refund(RefundRequest {
        refund: to_contract(row, payment),
        reason: row.reason.clone(),
        notify_url: format!("{}/notify/{}", gateway.settings.public_url, account.row.id),
    });
    let (subject, key) = (row.id.to_string(), row.reference.clone());
    let task = Task {
        account,
        subject: &subject,
        key: &key,
        operation: &operation,
        state: Vec::new(),
        limit: gateway.settings.call_limit,
        private: None,
    };
    let ran = operation::run(gateway, &task).await?;
    let sent = match (judge(account, payment, row, &ran), &ran.ending) {
        (Ok((told, particulars)), _) => Sent::Said(RefundCommand::Learn(told), particulars),
        (Err(failure), Ending::Failed { outcome_known: true, .. }) => {
            let particulars = Particulars { failure: Some(failure), ..Particulars::default() };
            // Nobody would ask again for what we wanted by ourselves: it stays to be sent.
            let waits = row.origin.is_automatic() && row.state == RefundState::Requested;
            if waits {
                Sent::NotYet(particulars)
            } else {
                Sent::Said(RefundCommand::Refuse, particulars)
            }
        }
        (Err(failure), _) => {
            let particulars = Particulars { failure: Some(failure), ..Particulars::default() };
            Sent::Said(RefundCommand::LoseSight, particulars)
        }
    };
    let (ran, sent) = (&ran, &sent);
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let mut now = learn::refund_now(tx, row).await?;
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                match sent {
                    Sent::Said(command, particulars) => {
                        learn::refund(tx, gateway, account, now, *command, particulars).await
                    }
                    Sent::NotYet(particulars) => {
                        if now.state == RefundState::Requested {
                            now.sent_at = None;
                            now.failure = as_json(particulars)?;
                            refunds::update(tx.sql(), &now).await?;
                        }
                        Ok(refunds::must(tx.sql(), row.merchant_id, row.id).await?)
                    }
                }
            })
        })
        .await
}

/// What sending a refund came to.
enum Sent {
    /// This is learnt of it.
    Said(RefundCommand, Particulars),
    /// It never left, and is to be sent later.
    NotYet(Particulars),
}

fn as_json(particulars: &Particulars) -> Flow<Option<String>> {
    Ok(particulars.failure.as_ref().map(serde_json::to_string).transpose()?)
}

/// Goes on with a refund that the provider needed time for.
pub(super) async fn after_wait(gateway: &Gateway, merchant: MerchantId, id: RefundId) -> Flow<()> {
    let row = get(gateway, merchant, id).await?;
    if !row.state.is_open() {
        return Ok(());
    }
    let payment = payments::get(gateway, merchant, row.payment_id).await?;
    let account = account::open(gateway, merchant, row.account_id).await?;
    send(gateway, &account, &payment, &row).await?;
    Ok(())
}

/// What an operation on a refund told of it, if that can be believed.
pub(super) fn judge(
    account: &Account,
    payment: &PaymentRow,
    row: &RefundRow,
    ran: &Ran,
) -> Result<(RefundTold, Particulars), Failure> {
    match &ran.ending {
        Ending::Done(Outcome::Report(report)) => {
            let Subject::Refund(news) = &report.fact.about else {
                return Err(unbelieved("the plugin reported something else than the refund"));
            };
            let told = facts::of_refund(account, payment, row, &report.fact, news)
                .map_err(|mismatch| unbelieved(&mismatch.to_string()))?;
            let particulars = Particulars {
                provider_ref: news.provider_refund_ref.clone(),
                kept: report.keep.clone(),
                ..facts::particulars(&report.fact)
            };
            Ok((told, particulars))
        }
        Ending::Done(_) => Err(unbelieved("the plugin gave another operation's outcome")),
        Ending::Wait { .. } => Ok((RefundTold::Pending, Particulars::default())),
        Ending::Failed { failure, .. } => Err(failure.clone()),
    }
}

fn unbelieved(message: &str) -> Failure {
    Failure {
        code: "mismatch".to_owned(),
        message: message.to_owned(),
        provider_code: None,
        provider_message: None,
    }
}

/// A refund as plugins see it.
pub(super) fn to_contract(row: &RefundRow, payment: &PaymentRow) -> contract::Refund {
    contract::Refund {
        payment: payments::to_contract(payment),
        refund_ref: row.reference.clone(),
        provider_refund_ref: row.provider_ref.clone(),
        amount: money(row.amount, row.currency),
        created_ms: row.created_at.millis(),
        kept: row.kept.clone(),
    }
}

/// A merchant's refund.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: RefundId) -> Flow<RefundRow> {
    let mut sql = gateway.store.read().await?;
    refunds::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("refund"))
}

/// A merchant's refunds, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<RefundRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(refunds::list(&mut sql, merchant, filter).await?)
}
