//! From the spool into the database: rows in small transactions, so that nobody waits long for the writer.

use std::fs::File;
use std::io::{BufRead, BufReader};

use tollgate_domain::matching::Place;

use super::Setback;
use crate::flows::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::bills::BillRow;
use crate::store::bills::rows::{self, BadLine, RowRow};

/// Rows of one transaction.
const BATCH: usize = 2_000;

/// Writes the spooled rows and the bad lines as the edition of the running try.
pub(super) async fn load(
    gateway: &Gateway,
    bill: &BillRow,
    spool: File,
    bad_lines: &[BadLine],
) -> Result<(), Setback> {
    let mut lines = BufReader::with_capacity(256 << 10, spool).lines();
    loop {
        let mut batch: Vec<RowRow> = Vec::with_capacity(BATCH);
        for line in lines.by_ref().take(BATCH) {
            batch.push(serde_json::from_str(&line?)?);
        }
        if batch.is_empty() {
            break;
        }
        if let Some(place) = write(gateway, bill, &batch).await? {
            let Place { file, line } = place;
            let reason = format!("line {line} of file {file} came twice");
            return Err(Setback::Rejected(reason));
        }
    }
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                for bad in bad_lines {
                    rows::insert_bad_line(tx.sql(), bill, bad).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(())
}

/// Writes a batch. Gives the place of a row that is there already.
async fn write(gateway: &Gateway, bill: &BillRow, batch: &[RowRow]) -> Flow<Option<Place>> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                for row in batch {
                    if !rows::insert(tx.sql(), bill, row).await? {
                        return Ok(Some(row.place()));
                    }
                }
                Ok(None)
            })
        })
        .await
}

/// Takes away what tries left that came to nothing, and what a newer edition replaced.
pub(super) async fn sweep(gateway: &Gateway, bill: &BillRow) -> Flow<()> {
    loop {
        let more = gateway
            .store
            .write::<bool, FlowError, _>(move |tx| {
                Box::pin(async move { Ok(rows::sweep(tx.sql(), bill).await?) })
            })
            .await?;
        if !more {
            return Ok(());
        }
    }
}
