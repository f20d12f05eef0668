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
    /// Of one that we asked for, see [`refund_id`]; one that was made on PayPal's own pages has its payment's.
    pub custom_id: Option<String>,
    /// RFC 3339.
    pub create_time: Option<String>,
    /// Why it waits or failed.
    pub status_details: Option<Details>,
    /// What it is of, among others.
    #[serde(default)]
    pub links: Vec<Link>,
}

impl Refund {
    /// Our reference, of a refund that we asked for.
    pub fn ours(&self) -> Option<&str> {
        refund_ref(self.custom_id.as_deref()?)
    }
}

/// PayPal's number of the capture that an object's links lead to: of a refund, what it is of; of a capture, itself.
pub fn capture_in(links: &[Link]) -> Option<&str> {
    links.iter().find_map(|link| {
        let (_, behind) = link.href.split_once("/payments/captures/")?;
        behind.split('/').next()
    })
}

/// What a refund's custom id begins with if the refund was asked for here.
const REFUND: &str = "refund-";

/// The custom id under which we ask for a refund: no payment of ours has one like it.
pub fn refund_id(refund_ref: &str) -> String {
    format!("{REFUND}{refund_ref}")
}

/// Our reference in a custom id of [`refund_id`]; none in any other, which is the payment's or somebody else's.
pub fn refund_ref(custom_id: &str) -> Option<&str> {
    custom_id.strip_prefix(REFUND)
}

/// An address, and what it is for.
#[derive(Debug, Deserialize)]
pub struct Link {
    /// The address.
    pub href: String,
    /// What for.
    pub rel: String,
}
