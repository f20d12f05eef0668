//! Refunds that nobody asks for: money that its order has no use for goes back, all of it and once.
//!
//! The refund is written with its reserve and its job in the transaction that learnt of the money; the worker sends it.
//! Its number is made from the payment's id, and a merchant has a number once: there is no second one.

use tollgate_domain::ids::RefundId;
use tollgate_domain::refund::{Origin, RefundState};

use super::account::Account;
use super::cases::{self, NewCase};
use super::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::payments::{self, PaymentRow};
use crate::store::refunds::{self, RefundRow};

/// What numbers of refunds start with that a merchant did not give: his own may not.
pub const OUR_NUMBERS: [&str; 2] = ["auto:", "provider:"];

/// Gives back what a payment took, as far as nobody else did.
pub(super) async fn whole(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    origin: Origin,
) -> Flow<()> {
    let (merchant, order) = (paid.merchant_id, Some(paid.order_id));
    if origin == Origin::Duplicate {
        let data = learn::of_payment(paid);
        learn::announce(tx, gateway, merchant, order, "payment.duplicate_success", data).await?;
    }
    let left = paid.rules().refundable();
    if left == 0 {
        return Ok(());
    }
    if account.ability("refund").is_none() {
        let case = NewCase {
            kind: "refund_impossible",
            cause: format!("refund_impossible/{}", paid.id),
            event: "payment.conflict",
            payment: Some(paid),
            notification: None,
            data: serde_json::json!({
                "reason": "the order has no use for this money, and the provider takes no refunds",
                "amount": left, "currency": paid.currency,
            }),
        };
        cases::open(tx, gateway, account, &case).await?;
        return Ok(());
    }
    let row = refund_of(gateway, paid, left, origin);
    refunds::insert(tx.sql(), &row).await?;
    let now = gateway.store.now();
    if !payments::reserve(tx.sql(), merchant, paid.id, left, true, now).await? {
        return Err(FlowError::Internal(format!("payment {} has less than it took", paid.id)));
    }
    let data = learn::of_refund(&row);
    learn::announce(tx, gateway, merchant, order, "refund.requested", data).await?;
    learn::ask_about_refund(tx, gateway, &row, now).await
}

fn refund_of(gateway: &Gateway, paid: &PaymentRow, minor: i64, origin: Origin) -> RefundRow {
    let now = gateway.store.now();
    let id: RefundId = gateway.chance.id(now);
    RefundRow {
        number: format!("{}{}", OUR_NUMBERS[0], paid.id),
        state: RefundState::Requested,
        reference: id.reference(),
        ..RefundRow::blank(paid, id, minor, origin, now)
    }
}
