//! Jobs as their merchant sees them: which wait, which were set aside, which have ended; and one more chance for one
//! that was set aside.

use tollgate_domain::ids::{JobId, MerchantId};

use super::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::jobs::history::{self, EndedRow};
use crate::store::jobs::{self, JobRow};

/// A merchant's jobs before an id that are parked, or that are due one day, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    parked: bool,
    before: &str,
    limit: i64,
) -> Flow<Vec<JobRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(jobs::list(&mut sql, merchant, parked, before, limit).await?)
}

/// A merchant's jobs before an id that ended a short while ago, newest first.
pub async fn ended(
    gateway: &Gateway,
    merchant: MerchantId,
    before: &str,
    limit: i64,
) -> Flow<Vec<EndedRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(history::list(&mut sql, merchant, before, limit).await?)
}

/// Makes a parked job due now.
pub async fn replay(gateway: &Gateway, merchant: MerchantId, id: JobId) -> Flow<JobRow> {
    let now = gateway.store.now();
    let row = gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                if let Some(row) = jobs::replay(tx.sql(), merchant, id, now).await? {
                    return Ok(row);
                }
                jobs::get(tx.sql(), merchant, id).await?.ok_or(FlowError::NotFound("job"))?;
                let detail = "the job is not parked: it runs by itself when it is due".to_owned();
                Err(FlowError::Conflict { code: "job-not-parked", detail })
            })
        })
        .await?;
    gateway.bell.ring();
    Ok(row)
}
