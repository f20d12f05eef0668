//! Typed ids: a UUIDv7 each, with a prefix that says of what. And the references that providers see.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Moment;

/// What an id is of.
pub trait Kind {
    /// What the text form starts with, before an underscore.
    const PREFIX: &'static str;
}

/// The id of a `K`: sorts by the time it was made; `ord_` and 32 hex digits as text.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

impl<K: Kind> Id<K> {
    /// A new id from the time and ten random bytes (RFC 9562, version 7).
    pub fn new(now: Moment, chance: [u8; 10]) -> Id<K> {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        Id(uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid(), PhantomData)
    }

    /// Our reference at a provider, made from the id alone: 24 characters `[A-Za-z0-9]`, the same for ever.
    pub fn reference(&self) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut rest = self.0.as_u128();
        let mut text = [b'0'; 24];
        for place in text.iter_mut().rev() {
            *place = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        // 128 bits need 22 digits; the two in front tell people what they look at.
        text[0] = b'T';
        text[1] = K::PREFIX.as_bytes()[0].to_ascii_uppercase();
        text.iter().map(|byte| char::from(*byte)).collect()
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.simple())
    }
}
impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an id of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {0}_ and 32 lower-case hex digits")]
pub struct IdError(&'static str);

impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Id<K>, IdError> {
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|digits| digits.len() == 32)
            .filter(|digits| {
                digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
            .ok_or(IdError(K::PREFIX))?;
        Uuid::try_parse(digits).map(|uuid| Id(uuid, PhantomData)).map_err(|_| IdError(K::PREFIX))
    }
}

impl<K: Kind> TryFrom<String> for Id<K> {
    type Error = IdError;

    fn try_from(text: String) -> Result<Id<K>, IdError> {
        text.parse()
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Id<K>, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Markers: what an [`Id`] can be of.
pub mod kind {
    use super::Kind;

    /// The business that uses the gateway.
    pub enum Merchant {}
    /// A merchant's account at a provider.
    pub enum Account {}
    /// What a payer owes.
    pub enum Order {}
    /// One attempt to pay an order.
    pub enum Payment {}
    /// A request to give money back.
    pub enum Refund {}
    /// A payer's complaint about a payment.
    pub enum Dispute {}
    /// What only people can settle.
    pub enum Case {}
    /// A message that came to us.
    pub enum Notification {}
    /// One request to a provider and its answer.
    pub enum Exchange {}
    /// A provider's file of a day's transactions.
    pub enum Bill {}
    /// A comparison of a bill with our records.
    pub enum Reconciliation {}
    /// One difference found by a reconciliation.
    pub enum Discrepancy {}
    /// A fact about an order that is told to the merchant.
    pub enum Event {}
    /// What to do, and when.
    pub enum Job {}
    /// A merchant's API key.
    pub enum ApiKey {}
    /// Where a merchant hears of events.
    pub enum Endpoint {}
    /// Telling one endpoint of one event.
    pub enum Delivery {}

    impl Kind for Merchant {
        const PREFIX: &'static str = "mer";
    }
    impl Kind for Account {
        const PREFIX: &'static str = "acc";
    }
    impl Kind for Order {
        const PREFIX: &'static str = "ord";
    }
    impl Kind for Payment {
        const PREFIX: &'static str = "pay";
    }
    impl Kind for Refund {
        const PREFIX: &'static str = "ref";
    }
    impl Kind for Dispute {
        const PREFIX: &'static str = "dsp";
    }
    impl Kind for Case {
        const PREFIX: &'static str = "cas";
    }
    impl Kind for Notification {
        const PREFIX: &'static str = "ntf";
    }
    impl Kind for Exchange {
        const PREFIX: &'static str = "exc";
    }
    impl Kind for Bill {
        const PREFIX: &'static str = "bil";
    }
    impl Kind for Reconciliation {
        const PREFIX: &'static str = "rec";
    }
    impl Kind for Discrepancy {
        const PREFIX: &'static str = "dis";
    }
    impl Kind for Event {
        const PREFIX: &'static str = "evt";
    }
    impl Kind for Job {
        const PREFIX: &'static str = "job";
    }
    impl Kind for ApiKey {
        const PREFIX: &'static str = "key";
    }
    impl Kind for Endpoint {
        const PREFIX: &'static str = "whe";
    }
    impl Kind for Delivery {
        const PREFIX: &'static str = "dlv";
    }
}

/// Id of a merchant.
pub type MerchantId = Id<kind::Merchant>;
/// Id of a merchant's account at a provider.
pub type AccountId = Id<kind::Account>;
/// Id of an order.
pub type OrderId = Id<kind::Order>;
/// Id of a payment.
pub type PaymentId = Id<kind::Payment>;
/// Id of a refund.
pub type RefundId = Id<kind::Refund>;
/// Id of a dispute.
pub type DisputeId = Id<kind::Dispute>;
/// Id of a case.
pub type CaseId = Id<kind::Case>;
/// Id of a kept message.
pub type NotificationId = Id<kind::Notification>;
/// Id of a recorded exchange.
pub type ExchangeId = Id<kind::Exchange>;
/// Id of a bill.
pub type BillId = Id<kind::Bill>;
/// Id of a reconciliation.
pub type ReconciliationId = Id<kind::Reconciliation>;
/// Id of a discrepancy.
pub type DiscrepancyId = Id<kind::Discrepancy>;
/// Id of an event.
pub type EventId = Id<kind::Event>;
/// Id of a job.
pub type JobId = Id<kind::Job>;
/// Id of an API key.
pub type ApiKeyId = Id<kind::ApiKey>;
/// Id of a webhook endpoint.
pub type EndpointId = Id<kind::Endpoint>;
/// Id of a delivery.
pub type DeliveryId = Id<kind::Delivery>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips_and_sorts_by_time(a in 0i64..4_000_000_000_000, b in 0i64..4_000_000_000_000,
                                              x: [u8; 10], y: [u8; 10]) {
            let (first, second) = (OrderId::new(Moment::from_millis(a), x), OrderId::new(Moment::from_millis(b), y));
            prop_assert_eq!(first.to_string().parse::<OrderId>().unwrap(), first);
            if a < b { prop_assert!(first.to_string() < second.to_string()); }
        }

        #[test]
        fn references_are_24_plain_characters_and_distinct(a: [u8; 10], b: [u8; 10]) {
            let now = Moment::from_millis(1_790_000_000_000);
            let (one, two) = (PaymentId::new(now, a), PaymentId::new(now, b));
            prop_assert_eq!(one.reference().len(), 24);
            prop_assert!(one.reference().bytes().all(|c| c.is_ascii_alphanumeric()));
            prop_assert_eq!(one == two, one.reference() == two.reference());
        }
    }

    #[test]
    fn another_kinds_id_is_refused() {
        let order = OrderId::new(Moment(0), [7; 10]).to_string();
        assert!(order.parse::<PaymentId>().is_err());
        assert!(order.to_uppercase().parse::<OrderId>().is_err());
        assert!("ord_".parse::<OrderId>().is_err());
    }
}
