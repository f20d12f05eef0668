//! What a plugin made of a provider's words, checked against what we know before anybody believes it.

use tollgate_domain::checks::{Claim, Known, Mismatch};
use tollgate_domain::dispute::DisputeState;
use tollgate_domain::money::Money;
use tollgate_domain::payment::{PaymentCommand, PaymentState, Told};
use tollgate_domain::refund::{RefundCommand, RefundState, RefundTold};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{
    DisputeNews, Fact, PaymentStatus, RefundNews, RefundStatus, Subject,
};

use super::Failure;
use super::account::Account;
use super::learn::Particulars;
use crate::store::payments::PaymentRow;
use crate::store::refunds::RefundRow;

/// What a mismatch has for theirs where the message says nothing.
pub const NOT_SAID: &str = "not said";

/// What a fact says of a payment, if it is about this payment and agrees with all we know.
pub fn of_payment(
    account: &Account,
    row: &PaymentRow,
    fact: &Fact,
    status: PaymentStatus,
) -> Result<Told, Mismatch> {
    check(account, row, Money::new(row.amount, row.currency), fact)?;
    Ok(match status {
        PaymentStatus::Pending => Told::Pending,
        PaymentStatus::Approved => Told::Approved,
        PaymentStatus::Authorized => Told::Authorized,
        PaymentStatus::Succeeded => match &fact.amount {
            // Money of a payment that nobody named, or that nobody counted, is not believed.
            _ if !names(row, fact) => return Err(unsaid("reference", &row.reference)),
            Some(amount) => Told::Succeeded(amount.minor),
            None => return Err(unsaid("amount", &row.amount.to_string())),
        },
        PaymentStatus::Failed => Told::Failed,
        PaymentStatus::Closed => Told::Closed,
        PaymentStatus::Unknown => Told::Unknown,
        PaymentStatus::NotFound => Told::NotFound,
    })
}

/// What a fact says of a refund, if it is about this refund and agrees with all we know.
pub fn of_refund(
    account: &Account,
    payment: &PaymentRow,
    row: &RefundRow,
    fact: &Fact,
    news: &RefundNews,
) -> Result<RefundTold, Mismatch> {
    check(account, payment, Money::new(row.amount, row.currency), fact)?;
    if let Some(theirs) = news.refund_ref.as_ref().filter(|theirs| **theirs != row.reference) {
        let (field, ours) = ("refund_reference".to_owned(), row.reference.clone());
        return Err(Mismatch { field, ours, theirs: theirs.clone() });
    }
    let named = news.refund_ref.is_some()
        || (row.provider_ref.is_some() && news.provider_refund_ref == row.provider_ref);
    if news.status == RefundStatus::Succeeded && !named {
        return Err(unsaid("refund_reference", &row.reference));
    }
    Ok(match news.status {
        RefundStatus::Pending => RefundTold::Pending,
        RefundStatus::NeedsAction => RefundTold::NeedsAction,
        RefundStatus::Succeeded => RefundTold::Succeeded,
        RefundStatus::Failed => RefundTold::Failed,
        RefundStatus::Unknown => RefundTold::Unknown,
        RefundStatus::NotFound => RefundTold::NotFound,
    })
}

/// The amount of a dispute, or of a refund that we did not ask for, if the fact is about this payment: positive, of its
/// currency, and no more than the whole.
pub fn part_of(account: &Account, payment: &PaymentRow, fact: &Fact) -> Result<i64, Mismatch> {
    let Some(amount) = &fact.amount else { return Err(unsaid("amount", "")) };
    check(account, payment, Money::new(amount.minor, payment.currency), fact)?;
    if amount.minor <= 0 || amount.minor > payment.amount {
        let (ours, theirs) = (payment.amount.to_string(), amount.minor.to_string());
        return Err(Mismatch { field: "amount".to_owned(), ours, theirs });
    }
    Ok(amount.minor)
}

/// What a fact says of a dispute over this payment: where it stands, and about how much.
pub fn of_dispute(
    account: &Account,
    payment: &PaymentRow,
    fact: &Fact,
    news: &DisputeNews,
) -> Result<(DisputeState, i64), Mismatch> {
    let state = news.status.parse().map_err(|_| Mismatch {
        field: "dispute_state".to_owned(),
        ours: DisputeState::ALL.map(DisputeState::as_str).join(", "),
        theirs: news.status.clone(),
    })?;
    Ok((state, part_of(account, payment, fact)?))
}

/// What an answer about a payment comes to, `asked` being the row as it was before the question: a failure of what had
/// succeeded by then is a reversal; of anything else, it may be of an earlier try than the success.
pub fn payment_command(asked: &PaymentRow, told: Told) -> PaymentCommand {
    match told {
        Told::Failed if asked.state == PaymentState::Succeeded => {
            PaymentCommand::Reverse(asked.taken)
        }
        told => PaymentCommand::Learn(told),
    }
}

/// What an answer about a refund comes to, in the same way.
pub fn refund_command(asked: &RefundRow, told: RefundTold) -> RefundCommand {
    match told {
        RefundTold::Failed if asked.state == RefundState::Succeeded => RefundCommand::Reverse,
        told => RefundCommand::Learn(told),
    }
}

/// What goes into the row beside the state.
pub fn particulars(fact: &Fact) -> Particulars {
    let failed = match &fact.about {
        Subject::Payment(status) => matches!(status, PaymentStatus::Failed),
        Subject::Refund(news) => matches!(news.status, RefundStatus::Failed),
        Subject::Dispute(_) | Subject::Bill(_) | Subject::Other(_) => false,
    };
    Particulars {
        provider_ref: fact.provider_ref.clone(),
        at: fact.at.as_deref().and_then(|at| at.parse::<Moment>().ok()),
        failure: failed.then(|| declined(fact)),
        ..Particulars::default()
    }
}

/// Why the provider did not do it, in its own code and words.
pub fn declined(fact: &Fact) -> Failure {
    let code = Some(fact.raw_status.clone()).filter(|code| !code.is_empty());
    let message = fact.reason.clone().or_else(|| code.clone());
    Failure {
        code: "declined".to_owned(),
        message: message.unwrap_or_else(|| "the provider gives no reason".to_owned()),
        provider_code: code,
        provider_message: fact.reason.clone(),
    }
}

fn check(account: &Account, row: &PaymentRow, amount: Money, fact: &Fact) -> Result<(), Mismatch> {
    let known = Known {
        reference: &row.reference,
        provider_reference: row.provider_ref.as_deref(),
        amount,
        live: account.row.live == 1,
        settings: account.settings(),
    };
    known.check(&Claim {
        reference: fact.payment_ref.as_deref(),
        provider_reference: fact.provider_ref.as_deref(),
        amount: fact
            .amount
            .as_ref()
            .map(|money| (money.minor, money.currency.as_str(), money.exponent)),
        live: fact.live,
        seen: &fact.seen,
    })
}

/// Whether the fact says by a reference which payment it is about.
pub fn names(row: &PaymentRow, fact: &Fact) -> bool {
    fact.payment_ref.is_some() || (row.provider_ref.is_some() && fact.provider_ref.is_some())
}

/// What a fact should have said and did not.
pub fn unsaid(field: &str, ours: &str) -> Mismatch {
    Mismatch { field: field.to_owned(), ours: ours.to_owned(), theirs: NOT_SAID.to_owned() }
}
