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
    let obstacle = if account.ability("refund").is_none() {
        Some("the provider takes no refunds")
    } else if paid.disputed > 0 {
        Some("the payment is in dispute: a refund beside that may give the money back twice")
    } else {
        None
    };
    if let Some(why) = obstacle {
        return impossible(tx, gateway, account, paid, left, why).await;
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

/// Tells of a refund of ours that came to nothing: nobody else would ask for it again.
pub(super) async fn failed(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    refund: &RefundRow,
) -> Flow<()> {
    if !refund.origin.is_automatic() {
        return Ok(());
    }
    let paid = payments::must(tx.sql(), refund.merchant_id, refund.payment_id).await?;
    let why = match refund.reversed_at {
        Some(_) => "the provider took the refund's success back",
        None => "the refund failed",
    };
    impossible(tx, gateway, account, &paid, refund.amount, why).await
}

/// Money that ought to go back and cannot: only people can say what becomes of it.
async fn impossible(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    paid: &PaymentRow,
    minor: i64,
    why: &str,
) -> Flow<()> {
    let case = NewCase {
        kind: "refund_impossible",
        cause: format!("refund_impossible/{}", paid.id),
        event: "payment.conflict",
        payment: Some(paid),
        notification: None,
        data: serde_json::json!({
            "reason": format!("the order has no use for this money, and it cannot go back: {why}"),
            "amount": minor, "currency": paid.currency,
        }),
    };
    cases::open(tx, gateway, account, &case).await
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
