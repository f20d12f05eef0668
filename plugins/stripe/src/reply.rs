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

    /// Whether Stripe keeps it and gives it again to whatever comes under the same key: so it does with an error of its own. What
    /// a gateway in front of it says is kept nowhere, and a call that another one is in the way of may yet be done.
    fn is_kept(&self) -> bool {
        self.status == 500 && self.kind == "api_error"
    }

    /// The fault that a refusal stands for, where the caller knows no better.
    pub fn fault(&self) -> Fault {
        self.fault_settled(0)
    }

    /// The same, of a call after whose failure something may show for so many milliseconds.
    pub fn fault_settled(&self, settled_ms: u32) -> Fault {
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
            _ => {
                let fault = said(fault::unavailable("Stripe could not serve the call"));
                let fault = fault.retry_after(RETRY_MS).outcome_unknown();
                if self.is_kept() { fault.key_spent(settled_ms) } else { fault }
            }
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
