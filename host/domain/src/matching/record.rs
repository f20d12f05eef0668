//! Our side of the comparison.

use crate::ids::{PaymentId, RefundId};
use crate::matching::difference::Subject;
use crate::money::Money;
use crate::payment::PaymentState;
use crate::refund::RefundState;
use crate::time::Moment;

/// What the provider takes of a payment by its contract with the merchant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeeTerms {
    /// Millionths of the amount: 6,000 is 0.6 %.
    pub rate_ppm: i64,
    /// Minor units on top, in the payment's currency.
    pub fixed: i64,
}

impl FeeTerms {
    /// The fee of `minor` units, rounded half up; none where it does not fit 64 bits.
    pub fn of(self, minor: i64) -> Option<i64> {
        let share = i128::from(minor).checked_mul(i128::from(self.rate_ppm))?;
        let rounded = share.checked_add(500_000)?.div_euclid(1_000_000);
        i64::try_from(rounded.checked_add(i128::from(self.fixed))?).ok()
    }
}

/// A payment of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurPayment {
    /// Id.
    pub id: PaymentId,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference, if we heard it.
    pub provider_reference: Option<String>,
    /// What it took, or is to take.
    pub amount: Money,
    /// Where it stands.
    pub state: PaymentState,
    /// When it succeeded.
    pub completed: Option<Moment>,
    /// The fee that we expect, in minor units of the amount's currency, if we know.
    pub expected_fee: Option<i64>,
    /// Another bill of the same kind has settled it.
    pub settled_elsewhere: bool,
}

/// A refund of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OurRefund {
    /// Id.
    pub id: RefundId,
    /// Our reference at the provider.
    pub reference: String,
    /// The provider's reference, if we heard it.
    pub provider_reference: Option<String>,
    /// Our reference of the payment that it gives back.
    pub payment_reference: String,
    /// The provider's reference of that payment.
    pub payment_provider_reference: Option<String>,
    /// What goes back, a positive amount.
    pub amount: Money,
    /// Where it stands.
    pub state: RefundState,
    /// When it succeeded.
    pub completed: Option<Moment>,
    /// Another bill of the same kind has settled it.
    pub settled_elsewhere: bool,
}

/// Either of them, as the matcher sees it.
pub(super) struct Record {
    pub subject: Subject,
    pub reference: Box<str>,
    pub provider_reference: Option<Box<str>>,
    /// Of a refund: its payment's two references.
    pub payment: Option<(Box<str>, Option<Box<str>>)>,
    /// As a row should have it: negative for a refund.
    pub gross: Money,
    pub state: &'static str,
    pub is_done: bool,
    pub completed: Option<Moment>,
    pub expected_fee: Option<i64>,
    pub settled_elsewhere: bool,
}

impl From<OurPayment> for Record {
    fn from(payment: OurPayment) -> Record {
        Record {
            subject: Subject::Payment(payment.id),
            reference: payment.reference.into(),
            provider_reference: payment.provider_reference.map(Into::into),
            payment: None,
            gross: payment.amount,
            state: payment.state.as_str(),
            is_done: payment.state == PaymentState::Succeeded,
            completed: payment.completed,
            expected_fee: payment.expected_fee,
            settled_elsewhere: payment.settled_elsewhere,
        }
    }
}

impl From<OurRefund> for Record {
    fn from(refund: OurRefund) -> Record {
        let payment_provider_reference = refund.payment_provider_reference.map(Into::into);
        Record {
            subject: Subject::Refund(refund.id),
            reference: refund.reference.into(),
            provider_reference: refund.provider_reference.map(Into::into),
            payment: Some((refund.payment_reference.into(), payment_provider_reference)),
            gross: Money::new(refund.amount.minor.saturating_neg(), refund.amount.currency),
            state: refund.state.as_str(),
            is_done: refund.state == RefundState::Succeeded,
            completed: refund.completed,
            expected_fee: None,
            settled_elsewhere: refund.settled_elsewhere,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_a_share_rounded_half_up_and_a_fixed_part() {
        let rows = [
            (6_000, 0, 10_000, Some(60)),
            (6_000, 0, 83, Some(0)),
            (6_000, 0, 84, Some(1)),
            (29_000, 30, 1_000, Some(59)),
            (1_000_000, 0, i64::MAX, Some(i64::MAX)),
            (1_000_000, 1, i64::MAX, None),
        ];
        for (rate_ppm, fixed, minor, fee) in rows {
            assert_eq!(FeeTerms { rate_ppm, fixed }.of(minor), fee, "{rate_ppm} {fixed} {minor}");
        }
    }
}
