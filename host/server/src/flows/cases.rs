//! Cases: where a provider and our records, or two words of one provider, contradict each other in a way that only
//! people can settle. A cause is told once, however often it is met.

use serde_json::Value;
use tollgate_domain::ids::{CaseId, MerchantId, NotificationId};

use super::account::Account;
use super::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::cases::{self, CaseRow, Filter};
use crate::store::payments::PaymentRow;

/// What is wrong.
pub(super) struct NewCase<'a> {
    /// In a word: `mismatch`, `unknown_payment`…
    pub kind: &'static str,
    /// The same for the same cause.
    pub cause: String,
    /// The event that tells the merchant.
    pub event: &'static str,
    /// The payment, if it is about one that we know.
    pub payment: Option<&'a PaymentRow>,
    /// The message that it was met in.
    pub notification: Option<NotificationId>,
    /// More about it: a JSON object, which the event has too.
    pub data: Value,
}

/// Opens a case and tells the merchant, unless its cause has been met before.
pub(super) async fn open(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    account: &Account,
    case: &NewCase<'_>,
) -> Flow<()> {
    let now = gateway.store.now();
    let id: CaseId = gateway.chance.id(now);
    let (payment, order) = (case.payment.map(|row| row.id), case.payment.map(|row| row.order_id));
    let row = CaseRow {
        merchant_id: account.row.merchant_id,
        id,
        account_id: account.row.id,
        kind: case.kind.to_owned(),
        cause: case.cause.clone(),
        order_id: order.map(|id| id.to_string()),
        payment_id: payment.map(|id| id.to_string()),
        notification_id: case.notification.map(|id| id.to_string()),
        data: case.data.to_string(),
        state: "open".to_owned(),
        note: None,
        created_at: now,
        updated_at: now,
    };
    if !cases::open(tx.sql(), &row).await? {
        return Ok(());
    }
    let mut data = case.data.clone();
    data["case_id"] = serde_json::json!(id);
    data["kind"] = serde_json::json!(case.kind);
    data["payment_id"] = serde_json::json!(payment);
    data["notification_id"] = serde_json::json!(case.notification);
    learn::announce(tx, gateway, row.merchant_id, order, case.event, data).await
}

/// A merchant's case.
pub async fn get(gateway: &Gateway, merchant: MerchantId, id: CaseId) -> Flow<CaseRow> {
    let mut sql = gateway.store.read().await?;
    cases::get(&mut sql, merchant, id).await?.ok_or(FlowError::NotFound("case"))
}

/// A merchant's cases, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<CaseRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(cases::list(&mut sql, merchant, filter).await?)
}

/// Closes a case that somebody has settled, with a note of how.
pub async fn close(
    gateway: &Gateway,
    merchant: MerchantId,
    id: CaseId,
    note: &str,
) -> Flow<CaseRow> {
    if note.trim().is_empty() || note.chars().count() > 500 {
        return Err(FlowError::invalid("note", "must be 1 to 500 characters"));
    }
    get(gateway, merchant, id).await?;
    let now = gateway.store.now();
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move { Ok(cases::close(tx.sql(), merchant, id, note, now).await?) })
        })
        .await?;
    get(gateway, merchant, id).await
}
