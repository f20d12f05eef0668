//! Reconciliation: a bill compared with our records, what matches marked, what differs listed.
//!
//! It can be run at any time and any number of times: a run over the same bill and the same records writes nothing.

mod asking;
mod compare;
mod findings;
mod told;

#[cfg(test)]
pub(crate) mod tests;

use serde_json::json;
use tollgate_domain::ids::{AccountId, MerchantId, ReconciliationId};
use tollgate_domain::time::Moment;

use super::bills::turns::Work;
use super::bills::{self, Ask, Chosen};
use super::due::Next;
use super::{Flow, FlowError, Made, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::bills::{BillRow, BillState, Filter};
use crate::store::jobs::JobRow;
use crate::store::reconciliations::{self, DiscrepancyRow, ReconciliationRow, ReconciliationState};
use crate::store::{self, Tx};

/// How soon to look again at a bill that cannot be had yet, at the soonest, and at one that is being fetched.
const SHORTEST_WAIT_MS: i64 = 60_000;
const FETCHING_MS: i64 = 2_000;

/// A merchant's reconciliation.
pub async fn get(
    gateway: &Gateway,
    merchant: MerchantId,
    id: ReconciliationId,
) -> Flow<ReconciliationRow> {
    let mut sql = gateway.store.read().await?;
    let row = reconciliations::get(&mut sql, merchant, id).await?;
    row.ok_or(FlowError::NotFound("reconciliation"))
}

/// A merchant's reconciliations, newest first.
pub async fn list(
    gateway: &Gateway,
    merchant: MerchantId,
    filter: &Filter<'_>,
) -> Flow<Vec<ReconciliationRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(reconciliations::list(&mut sql, merchant, filter).await?)
}

/// A reconciliation's differences after an id (empty: from the start), oldest first.
pub async fn discrepancies(
    gateway: &Gateway,
    merchant: MerchantId,
    id: ReconciliationId,
    after: &str,
    limit: i64,
) -> Flow<Vec<DiscrepancyRow>> {
    get(gateway, merchant, id).await?;
    let mut sql = gateway.store.read().await?;
    Ok(reconciliations::discrepancies(&mut sql, merchant, id, after, limit).await?)
}

/// Compares a bill with our records; fetches it where it is missing.
pub async fn run(
    gateway: &Gateway,
    merchant: MerchantId,
    ask: &Ask,
) -> Flow<Made<ReconciliationRow>> {
    let chosen = bills::choose(gateway, merchant, ask).await?;
    let _turn = gateway.turns.wait(&chosen, Work::Compare, gateway.store.clock()).await;
    let begun = begin(gateway, &chosen).await?;
    let bill = bills::fetch_chosen(gateway, &chosen).await?.row;
    let row = if bill.edition > 0 {
        compare::compare(gateway, &chosen.period, &bill, begun.row).await?
    } else {
        wait(gateway, &bill, begun.row).await?
    };
    Ok(Made { row, fresh: begun.fresh })
}

/// Writes a reconciliation that is to be run, and the job that runs it; one that waits may have lost who ran it. False: it is
/// there already.
pub(super) async fn intend(
    gateway: &Gateway,
    merchant: MerchantId,
    account: AccountId,
    kind: &str,
    period: &str,
) -> Flow<bool> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let sql = tx.sql();
                let there = reconciliations::find(sql, merchant, account, kind, period).await?;
                if let Some(row) = there {
                    if row.state == ReconciliationState::WaitingForBill {
                        put_job(tx, gateway, &row, gateway.store.now()).await?;
                    }
                    return Ok(false);
                }
                let row = new_row(gateway, merchant, account, kind, period);
                reconciliations::insert(sql, &row).await?;
                put_job(tx, gateway, &row, row.created_at).await?;
                Ok(true)
            })
        })
        .await
}

/// Has a reconciliation run at that time.
async fn put_job(
    tx: &mut Tx<'_>,
    gateway: &Gateway,
    row: &ReconciliationRow,
    due: Moment,
) -> Flow<()> {
    let (merchant, account, id) = (row.merchant_id, row.account_id, row.id.to_string());
    learn::put_job_about(tx, gateway, merchant, account, Kind::Reconcile, &id, due).await
}

/// Runs a reconciliation as a job.
pub async fn due(gateway: &Gateway, job: &JobRow) -> Flow<Next> {
    let subject = job.subject_id.parse::<ReconciliationId>();
    let id = subject.map_err(|_| FlowError::NotFound("reconciliation"))?;
    let row = get(gateway, job.merchant_id, id).await?;
    let ask = Ask { account: row.account_id, kind: Some(row.kind), period: row.period };
    let row = run(gateway, job.merchant_id, &ask).await?.row;
    if row.state == ReconciliationState::Done {
        return Ok(Next::Done);
    }
    let mut sql = gateway.store.read().await?;
    let (merchant, account) = (row.merchant_id, row.account_id);
    let bill = store::bills::find(&mut sql, merchant, account, &row.kind, &row.period);
    match bill.await?.filter(|bill| !bills::is_given_up(bill)) {
        Some(bill) => Ok(Next::Later(retry_at(gateway, &bill), row.reason.unwrap_or_default())),
        None => Ok(Next::Done),
    }
}

/// When the bill is worth asking for again, whatever its row says: not at once, but soon where somebody fetches it now.
fn retry_at(gateway: &Gateway, bill: &BillRow) -> Moment {
    let now = gateway.store.now();
    match bill.state {
        BillState::Fetching => now.plus_millis(FETCHING_MS),
        BillState::NotReady | BillState::Ready | BillState::Rejected => {
            bill.retry_at.max(now.plus_millis(SHORTEST_WAIT_MS))
        }
    }
}

async fn begin(gateway: &Gateway, chosen: &Chosen) -> Flow<Made<ReconciliationRow>> {
    let (merchant, account) = (chosen.account.row.merchant_id, chosen.account.row.id);
    let (kind, period) = (chosen.kind.id.as_str(), chosen.period.name());
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                let sql = tx.sql();
                let there = reconciliations::find(sql, merchant, account, kind, period).await?;
                if let Some(row) = there {
                    return Ok::<_, FlowError>(Made { row, fresh: false });
                }
                let row = new_row(gateway, merchant, account, kind, period);
                reconciliations::insert(sql, &row).await?;
                Ok(Made { row, fresh: true })
            })
        })
        .await
}

fn new_row(
    gateway: &Gateway,
    merchant: MerchantId,
    account: AccountId,
    kind: &str,
    period: &str,
) -> ReconciliationRow {
    let now = gateway.store.now();
    ReconciliationRow {
        merchant_id: merchant,
        id: gateway.chance.id(now),
        account_id: account,
        kind: kind.to_owned(),
        period: period.to_owned(),
        bill_id: None,
        state: ReconciliationState::WaitingForBill,
        reason: None,
        edition: 0,
        rows: 0,
        matched: 0,
        carried: 0,
        discrepancies: 0,
        created_at: now,
        updated_at: now,
    }
}

/// Writes why there is nothing to compare with, and when to try again.
async fn wait(
    gateway: &Gateway,
    bill: &BillRow,
    before: ReconciliationRow,
) -> Flow<ReconciliationRow> {
    let mut row = before.clone();
    row.bill_id = Some(bill.id.to_string());
    row.reason.clone_from(&bill.reason);
    row.state = match bill.state {
        BillState::Rejected => ReconciliationState::BillRejected,
        BillState::Fetching | BillState::NotReady | BillState::Ready => {
            ReconciliationState::WaitingForBill
        }
    };
    write(gateway, bill, before, row).await
}

/// Writes where a reconciliation stands now, and tells the merchant if that is something new.
async fn write(
    gateway: &Gateway,
    bill: &BillRow,
    before: ReconciliationRow,
    mut row: ReconciliationRow,
) -> Flow<ReconciliationRow> {
    let waits = row.state != ReconciliationState::Done && !bills::is_given_up(bill);
    if row == before && !waits {
        return Ok(row);
    }
    let is_new = row != before;
    if is_new {
        row.updated_at = gateway.store.now();
    }
    let now = &row;
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let merchant = now.merchant_id;
                if is_new {
                    reconciliations::update(tx.sql(), now).await?;
                }
                if waits {
                    put_job(tx, gateway, now, retry_at(gateway, bill)).await?;
                }
                if is_new && now.state == ReconciliationState::Done {
                    let data = json!({
                        "reconciliation_id": now.id, "account_id": now.account_id,
                        "bill_id": now.bill_id, "kind": now.kind, "period": now.period,
                        "rows": now.rows, "matched": now.matched,
                        "discrepancies": now.discrepancies,
                    });
                    let kind = "reconciliation.done";
                    learn::announce(tx, gateway, merchant, None, kind, data).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(row)
}
