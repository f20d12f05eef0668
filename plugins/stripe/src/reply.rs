//! Reading a reply: an object, or an error with a type and a code.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_sdk::contract::types::{Fault, HttpResponse};
use tollgate_sdk::fault;

/// Milliseconds after which a call that was not served is worth repeating.
const RETRY_MS: u32 = 2_000;

#[derive(Deserialize)]
struct Envelope {
    error: Refusal,
}

/// Why Stripe did not do what it was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    message: Option<String>,
    param: Option<String>,
    #[serde(skip)]
    status: u16,
}

impl Refusal {
    /// The word by which it is told: the code, or the type where there is none.
    pub fn word(&self) -> &str {
        self.code.as_deref().unwrap_or(&self.kind)
    }

    /// What it says, with the parameter that it names.
    pub fn words(&self) -> String {
        match &self.param {
            Some(param) => format!("{} ({param})", self.message.as_deref().unwrap_or_default()),
            None => self.message.clone().unwrap_or_default(),
        }
    }

    /// Whether nothing by that id is there.
    pub fn is_missing(&self) -> bool {
        self.word() == "resource_missing" || self.status == 404
    }

    /// Whether it settles the request: Stripe read it and will not do it.
    pub fn is_final(&self) -> bool {
        matches!(self.status, 400 | 402 | 404)
            && self.word() != "rate_limit"
            && matches!(self.kind.as_str(), "invalid_request_error" | "card_error")
    }

    /// The fault that a refusal stands for, where the caller knows no better.
    pub fn fault(&self) -> Fault {
        let said = |fault: Fault| fault.said(self.word(), self.words());
        match (self.status, self.word()) {
            (401 | 403, _) => said(fault::auth("Stripe does not permit the call")),
            (429, _) | (_, "rate_limit") => {
                said(fault::rate_limited("Stripe asks for fewer calls")).retry_after(RETRY_MS)
            }
            // The key was used for another request: what became of that one, nobody can say from here.
            (400, _) if self.kind == "idempotency_error" => {
                said(fault::protocol("the idempotency key was used otherwise")).outcome_unknown()
            }
            (400 | 402 | 404, _) => said(fault::invalid_request("Stripe refused the call")),
            _ => said(fault::unavailable("Stripe could not serve the call"))
                .retry_after(RETRY_MS)
                .outcome_unknown(),
        }
    }
}

/// The object of a reply, or the refusal.
///
/// # Errors
/// `protocol`, the outcome unknown, for a reply of another shape.
pub fn read<T: DeserializeOwned>(response: &HttpResponse) -> Result<Result<T, Refusal>, Fault> {
    if !(200..300).contains(&response.status) {
        let refusal = serde_json::from_slice::<Envelope>(&response.body)
            .map(|envelope| envelope.error)
            .unwrap_or_default();
        return Ok(Err(Refusal { status: response.status, ..refusal }));
    }
    serde_json::from_slice(&response.body)
        .map(Ok)
        .map_err(|error| fault::protocol(format!("reply: {error}")).outcome_unknown())
}
