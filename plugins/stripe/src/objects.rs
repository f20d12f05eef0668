//! Stripe's objects, as far as anything here reads them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The name under which our payment reference stands in an object's metadata.
pub const PAYMENT: &str = "payment";
/// The same of our refund reference.
pub const REFUND: &str = "refund";

/// Names and values that the merchant put there.
pub type Metadata = BTreeMap<String, String>;

/// A hosted page and what came of it.
#[derive(Debug, Deserialize)]
pub struct Session {
    /// `cs_...`
    pub id: String,
    /// Our payment reference.
    pub client_reference_id: Option<String>,
    /// open, complete or expired.
    pub status: Option<String>,
    /// paid, unpaid or `no_payment_required`.
    pub payment_status: String,
    /// In Stripe's units.
    pub amount_total: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// Where the payer goes; none once it is over.
    pub url: Option<String>,
    /// When that page ends, Unix seconds.
    pub expires_at: Option<i64>,
    /// Of which mode it is.
    pub livemode: bool,
    /// None until the payer confirms.
    pub payment_intent: Option<Reference<Intent>>,
}

/// A payment in the API's sense.
#[derive(Debug, Deserialize)]
pub struct Intent {
    /// `pi_...`
    pub id: String,
    /// See `status::of_intent`.
    pub status: String,
    /// In Stripe's units.
    pub amount: i64,
    /// What came in of it.
    #[serde(default)]
    pub amount_received: i64,
    /// Lower case.
    pub currency: String,
    /// Of which mode it is.
    pub livemode: bool,
    /// What a payer's client needs to confirm it.
    pub client_secret: Option<String>,
    /// Ours.
    #[serde(default)]
    pub metadata: Metadata,
    /// The charge that took the money.
    pub latest_charge: Option<Reference<Charge>>,
    /// Why the last method did not.
    pub last_payment_error: Option<PaymentError>,
}

/// Why a method did not pay.
#[derive(Debug, Deserialize)]
pub struct PaymentError {
    /// For people.
    pub message: Option<String>,
}

/// What took the money.
#[derive(Debug, Deserialize)]
pub struct Charge {
    /// `ch_...`
    pub id: String,
    /// In Stripe's units.
    pub amount: i64,
    /// What was given back of it, by whomever.
    #[serde(default)]
    pub amount_refunded: i64,
    /// Lower case.
    pub currency: String,
    /// When it took the money, Unix seconds.
    pub created: i64,
    /// Of the payment.
    pub payment_intent: Option<String>,
    /// Copied from the payment.
    #[serde(default)]
    pub metadata: Metadata,
}

/// Money given back.
#[derive(Debug, Deserialize)]
pub struct Refund {
    /// `re_...`
    pub id: String,
    /// pending, `requires_action`, succeeded, failed or canceled.
    pub status: Option<String>,
    /// In Stripe's units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// When it was asked for, Unix seconds.
    pub created: i64,
    /// Of the payment.
    pub payment_intent: Option<String>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Ours.
    #[serde(default)]
    pub metadata: Metadata,
}

/// Somebody contests a charge.
#[derive(Debug, Deserialize)]
pub struct Dispute {
    /// `dp_...`
    pub id: String,
    /// See `events::dispute`.
    pub status: String,
    /// In Stripe's units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// Of which mode it is.
    pub livemode: bool,
    /// Of the payment.
    pub payment_intent: Option<String>,
    /// Until when it is to be answered.
    pub evidence_details: Option<Evidence>,
}

/// What is known of the answer to a dispute.
#[derive(Debug, Deserialize)]
pub struct Evidence {
    /// Unix seconds.
    pub due_by: Option<i64>,
}

/// A page of a list, the newest first.
#[derive(Debug, Deserialize)]
pub struct List<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// An id, or the object itself where it was asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Reference<T> {
    /// The id alone.
    Id(String),
    /// All of it.
    Object(Box<T>),
}

impl<T> Reference<T> {
    /// The object, if it came.
    pub fn object(&self) -> Option<&T> {
        match self {
            Reference::Id(_) => None,
            Reference::Object(object) => Some(object),
        }
    }
}

impl Reference<Intent> {
    /// The id, either way.
    pub fn id(&self) -> &str {
        match self {
            Reference::Id(id) => id,
            Reference::Object(intent) => &intent.id,
        }
    }
}
