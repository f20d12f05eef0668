//! Starting a payment: a form that the payer's browser posts, or a number for the client library of an app.

use serde_json::json;
use tollgate_sdk::contract::requests::{NextAction, Outcome, PayRequest, Report, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, PaymentStatus};
use tollgate_sdk::{Keyring, facts, fault};

use crate::status::{Verdict, verdict};
use crate::{card, gateway, money, reply, times};

/// Where the payer's browser posts.
pub const FRONT: &str = "/gateway/api/frontTransReq.do";
/// Where an app's number is asked for.
pub const APP: &str = "/gateway/api/appTransReq.do";

/// Builds the form or the call.
///
/// # Errors
/// `invalid-request` for an amount, currency or reference that UnionPay does not take, or a method that is not one of its own;
/// `config` for a card without a certificate to seal it to.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &PayRequest) -> Result<Step, Fault> {
    if request.manual_capture {
        return Err(fault::unsupported("pre-authorisation is not offered"));
    }
    let channel = match request.payment.method.as_str() {
        "page" => "07",
        "wap" | "app" => "08",
        other => return Err(fault::invalid_request(format!("UnionPay has no method `{other}`"))),
    };
    let payment = &request.payment;
    let mut fields = gateway::fields(context, keys, ("01", "01"), gateway::PAYMENTS)?;
    for (name, value) in [
        ("channelType", channel),
        ("orderId", gateway::order_id(&payment.payment_ref)?),
        // A query has to name it again: it is made from what does not change.
        ("txnTime", &times::compact(payment.created_ms)),
        ("txnAmt", &money::fen(&payment.amount)?),
        ("currencyCode", money::CNY),
        ("backUrl", &request.notify_url),
        ("payTimeout", &times::compact(request.expires_ms)),
    ] {
        fields.put(name, value);
    }
    card::add(&mut fields, keys, &request.private_fields)?;
    if payment.method == "app" {
        return gateway::send(context, keys, "gateway", APP, fields);
    }
    fields.put("frontUrl", request.return_url.as_str());
    let form = gateway::page(context, keys, FRONT, fields)?;
    Ok(Step::Done(pending(request, NextAction::PostForm(form))))
}

fn pending(request: &PayRequest, action: NextAction) -> Outcome {
    Outcome::Report(Report {
        fact: facts::payment(PaymentStatus::Pending, &request.payment.payment_ref, ""),
        action,
        action_expires_ms: Some(request.expires_ms),
        // Until when the payer may try again: a refusal before that is none.
        keep: Some(request.expires_ms.to_string().into_bytes()),
    })
}

/// Reads the answer to an app's call. A refusal ends the payment: no payer ever had its number.
///
/// # Errors
/// See [`reply::read`]; `duplicate` if the order was made before.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &PayRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let fields = reply::read(context, keys, response)?;
    let ours = request.payment.payment_ref.as_str();
    if fields.get("orderId") != Some(ours) {
        return Err(fault::protocol("the answer is about another order").outcome_unknown());
    }
    let (code, message) = (fields.need("respCode")?, fields.get("respMsg").unwrap_or_default());
    match verdict(code) {
        Verdict::Done => {
            let tn = fields.need("tn").map_err(Fault::outcome_unknown)?;
            let parameters = json!({ "tn": tn }).to_string();
            Ok(pending(request, NextAction::ClientParameters(parameters)))
        }
        Verdict::Refused => {
            let mut fact = facts::payment(PaymentStatus::Failed, ours, code);
            fact.reason = Some(message.to_owned());
            Ok(facts::report(fact))
        }
        Verdict::Duplicate => {
            let mut fault = reply::fault_of(code, message).outcome_unknown();
            fault.code = "duplicate".to_owned();
            Err(fault)
        }
        Verdict::Unclear | Verdict::Absent | Verdict::Busy => Err(reply::fault_of(code, message)),
    }
}
