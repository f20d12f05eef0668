//! What a comparison found, written where it is new: marks and their events, differences by their keys.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use tollgate_domain::ids::OrderId;
use tollgate_domain::matching::{DifferenceKind, Discrepancy, Match, Place, Said, Subject};

use crate::flows::{Flow, FlowError, learn};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::bills::{BillRow, rows};
use crate::store::reconciliations::marks::{self, Mark};
use crate::store::reconciliations::{self, DiscrepancyRow, ReconciliationRow};
use crate::store::{Sql, Tx, orders, payments, refunds};

/// Findings that are written in one transaction.
const BATCH: usize = 50;

/// Known differences that are read at a time.
const PAGE: i64 = 2_000;

const OPEN: &str = "open";
const GONE: &str = "gone";

/// One thing to be written.
enum Write {
    /// A payment or refund that the bill settles.
    Mark(Match),
    /// One that it settles no more.
    Clear(Subject),
    /// A difference that was not known.
    New(DiscrepancyRow),
    /// A known one that looks different now.
    Changed(DiscrepancyRow),
}

/// Gathers what is to be written.
pub(super) struct Findings<'a> {
    bill: &'a BillRow,
    reconciliation: &'a ReconciliationRow,
    /// Differences that earlier runs found, by key, as long as this run has not found them.
    known: HashMap<String, DiscrepancyRow>,
    writes: Vec<Write>,
    open: i64,
}

impl<'a> Findings<'a> {
    /// With what earlier runs found.
    pub async fn read(
        sql: &mut Sql,
        bill: &'a BillRow,
        reconciliation: &'a ReconciliationRow,
    ) -> Flow<Findings<'a>> {
        let (merchant, id) = (reconciliation.merchant_id, reconciliation.id);
        let mut known = HashMap::new();
        let mut after = String::new();
        loop {
            let page = reconciliations::discrepancies(sql, merchant, id, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id.to_string();
            known.extend(page.into_iter().map(|row| (row.key.clone(), row)));
        }
        Ok(Findings { bill, reconciliation, known, writes: Vec::new(), open: 0 })
    }

    /// A record and its row; `known`: the line that marks it already.
    pub fn matched(&mut self, found: Match, known: Option<i64>) {
        let is_marked = known == Some(line(found.place));
        if !is_marked || self.reconciliation.edition != self.bill.edition {
            self.writes.push(Write::Mark(found));
        }
    }

    /// A record that this bill had settled.
    pub fn unsettled(&mut self, subject: Subject) {
        self.writes.push(Write::Clear(subject));
    }

    /// A difference.
    pub fn differs(&mut self, gateway: &Gateway, found: &Discrepancy) {
        self.open += 1;
        let now = gateway.store.now();
        let key = found.key();
        let (payment_id, refund_id) = match found.subject {
            Some(Subject::Payment(id)) => (Some(id.to_string()), None),
            Some(Subject::Refund(id)) => (None, Some(id.to_string())),
            None => (None, None),
        };
        let known = self.known.remove(&key);
        let row = DiscrepancyRow {
            id: known.as_ref().map_or_else(|| gateway.chance.id(now), |row| row.id),
            key,
            kind: found.kind,
            payment_id,
            refund_id,
            file: found.place.map(|place| i64::from(place.file)),
            line: found.place.map(line),
            ours: found.ours.map(said),
            theirs: found.theirs.map(said),
            state: OPEN.to_owned(),
            created_at: known.as_ref().map_or(now, |row| row.created_at),
            updated_at: known.as_ref().map_or(now, |row| row.updated_at),
        };
        match known {
            None => self.writes.push(Write::New(row)),
            Some(known) if known != row => {
                self.writes.push(Write::Changed(DiscrepancyRow { updated_at: now, ..row }));
            }
            Some(_) => {}
        }
    }

    /// Writes, once there is enough for a transaction.
    pub async fn flush_if_many(&mut self, gateway: &Gateway) -> Flow<()> {
        if self.writes.len() >= BATCH { self.flush(gateway).await } else { Ok(()) }
    }

    /// Writes the rest; what earlier runs found and this one did not is gone. Gives how many differences are open.
    pub async fn finish(&mut self, gateway: &Gateway) -> Flow<i64> {
        let updated_at = gateway.store.now();
        for (_, row) in std::mem::take(&mut self.known) {
            if row.state == OPEN {
                let row = DiscrepancyRow { state: GONE.to_owned(), updated_at, ..row };
                self.writes.push(Write::Changed(row));
            }
        }
        self.flush(gateway).await?;
        Ok(self.open)
    }

    async fn flush(&mut self, gateway: &Gateway) -> Flow<()> {
        let writes = std::mem::take(&mut self.writes);
        for batch in writes.chunks(BATCH) {
            let this = &*self;
            gateway
                .store
                .write::<(), FlowError, _>(move |tx| {
                    Box::pin(async move {
                        for write in batch {
                            this.write(tx, gateway, write).await?;
                        }
                        Ok(())
                    })
                })
                .await?;
        }
        Ok(())
    }

    async fn write(&self, tx: &mut Tx<'_>, gateway: &Gateway, write: &Write) -> Flow<()> {
        let now = gateway.store.now();
        match write {
            Write::Mark(found) => self.mark(tx, gateway, *found).await,
            Write::Clear(subject) => {
                let (merchant, bill) = (self.bill.merchant_id, self.bill.id);
                Ok(marks::clear(tx.sql(), merchant, *subject, bill, now).await?)
            }
            Write::New(row) => {
                reconciliations::insert_discrepancy(tx.sql(), self.reconciliation, row).await?;
                self.ask_about(tx, gateway, row).await
            }
            Write::Changed(row) => {
                Ok(reconciliations::update_discrepancy(tx.sql(), self.reconciliation, row).await?)
            }
        }
    }

    /// Money that moved there and is not done here: the provider is asked what became of it.
    async fn ask_about(
        &self,
        tx: &mut Tx<'_>,
        gateway: &Gateway,
        row: &DiscrepancyRow,
    ) -> Flow<()> {
        let (kind, subject) = match (row.kind, &row.payment_id, &row.refund_id) {
            (DifferenceKind::MissingHere, Some(payment), _) => (Kind::QueryPayment, payment),
            (DifferenceKind::MissingHere, None, Some(refund)) => (Kind::QueryRefund, refund),
            _ => return Ok(()),
        };
        let (merchant, account) = (self.bill.merchant_id, self.bill.account_id);
        let now = gateway.store.now();
        learn::put_job_about(tx, gateway, merchant, account, kind, subject, now).await
    }

    /// Marks a payment or refund as settled by the bill, and tells the merchant once.
    async fn mark(&self, tx: &mut Tx<'_>, gateway: &Gateway, found: Match) -> Flow<()> {
        let bill = self.bill;
        let mark = Mark { bill: bill.id, line: line(found.place), day: &bill.period };
        let (merchant, now) = (bill.merchant_id, gateway.store.now());
        let (order, kind, mut data): (OrderId, _, _) = match found.subject {
            Subject::Payment(id) => {
                let row = payments::must(tx.sql(), merchant, id).await?;
                (row.order_id, "payment.reconciled", json!({ "payment_id": id }))
            }
            Subject::Refund(id) => {
                let row = refunds::must(tx.sql(), merchant, id).await?;
                let data = json!({ "refund_id": id, "payment_id": row.payment_id });
                (row.order_id, "refund.reconciled", data)
            }
        };
        orders::lock(tx.sql(), merchant, order).await?;
        rows::speaks_for(tx.sql(), bill, found.place, found.subject).await?;
        if !marks::set(tx.sql(), merchant, found.subject, mark, now).await? {
            return Ok(());
        }
        data["order_id"] = json!(order);
        data["bill_id"] = json!(mark.bill);
        data["line"] = json!(mark.line);
        data["day"] = json!(mark.day);
        learn::announce(tx, gateway, merchant, Some(order), kind, data).await
    }
}

/// What a comparison's bill has a row of that another amount or status keeps from settling our record.
pub(super) async fn told_otherwise(
    sql: &mut Sql,
    compared: &ReconciliationRow,
) -> Flow<HashSet<Subject>> {
    let mut told = HashSet::new();
    let mut after = String::new();
    loop {
        let (merchant, id) = (compared.merchant_id, compared.id);
        let page = reconciliations::discrepancies(sql, merchant, id, &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(told) };
        after = last.id.to_string();
        let is_meant = |row: &&DiscrepancyRow| {
            row.state == OPEN && matches!(row.kind, DifferenceKind::Amount | DifferenceKind::Status)
        };
        told.extend(page.iter().filter(is_meant).filter_map(subject));
    }
}

/// Whom a difference is about.
fn subject(row: &DiscrepancyRow) -> Option<Subject> {
    match (&row.payment_id, &row.refund_id) {
        (_, Some(refund)) => refund.parse().ok().map(Subject::Refund),
        (Some(payment), None) => payment.parse().ok().map(Subject::Payment),
        (None, None) => None,
    }
}

fn line(place: Place) -> i64 {
    i64::try_from(place.line).unwrap_or(i64::MAX)
}

/// What one side says, as JSON.
fn said(said: Said) -> String {
    let said = match said {
        Said::Amount(money) => json!({ "amount": money.minor, "currency": money.currency }),
        Said::Fee(money) => json!({ "fee": money.minor, "currency": money.currency }),
        Said::Status(word) => json!({ "state": word }),
        Said::Time(moment) => json!({ "at": moment }),
    };
    said.to_string()
}
