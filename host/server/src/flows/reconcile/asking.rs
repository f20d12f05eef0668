//! What a bill's period leaves open here is asked about again, whether the bill tells of it or not: what is not known
//! is never left to its schedule alone.

use tollgate_domain::matching::Window;

use crate::flows::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::bills::BillRow;
use crate::store::reconciliations::open::{self, OpenRow};
use crate::store::reconciliations::records::{Owner, Stretch};

/// Questions that are written in one transaction.
const PAGE: i64 = 500;

/// Brings the questions about the period's open payments and refunds forward.
pub(super) async fn ask_again(gateway: &Gateway, bill: &BillRow, window: Window) -> Flow<()> {
    for kind in [Kind::QueryPayment, Kind::QueryRefund] {
        let mut stretch = Stretch {
            from: window.start.0,
            after: String::new(),
            until: window.end.0,
            limit: PAGE,
        };
        loop {
            let page = page(gateway, bill, kind, &stretch).await?;
            let Some(last) = page.last() else { break };
            (stretch.from, stretch.after) = (last.created_at, last.id.clone());
            put(gateway, bill, kind, &page).await?;
        }
    }
    Ok(())
}

async fn page(
    gateway: &Gateway,
    bill: &BillRow,
    kind: Kind,
    stretch: &Stretch,
) -> Flow<Vec<OpenRow>> {
    let owner = Owner { merchant: bill.merchant_id, account: bill.account_id };
    let mut sql = gateway.store.read().await?;
    Ok(match kind {
        Kind::QueryRefund => open::refunds(&mut sql, owner, stretch).await?,
        _ => open::payments(&mut sql, owner, stretch).await?,
    })
}

async fn put(gateway: &Gateway, bill: &BillRow, kind: Kind, page: &[OpenRow]) -> Flow<()> {
    let (merchant, account, now) = (bill.merchant_id, bill.account_id, gateway.store.now());
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                for row in page {
                    learn::put_job_about(tx, gateway, merchant, account, kind, &row.id, now)
                        .await?;
                }
                Ok(())
            })
        })
        .await
}

#[cfg(test)]
mod tests;
