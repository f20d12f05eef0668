//! Disputes: a payer contests a payment, makes a claim of it, and somebody wins.
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::events::Notice;
use super::orders::{amount, utc};
use super::wire::{ApiError, Reply};
use super::{MERCHANT_ID, PayPal};
use crate::clock::later;
use crate::ledger::Trade;
use crate::provider::Denied;

/// So long the merchant has to answer.
const ANSWER_WITHIN: SignedDuration = SignedDuration::from_hours(10 * 24);

/// Where a dispute stands.
#[derive(Clone, Debug)]
pub struct Dispute {
    stage: &'static str,
    /// How it was decided; none while it is open.
    outcome: Option<&'static str>,
    made_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
}

impl Dispute {
    /// Whether the payer has the money back.
    pub fn is_lost(&self) -> bool {
        self.outcome == Some("RESOLVED_BUYER_FAVOUR")
    }

    fn status(&self) -> &'static str {
        match (self.outcome, self.stage) {
            (Some(_), _) => "RESOLVED",
            (None, "INQUIRY") => "OPEN",
            (None, _) => "WAITING_FOR_SELLER_RESPONSE",
        }
    }
}

/// PayPal's number of the one dispute that a payment can have here.
fn number(trade: &Trade) -> String {
    format!("PP-D-{}", trade.provider_reference)
}

/// The merchant's number of the payment that a dispute is over.
pub fn reference_of(paypal: &PayPal, id: &str) -> Option<String> {
    let capture = id.strip_prefix("PP-D-")?;
    paypal.book().ledger.reference_of(capture).map(str::to_owned)
}

/// A dispute as the API tells it.
pub fn object(paypal: &PayPal, trade: &Trade, dispute: &Dispute) -> Value {
    let whole = || amount(trade, trade.opening.amount);
    let mut json = json!({
        "dispute_id": number(trade), "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "status": dispute.status(), "dispute_life_cycle_stage": dispute.stage,
        "dispute_channel": "INTERNAL", "dispute_amount": whole(),
        "create_time": utc(dispute.made_at), "update_time": utc(dispute.changed_at),
        "disputed_transactions": [{
            "seller_transaction_id": trade.provider_reference, "gross_amount": whole(),
            "create_time": utc(trade.paid_at.unwrap_or(trade.prepared_at)),
            "custom": trade.opening.reference, "transaction_status": "COMPLETED",
            "seller": { "merchant_id": MERCHANT_ID },
        }],
        "links": [{
            "href": format!("{}/v1/customer/disputes/{}", paypal.base, number(trade)),
            "rel": "self", "method": "GET",
        }],
    });
    match dispute.outcome {
        Some(outcome) => json["dispute_outcome"] = json!({ "outcome_code": outcome }),
        None => {
            let due = later(dispute.made_at, ANSWER_WITHIN);
            json["seller_response_due_date"] = json!(utc(due));
        }
    }
    json
}

/// `dispute`: the payer complains to the merchant; `claim_dispute`: he takes it to PayPal; `lose_dispute`, `win_dispute` and
/// `cancel_dispute`: it ends, for the payer, for the merchant, or because the payer lets it be. None: it is another act.
pub fn act(paypal: &PayPal, trade: &Trade, act: &str) -> Option<Result<Notice, Denied>> {
    let (event, outcome) = match act {
        "dispute" => ("CREATED", None),
        "claim_dispute" => ("UPDATED", None),
        "lose_dispute" => ("RESOLVED", Some("RESOLVED_BUYER_FAVOUR")),
        "win_dispute" => ("RESOLVED", Some("RESOLVED_SELLER_FAVOUR")),
        "cancel_dispute" => ("RESOLVED", Some("CANCELED_BY_BUYER")),
        _ => return None,
    };
    let now = paypal.now();
    let reference = &trade.opening.reference;
    let before = paypal.desk().disputes.get(reference).cloned();
    let mut dispute = match (before, event) {
        (None, "CREATED") if trade.paid_at.is_some() => fresh(now),
        (Some(before), "UPDATED" | "RESOLVED") if before.outcome.is_none() => before,
        _ => return Some(Err(Denied::Conflict("there is nothing to contest or decide".into()))),
    };
    if event == "UPDATED" {
        dispute.stage = "CHARGEBACK";
    }
    (dispute.outcome, dispute.changed_at) = (outcome, now);
    paypal.desk().disputes.insert(reference.clone(), dispute.clone());
    Some(Ok(notice(paypal, trade, event, &dispute)))
}

fn fresh(now: Timestamp) -> Dispute {
    Dispute { stage: "INQUIRY", outcome: None, made_at: now, changed_at: now }
}

/// The webhook of a payment's dispute, as it stands; of one that nobody opened, a lie that PayPal signs.
pub fn told(paypal: &PayPal, trade: &Trade, event: &str) -> Notice {
    let dispute = paypal.desk().disputes.get(&trade.opening.reference).cloned();
    notice(paypal, trade, event, &dispute.unwrap_or_else(|| fresh(paypal.now())))
}

fn notice(paypal: &PayPal, trade: &Trade, event: &str, dispute: &Dispute) -> Notice {
    let kind = format!("CUSTOMER.DISPUTE.{event}");
    Notice::new(paypal, &kind, "dispute", object(paypal, trade, dispute))
}

/// `GET /v1/customer/disputes/{id}`
pub fn retrieve(paypal: &PayPal, id: &str) -> Reply {
    let reference = reference_of(paypal, id).ok_or_else(ApiError::missing)?;
    let dispute = paypal.desk().disputes.get(&reference).cloned();
    let dispute = dispute.ok_or_else(ApiError::missing)?;
    Ok((StatusCode::OK, object(paypal, &paypal.trade(&reference)?, &dispute)))
}
