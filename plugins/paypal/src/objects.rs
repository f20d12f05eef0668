//! PayPal's objects, as far as anything here reads them.

use serde::Deserialize;

use crate::money::Amount;

/// What a payer is asked to pay.
#[derive(Debug, Deserialize)]
pub struct Order {
    /// PayPal's number of it.
    pub id: String,
    /// CREATED, SAVED, APPROVED, VOIDED, COMPLETED or `PAYER_ACTION_REQUIRED`.
    pub status: String,
    /// One, of ours.
    #[serde(default)]
    pub purchase_units: Vec<Unit>,
    /// Where to go next, by what it is for.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// The one thing that an order is for.
#[derive(Debug, Deserialize)]
pub struct Unit {
    /// Our payment reference.
    pub custom_id: Option<String>,
    /// What is to be paid.
    pub amount: Option<Amount>,
    /// Who is paid.
    pub payee: Option<Payee>,
    /// What was taken, once it was captured.
    pub payments: Option<Payments>,
}

/// Who is paid.
#[derive(Debug, Deserialize)]
pub struct Payee {
    /// The merchant's number.
    pub merchant_id: Option<String>,
}

/// What moved on an order.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Payments {
    /// Money that was taken, or tried to be.
    pub captures: Vec<Capture>,
    /// Money that was given back.
    pub refunds: Vec<Refund>,
}

/// Money that was taken, or tried to be. Its state and the order's are two things.
#[derive(Debug, Deserialize)]
pub struct Capture {
    /// PayPal's number of it, which bills and disputes name.
    pub id: String,
    /// COMPLETED, PENDING, DECLINED, `PARTIALLY_REFUNDED`, REFUNDED or FAILED.
    pub status: String,
    /// How much.
    pub amount: Amount,
    /// RFC 3339.
    pub create_time: Option<String>,
    /// Why it waits or failed.
    pub status_details: Option<Details>,
}

/// Why something is in its state.
#[derive(Debug, Deserialize)]
pub struct Details {
    /// A word.
    pub reason: Option<String>,
}

/// Money that was given back.
#[derive(Debug, Deserialize)]
pub struct Refund {
    /// PayPal's number of it.
    pub id: String,
    /// COMPLETED, PENDING, FAILED or CANCELLED.
    pub status: String,
    /// How much.
    pub amount: Amount,
    /// Our refund reference.
    pub custom_id: Option<String>,
    /// RFC 3339.
    pub create_time: Option<String>,
    /// Why it waits or failed.
    pub status_details: Option<Details>,
    /// What it is of, among others.
    #[serde(default)]
    pub links: Vec<Link>,
}

/// An address, and what it is for.
#[derive(Debug, Deserialize)]
pub struct Link {
    /// The address.
    pub href: String,
    /// What for.
    pub rel: String,
}
