//! Reading a reply: an object, or an error whose first detail says what is the matter.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_sdk::contract::types::{Fault, HttpResponse};
use tollgate_sdk::fault;

/// Milliseconds after which a call that was not served is worth repeating.
const RETRY_MS: u32 = 2_000;

/// The name of the error for what is not there.
const MISSING: &str = "RESOURCE_NOT_FOUND";

/// Why PayPal did not do what it was asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Refusal {
    name: Option<String>,
    message: Option<String>,
    details: Vec<Detail>,
    #[serde(skip)]
    status: u16,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    issue: Option<String>,
    description: Option<String>,
    field: Option<String>,
}

impl Refusal {
    /// The issue, or the name of the error where there is none.
    pub fn word(&self) -> &str {
        let issue = self.details.first().and_then(|detail| detail.issue.as_deref());
        issue.or(self.name.as_deref()).unwrap_or_default()
    }

    /// Whether it is this issue, or an error of this name.
    pub fn is(&self, word: &str) -> bool {
        self.word() == word || self.name.as_deref() == Some(word)
    }

    /// In words, with the field where one is named.
    pub fn words(&self) -> String {
        let detail = self.details.first();
        let text = detail.and_then(|detail| detail.description.as_deref());
        let text = text.or(self.message.as_deref()).unwrap_or_default();
        match detail.and_then(|detail| detail.field.as_deref()) {
            Some(field) => format!("{text} ({field})"),
            None => text.to_owned(),
        }
    }

    /// Whether nothing by that id is there, in PayPal's own words: anything in between answers 404 too.
    pub fn is_missing(&self) -> bool {
        self.status == 404 && self.name.as_deref() == Some(MISSING)
    }

    /// Whether it settles the request: PayPal read it and will not do it.
    pub fn is_final(&self) -> bool {
        matches!(self.status, 400 | 404 | 422) && !self.word().is_empty()
    }

    /// The fault that a refusal stands for, where the caller knows no better.
    pub fn fault(&self) -> Fault {
        let said = |fault: Fault| fault.said(self.word(), self.words());
        match self.status {
            401 | 403 => said(fault::auth("PayPal does not permit the call")),
            429 => said(fault::rate_limited("PayPal asks for fewer calls")).retry_after(RETRY_MS),
            400 | 404 | 422 if self.is_final() => {
                said(fault::invalid_request("PayPal refused the call"))
            }
            _ => said(fault::unavailable("PayPal could not serve the call"))
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
        let refusal: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
        return Ok(Err(Refusal { status: response.status, ..refusal }));
    }
    serde_json::from_slice(&response.body)
        .map(Ok)
        .map_err(|error| fault::protocol(format!("reply: {error}")).outcome_unknown())
}
