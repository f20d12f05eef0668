//! What starting a payment came to: what the payer does next, or why there is nothing that he could do.

use serde::{Deserialize, Serialize};
use tollgate_domain::payment::PaymentCommand;
use tollgate_domain::time::Moment;
use tollgate_plugin::admit_action;
use tollgate_plugin::contract::{NextAction, Outcome, PaymentStatus, Report, Subject};
use tollgate_plugin::egress::Running;

use crate::flows::account::Account;
use crate::flows::learn::{self, Particulars};
use crate::flows::operation::{Ending, Ran};
use crate::flows::{Failure, Flow, facts};
use crate::gateway::Gateway;
use crate::store::payments::PaymentRow;

/// What the payer does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Nothing.
    None,
    /// Goes to an address.
    Redirect {
        /// Where.
        url: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// Posts a form.
    PostForm {
        /// Where.
        url: String,
        /// In which charset.
        charset: String,
        /// With what.
        fields: Vec<(String, String)>,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// Scans a code.
    QrCode {
        /// What is in it.
        content: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// Opens an app.
    DeepLink {
        /// By this address.
        url: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// Reads and does.
    Instructions {
        /// What.
        content: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
    /// The shop hands them to the provider's client library.
    ClientParameters {
        /// As that library takes them.
        content: String,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires_at: Option<Moment>,
    },
}

/// Writes what starting the payment came to, in one transaction with the record of what was sent.
pub(super) async fn conclude(
    gateway: &Gateway,
    account: &Account,
    row: &PaymentRow,
    ran: &Ran,
) -> Flow<PaymentRow> {
    let (command, particulars) = match &ran.ending {
        Ending::Done(Outcome::Report(report)) => match started(account, row, report)? {
            Ok(started) => started,
            Err(failure) => (unfit(ran), failure),
        },
        Ending::Done(Outcome::Bill(_) | Outcome::Keys(_)) => {
            (unfit(ran), failed("protocol", "the plugin gave another operation's outcome"))
        }
        // The provider is at it; the schedule asks until it says more.
        Ending::Wait { .. } => (PaymentCommand::Offer, Particulars::default()),
        Ending::Failed { failure, outcome_known } => {
            let command =
                if *outcome_known { PaymentCommand::Refuse } else { PaymentCommand::LoseSight };
            (command, Particulars { failure: Some(failure.clone()), ..Particulars::default() })
        }
    };
    let particulars = &particulars;
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let now = learn::payment_now(tx, row).await?;
                ran.records.write(tx, gateway, account, &row.id.to_string()).await?;
                learn::payment(tx, gateway, account, now, command, particulars).await
            })
        })
        .await
}

/// What an outcome that is of no use says of the payment: if nothing was sent, nobody but us ever heard of it.
fn unfit(ran: &Ran) -> PaymentCommand {
    if ran.sent { PaymentCommand::LoseSight } else { PaymentCommand::Refuse }
}

/// What a plugin's report of a payment that was just started comes to, or why it is of no use. It is never more than
/// pending: whether money moved is learnt from messages and queries.
fn started(
    account: &Account,
    row: &PaymentRow,
    report: &Report,
) -> Flow<Result<(PaymentCommand, Particulars), Particulars>> {
    let Subject::Payment(status) = report.fact.about else {
        return Ok(Err(failed("protocol", "the plugin reported something else")));
    };
    if let Err(mismatch) = facts::of_payment(account, row, &report.fact, status) {
        return Ok(Err(failed("mismatch", &mismatch.to_string())));
    }
    if matches!(status, PaymentStatus::Failed | PaymentStatus::Closed) {
        let failure = Some(facts::declined(&report.fact));
        let particulars = Particulars { failure, ..Particulars::default() };
        return Ok(Ok((PaymentCommand::Refuse, particulars)));
    }
    let next = match next(account, row, report)? {
        Ok(next) => next,
        Err(refusal) => return Ok(Err(failed("refused", &refusal))),
    };
    let particulars = Particulars {
        action: Some(next),
        kept: report.keep.clone(),
        provider_ref: report.fact.provider_ref.clone(),
        ..Particulars::default()
    };
    Ok(Ok((PaymentCommand::Offer, particulars)))
}

/// What the payer does next after a plugin's report, as it is kept; or why he may not be sent there.
pub(in crate::flows) fn next(
    account: &Account,
    row: &PaymentRow,
    report: &Report,
) -> Flow<Result<String, String>> {
    let running = Running { name: "pay", filling: None };
    let allowed = admit_action(account.plugin.manifest(), &account.grant, running, &report.action);
    if let Err(refusal) = allowed {
        tracing::warn!(payment = %row.id, %refusal, "the payer may not be sent there");
        return Ok(Err(refusal.to_string()));
    }
    let expires_at = report.action_expires_ms.map(Moment::from_millis);
    Ok(Ok(serde_json::to_string(&action(&report.action, expires_at))?))
}

fn action(next: &NextAction, expires_at: Option<Moment>) -> Action {
    match next.clone() {
        NextAction::None => Action::None,
        NextAction::Redirect(url) => Action::Redirect { url, expires_at },
        NextAction::PostForm(form) => Action::PostForm {
            url: form.url,
            charset: form.charset,
            fields: form.fields,
            expires_at,
        },
        NextAction::QrCode(content) => Action::QrCode { content, expires_at },
        NextAction::DeepLink(url) => Action::DeepLink { url, expires_at },
        NextAction::Instructions(content) => Action::Instructions { content, expires_at },
        NextAction::ClientParameters(content) => Action::ClientParameters { content, expires_at },
    }
}

fn failed(code: &str, message: &str) -> Particulars {
    let failure = Failure {
        code: code.to_owned(),
        message: message.to_owned(),
        provider_code: None,
        provider_message: None,
    };
    Particulars { failure: Some(failure), ..Particulars::default() }
}
