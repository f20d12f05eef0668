//! The flows: what the gateway does. The only code that writes, and the only order in which it does so:
//! write the intent, call the provider with no transaction open, then write what was learnt.

pub mod account;
pub mod accounts;
pub mod believe;
pub mod bills;
pub mod cases;
pub mod deliveries;
pub mod disputes;
pub mod due;
pub mod endpoints;
pub mod exchange;
pub mod facts;
pub mod found;
pub mod give_back;
pub mod idempotency;
pub mod installation;
pub mod jobs;
pub mod keyring;
pub mod keys;
pub mod learn;
pub mod merchants;
pub mod notices;
pub mod offers;
pub mod operation;
pub mod orders;
pub mod pauses;
pub mod payments;
pub mod private_fields;
pub mod pursuit;
pub mod query;
pub mod reconcile;
pub mod refunds;
pub mod reseal;
mod texts;
pub mod tries;

use serde::{Deserialize, Serialize};

use crate::sealing::SealError;
use crate::store::{StoreError, WriteError};

/// One thing wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Where: `amount`, `items[2].price`, `settings.app_id`.
    pub field: String,
    /// What it must be.
    pub rule: String,
}

impl FieldError {
    /// A field and its rule, each cut where none of ours would go on.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> FieldError {
        FieldError { field: short(field.into()), rule: short(rule.into()) }
    }
}

/// Names and values that a caller gave are repeated so far and no further: one in the wrong place may be a key.
const MOST_REPEATED: usize = 200;

fn short(text: String) -> String {
    match text.char_indices().nth(MOST_REPEATED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Why a flow did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// There is none, or it is another merchant's.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// What was asked breaks rules, named by field.
    #[error("{} fields break a rule", .0.len())]
    Invalid(Vec<FieldError>),
    /// What was asked does not go with how things stand. A code for programs and a sentence for people.
    #[error("{detail}")]
    Conflict {
        /// For programs: `order-number-used`, `refund-exceeds-payment`…
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// The provider or a plugin cannot be had now; nothing was changed that asking again would not mend.
    #[error("{0}")]
    Unavailable(String),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ours: a key that does not fit the database.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Ours: a row that does not read as what it was written as, a full disk.
    #[error("{0}")]
    Internal(String),
}

impl FlowError {
    /// One field that breaks one rule.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> FlowError {
        FlowError::Invalid(vec![FieldError::new(field, rule)])
    }
}

impl From<serde_json::Error> for FlowError {
    fn from(error: serde_json::Error) -> FlowError {
        FlowError::Internal(format!("stored JSON: {error}"))
    }
}

impl From<std::io::Error> for FlowError {
    fn from(error: std::io::Error) -> FlowError {
        FlowError::Internal(format!("file: {error}"))
    }
}

impl WriteError for FlowError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            FlowError::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// What a flow gives back.
pub type Flow<T> = Result<T, FlowError>;

/// Something asked for by the merchant's own number: made now, or there already from the same request.
#[derive(Clone, Debug)]
pub struct Made<T> {
    /// The row.
    pub row: T,
    /// Whether this call made it.
    pub fresh: bool,
}

/// Why a provider did not do what it was asked, as the merchant is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The gateway's word: `declined`, `unavailable`, `signature`, `no-answer`…
    pub code: String,
    /// For people.
    pub message: String,
    /// The provider's code.
    pub provider_code: Option<String>,
    /// The provider's words.
    pub provider_message: Option<String>,
}
