//! The wire: signed forms out, signed forms in, and what a form says as a fact.

use tollgate_sdk::contract::requests::Step;
use tollgate_sdk::contract::signing::Keyring;
use tollgate_sdk::contract::types::{
    Body, Context, DisputeNews, Fact, Fault, Fields, HttpRequest, HttpResponse, Inbound, Money,
    PaymentStatus, RefundStatus, Subject, Value,
};
use tollgate_sdk::fault;
use tollgate_sdk::form::{self, Form};
use tollgate_sdk::keys::{Pick, sign_base64, verify_base64};

use crate::manifest::{OURS, SHOP, THEIRS};
use crate::refund_news;

const HMAC: &str = "hmac-sha256";
const SIGNATURE: &str = "signature";

/// A signed call.
pub fn call(
    context: &Context,
    keys: &Keyring,
    path: &str,
    pairs: &[(&str, &str)],
) -> Result<Step, Fault> {
    let shop = context.required_setting(SHOP)?;
    let body = form::encode([("shop", shop)].into_iter().chain(pairs.iter().copied()));
    let signature = sign_base64(keys, Pick::Slot(OURS), HMAC, body.clone())?;
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: format!("{}/{path}", context.origin("gateway")?),
        query: Vec::new(),
        headers: vec![(SIGNATURE.to_owned(), Value::Text(signature))],
        body: Body::Bytes(body.into_bytes()),
    };
    Ok(Step::Send((request, path.into())))
}

/// Whether the provider signed an answer. Anything else proves nothing.
pub fn check_answer(keys: &Keyring, response: &HttpResponse) -> Result<(), Fault> {
    if response.status != 200 {
        let words = format!("status {}", response.status);
        return Err(fault::unavailable(words).outcome_unknown().retry_after(1_000));
    }
    check(keys, &response.headers, &response.body).map_err(Fault::outcome_unknown)
}

/// Whether the provider signed a notice.
pub fn check_notice(keys: &Keyring, message: &Inbound) -> Result<(), Fault> {
    check(keys, &message.headers, &message.body)
}

fn check(keys: &Keyring, headers: &Fields, body: &[u8]) -> Result<(), Fault> {
    let signature = headers.iter().find(|(name, _)| name == SIGNATURE);
    let (_, signature) = signature.ok_or_else(|| fault::signature("it is not signed"))?;
    let text = core::str::from_utf8(body).map_err(|_| fault::protocol("no text"))?;
    if !verify_base64(keys, Pick::Slot(THEIRS), HMAC, text.to_owned(), signature)? {
        return Err(fault::signature("the signature does not hold"));
    }
    Ok(())
}

/// The form in a body.
pub fn form(body: &[u8]) -> Result<Form, Fault> {
    Form::parse(body).map_err(|error| fault::protocol(error.to_string()))
}

/// What a form says.
pub fn fact(form: &Form) -> Result<Fact, Fault> {
    let need = |name: &str| form.filled(name).ok_or_else(|| fault::protocol(name));
    let status = need("status")?;
    let about = match (form.filled("refund"), form.filled("dispute")) {
        (Some(ours), _) => refund_news(refund_status(status), Some(ours), form.filled("refund-id")),
        (None, Some(reference)) => Subject::Dispute(DisputeNews {
            dispute_ref: reference.to_owned(),
            status: status.to_owned(),
            respond_by: None,
        }),
        (None, None) => Subject::Payment(payment_status(status)),
    };
    let money = |name: &str| -> Result<Option<Money>, Fault> {
        let Some(minor) = form.filled(name) else { return Ok(None) };
        let minor = minor.parse().map_err(|_| fault::protocol(name))?;
        Ok(Some(Money { minor, currency: need("currency")?.to_owned(), exponent: 2 }))
    };
    Ok(Fact {
        payment_ref: form.filled("ref").map(str::to_owned),
        provider_ref: form.filled("id-there").map(str::to_owned),
        raw_status: status.to_owned(),
        reason: form.filled("reason").map(str::to_owned),
        amount: money("amount")?,
        refunded: money("refunded")?,
        at: form.filled("at").map(str::to_owned),
        seen: form
            .filled(SHOP)
            .map(|shop| (SHOP.to_owned(), shop.to_owned()))
            .into_iter()
            .collect(),
        ..bare(about)
    })
}

/// A fact that says nothing but what it is about.
pub fn bare(about: Subject) -> Fact {
    Fact {
        about,
        payment_ref: None,
        provider_ref: None,
        aliases: Vec::new(),
        raw_status: String::new(),
        reason: None,
        amount: None,
        refunded: None,
        at: None,
        live: None,
        seen: Fields::new(),
        extra: Fields::new(),
    }
}

fn payment_status(word: &str) -> PaymentStatus {
    match word {
        "pending" => PaymentStatus::Pending,
        "approved" => PaymentStatus::Approved,
        "succeeded" => PaymentStatus::Succeeded,
        "failed" => PaymentStatus::Failed,
        "closed" => PaymentStatus::Closed,
        "not-found" => PaymentStatus::NotFound,
        _ => PaymentStatus::Unknown,
    }
}

fn refund_status(word: &str) -> RefundStatus {
    match word {
        "pending" => RefundStatus::Pending,
        "needs-action" => RefundStatus::NeedsAction,
        "succeeded" => RefundStatus::Succeeded,
        "failed" => RefundStatus::Failed,
        "not-found" => RefundStatus::NotFound,
        _ => RefundStatus::Unknown,
    }
}
