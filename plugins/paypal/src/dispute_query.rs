//! Asking how a dispute stands. A webhook says which one, and that is all that is taken from it: PayPal signs a checksum that
//! other bodies share.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{Outcome, Step};
use tollgate_sdk::contract::types::{
    Context, Dispute as Asked, DisputeNews, Fact, Fault, HttpResponse, Payment, Subject,
};
use tollgate_sdk::{facts, fault};

use crate::money::{self, Amount};
use crate::objects::Payee;
use crate::{gateway, reply};

/// Where a dispute is asked about; its number takes the place of the star.
pub const PATH: &str = "/v1/customer/disputes/*";

/// A dispute: in an answer, and as the resource of a webhook.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    dispute_id: String,
    /// OPEN, `WAITING_FOR_BUYER_RESPONSE`, `WAITING_FOR_SELLER_RESPONSE`, `UNDER_REVIEW`, RESOLVED or OTHER.
    status: String,
    /// INQUIRY, CHARGEBACK, `PRE_ARBITRATION` or ARBITRATION.
    dispute_life_cycle_stage: Option<String>,
    reason: Option<String>,
    dispute_amount: Option<Amount>,
    dispute_outcome: Option<Decision>,
    seller_response_due_date: Option<String>,
    update_time: Option<String>,
    /// One, unless a payer contests several purchases at once.
    #[serde(default)]
    disputed_transactions: Vec<Contested>,
}

#[derive(Debug, Deserialize)]
struct Decision {
    outcome_code: Option<String>,
}

/// A capture that is contested.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Contested {
    seller_transaction_id: Option<String>,
    /// Our payment reference, as the order had it.
    custom: Option<String>,
    gross_amount: Option<Amount>,
    seller: Option<Payee>,
}

impl Dispute {
    /// The contract's word for where it stands. An inquiry is between payer and merchant: nobody has claimed money yet. What
    /// the payer took back, and what PayPal paid out of its own pocket, was decided for nobody.
    fn state(&self) -> &'static str {
        if self.status != "RESOLVED" {
            return match self.dispute_life_cycle_stage.as_deref() {
                Some("INQUIRY") => "warned",
                _ => "opened",
            };
        }
        match self.outcome() {
            Some("RESOLVED_BUYER_FAVOUR" | "ACCEPTED") => "lost",
            Some("RESOLVED_SELLER_FAVOUR" | "DENIED") => "won",
            _ => "closed",
        }
    }

    fn outcome(&self) -> Option<&str> {
        self.dispute_outcome.as_ref()?.outcome_code.as_deref()
    }

    fn fact(&self, contested: Option<&Contested>) -> Fact {
        let about = Subject::Dispute(DisputeNews {
            dispute_ref: self.dispute_id.clone(),
            status: self.state().to_owned(),
            respond_by: self.seller_response_due_date.clone(),
        });
        let stage = self.dispute_life_cycle_stage.as_deref();
        let raw = [Some(self.status.as_str()), stage, self.outcome()];
        let raw = raw.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let ours = contested.and_then(|it| it.custom.as_deref()).filter(|text| !text.is_empty());
        let mut fact = facts::fact(about, ours, raw);
        fact.provider_ref = contested.and_then(|it| it.seller_transaction_id.clone());
        fact.reason = self.reason.clone();
        fact.at = self.update_time.clone();
        let seller = contested.and_then(|it| it.seller.as_ref()?.merchant_id.clone());
        fact.seen.extend(seller.map(|merchant| ("merchant_id".to_owned(), merchant)));
        fact
    }
}

/// Whether it can be a number of a dispute: it becomes part of an address.
fn is_number(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=255).contains(&id.len()) && id.bytes().all(fits)
}

/// What a webhook says: of which dispute to ask, and over which payment.
///
/// # Errors
/// `protocol` for a number that is none.
pub fn named(dispute: &Dispute) -> Result<Fact, Fault> {
    match is_number(&dispute.dispute_id) {
        true => Ok(dispute.fact(dispute.disputed_transactions.first())),
        false => Err(fault::protocol("`dispute_id` is not a number of a dispute")),
    }
}

/// Builds the question.
///
/// # Errors
/// `invalid-request` for a number that is none, `config` without an address.
pub fn build(context: &Context, asked: &Asked) -> Result<Step, Fault> {
    if !is_number(&asked.dispute_ref) {
        return Err(fault::invalid_request("not a number of a dispute"));
    }
    let path = PATH.replace('*', &asked.dispute_ref);
    Ok(Step::Send((gateway::get(context, &path, Vec::new())?, Vec::new())))
}

/// Reads the answer, of which the host checks that it is about this payment.
///
/// # Errors
/// See [`reply::read`]; `not-found` where PayPal knows no such dispute.
pub fn interpret(asked: &Asked, response: &HttpResponse) -> Result<Outcome, Fault> {
    let dispute: Dispute = match reply::read(response)? {
        Ok(dispute) => dispute,
        Err(refusal) if refusal.is_missing() => {
            let fault = fault::not_found("PayPal knows no such dispute");
            return Err(fault.said(refusal.word(), refusal.words()));
        }
        Err(refusal) => return Err(refusal.fault()),
    };
    let all = &dispute.disputed_transactions[..];
    let contested = all.iter().find(|it| is_of(it, &asked.payment)).or(all.first());
    let amount = match all {
        // Of several purchases, what this one was.
        [_, _, ..] => contested.and_then(|it| it.gross_amount.as_ref()),
        _ => dispute.dispute_amount.as_ref(),
    };
    let mut fact = dispute.fact(contested);
    fact.amount = amount.map(|amount| money::read("dispute_amount", amount)).transpose()?;
    Ok(facts::report(fact))
}

fn is_of(contested: &Contested, payment: &Payment) -> bool {
    contested.custom.as_deref() == Some(payment.payment_ref.as_str())
        || (payment.provider_ref.is_some()
            && contested.seller_transaction_id == payment.provider_ref)
}
