//! One comparison: our records into the matcher, the bill's rows past it, what it finds into the database.

use std::collections::{HashMap, HashSet};

use tollgate_domain::matching::{
    FeeTerms, Finding, Matcher, OurPayment, OurRefund, Period, RowKind, StatementRow, Subject,
    Tolerance, Window,
};
use tollgate_domain::money::Money;
use tollgate_domain::time::Moment;

use super::findings::{self, Findings};
use super::told::{self, Told};
use super::{asking, put_job, write};
use crate::flows::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::Sql;
use crate::store::bills::{BillRow, rows};
use crate::store::reconciliations::records::{self, Owner, PaymentRecord, RefundRecord, Stretch};
use crate::store::reconciliations::{self, ReconciliationRow, ReconciliationState};

/// Rows that are read at a time.
const PAGE: i64 = 2_000;

/// Our side, and what a comparison needs to know beside the rows.
struct Books<'a> {
    owner: Owner,
    bill: &'a BillRow,
    terms: Option<FeeTerms>,
    matcher: Matcher,
    /// What this bill has settled before, with the line that it named.
    settled: HashMap<Subject, i64>,
    /// What the bill before tells of in another way than our records: no later one tells of it again.
    told_before: HashSet<Subject>,
}

/// Compares, and writes what is new.
pub(super) async fn compare(
    gateway: &Gateway,
    period: &Period,
    bill: &BillRow,
    before: ReconciliationRow,
) -> Flow<ReconciliationRow> {
    let merchant = bill.merchant_id;
    let tolerance = Tolerance::USUAL;
    let mut sql = gateway.store.read().await?;
    let previous = match period.previous() {
        Some(previous) => {
            let (account, kind) = (bill.account_id, bill.kind.as_str());
            let found = reconciliations::find(&mut sql, merchant, account, kind, previous.name());
            found.await?.filter(|row| row.state == ReconciliationState::Done)
        }
        None => None,
    };
    let window = period.window(previous.is_some());
    let told_before = match &previous {
        Some(previous) => findings::told_otherwise(&mut sql, previous).await?,
        None => HashSet::new(),
    };
    let mut books = Books {
        owner: Owner { merchant, account: bill.account_id },
        bill,
        terms: reconciliations::fee_terms(&mut sql, merchant, bill.account_id).await?,
        matcher: Matcher::new(window, tolerance),
        settled: HashMap::new(),
        told_before,
    };
    if let Some(window) = window {
        books.read_window(&mut sql, window, tolerance).await?;
    }
    let mut findings = Findings::read(&mut sql, bill, &before).await?;
    books.take_rows(gateway, &mut sql, &mut findings).await?;
    drop(sql);
    let (matched, carried) = books.settle(gateway, &mut findings).await?;
    let row = ReconciliationRow {
        bill_id: Some(bill.id.to_string()),
        state: ReconciliationState::Done,
        reason: None,
        edition: bill.edition,
        rows: bill.rows,
        matched,
        carried,
        discrepancies: findings.finish(gateway).await?,
        ..before.clone()
    };
    let was_done = before.state == ReconciliationState::Done && before.edition == bill.edition;
    if let Some(window) = window.filter(|_| !was_done) {
        asking::ask_again(gateway, bill, window).await?;
    }
    let row = write(gateway, bill, before, row).await?;
    if !was_done {
        look_at_next_again(gateway, period, &row).await?;
    }
    Ok(row)
}

impl Books<'_> {
    /// Reads what succeeded in the bill's period, or so close to it that this bill may tell of it.
    async fn read_window(
        &mut self,
        sql: &mut Sql,
        window: Window,
        tolerance: Tolerance,
    ) -> Flow<()> {
        let start = Stretch {
            from: window.start.plus_millis(-tolerance.edge_ms).0,
            after: String::new(),
            until: window.end.plus_millis(tolerance.edge_ms).0,
            limit: PAGE,
        };
        let mut stretch = start.clone();
        loop {
            let page = records::payments_between(sql, self.owner, &stretch).await?;
            let Some(last) = page.last() else { break };
            (stretch.from, stretch.after) = (last.succeeded_at.unwrap_or(0), last.id.to_string());
            page.into_iter().for_each(|record| self.add_payment(record));
        }
        let mut stretch = start;
        loop {
            let page = records::refunds_between(sql, self.owner, &stretch).await?;
            let Some(last) = page.last() else { break };
            (stretch.from, stretch.after) = (last.succeeded_at.unwrap_or(0), last.id.to_string());
            page.into_iter().for_each(|record| self.add_refund(record));
        }
        Ok(())
    }

    fn add_payment(&mut self, record: PaymentRecord) {
        let minor = if record.taken > 0 { record.taken } else { record.amount };
        let mark = (record.bill_id, record.bill_line, record.bill_kind);
        let settled_elsewhere = self.is_told_elsewhere(Subject::Payment(record.id), mark);
        self.matcher.add_payment(OurPayment {
            id: record.id,
            reference: record.reference,
            provider_reference: record.provider_ref,
            amount: Money::new(minor, record.currency),
            state: record.state,
            completed: record.succeeded_at.map(Moment),
            expected_fee: self.terms.and_then(|terms| terms.of(minor)),
            settled_elsewhere,
        });
    }

    fn add_refund(&mut self, record: RefundRecord) {
        let mark = (record.bill_id, record.bill_line, record.bill_kind);
        let settled_elsewhere = self.is_told_elsewhere(Subject::Refund(record.id), mark);
        self.matcher.add_refund(OurRefund {
            id: record.id,
            reference: record.reference,
            provider_reference: record.provider_ref,
            payment_reference: record.payment_reference,
            payment_provider_reference: record.payment_provider_ref,
            amount: Money::new(record.amount, record.currency),
            state: record.state,
            completed: record.succeeded_at.map(Moment),
            settled_elsewhere,
        });
    }

    /// Notes what this bill has settled. True: another bill of the same kind has, or tells of it in another way. One of another
    /// kind tells of the same money in its own way, and is no reason to call this one's row a duplicate.
    fn is_told_elsewhere(
        &mut self,
        subject: Subject,
        (bill, line, kind): (Option<String>, Option<i64>, Option<String>),
    ) -> bool {
        match bill {
            Some(bill) if bill == self.bill.id.to_string() => {
                self.settled.insert(subject, line.unwrap_or(0));
                false
            }
            Some(_) => kind.as_deref() == Some(self.bill.kind.as_str()),
            None => self.told_before.contains(&subject),
        }
    }

    /// Passes every row of the bill by the matcher.
    async fn take_rows(
        &mut self,
        gateway: &Gateway,
        sql: &mut Sql,
        findings: &mut Findings<'_>,
    ) -> Flow<()> {
        let (mut file, mut line) = (0, 0);
        loop {
            let page = rows::after(sql, self.bill, file, line, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            (file, line) = (last.file, last.line);
            for row in page {
                let row = row.statement()?;
                if self.matcher.misses(&row) && self.look_up(gateway, sql, &row).await? {
                    continue;
                }
                if let Some(differs) = self.matcher.take(&row) {
                    findings.differs(gateway, &differs);
                }
            }
            findings.flush_if_many(gateway).await?;
        }
    }

    /// Adds what a row is about, if we have it: something of another time, or that is not done here. What happened
    /// without us is learnt first. True: the row tells of a fact that no payment and no refund stands for.
    async fn look_up(
        &mut self,
        gateway: &Gateway,
        sql: &mut Sql,
        row: &StatementRow,
    ) -> Flow<bool> {
        let owner = self.owner;
        let (ours, theirs) = match row.kind {
            RowKind::Payment => {
                let (ours, theirs) = (row.payment_ref.as_deref(), row.provider_ref.as_deref());
                if let Some(record) = records::payment(sql, owner, ours, theirs).await? {
                    self.add_payment(record);
                }
                return Ok(false);
            }
            _ => (row.refund_ref.as_deref(), row.provider_refund_ref.as_deref()),
        };
        let mut found = records::refund(sql, owner, ours, theirs).await?;
        if found.is_none() {
            match told::of(gateway, sql, self.bill, row).await? {
                Told::Nothing => {}
                Told::Refund(sums) => {
                    for sum in sums {
                        // It was added under the reference, or the amount, that it had before the row named it.
                        self.matcher.withdraw(Subject::Refund(sum));
                    }
                    found = records::refund(sql, owner, ours, theirs).await?;
                }
                Told::Fact => return Ok(true),
            }
        }
        if let Some(record) = found {
            self.add_refund(record);
        }
        Ok(false)
    }

    /// Writes what was found about each record. Gives how many matched, and how many are left to the next bill.
    async fn settle(mut self, gateway: &Gateway, findings: &mut Findings<'_>) -> Flow<(i64, i64)> {
        let (mut matched, mut carried) = (0, 0);
        // The matcher is read while what it found is written: the two share nothing else.
        let found = std::mem::replace(&mut self.matcher, Matcher::new(None, Tolerance::USUAL));
        for finding in found.findings() {
            match finding {
                Finding::Matched(found) => {
                    matched += 1;
                    let known = self.settled.remove(&found.subject);
                    findings.matched(found, known);
                }
                Finding::CarriedOver(_) => carried += 1,
                Finding::Differs(differs) => findings.differs(gateway, &differs),
            }
            findings.flush_if_many(gateway).await?;
        }
        // What an earlier edition of this bill had settled, and this one does not.
        for subject in self.settled.into_keys() {
            findings.unsettled(subject);
            findings.flush_if_many(gateway).await?;
        }
        Ok((matched, carried))
    }
}

/// The next period may have been compared before this one, and left alone what this one was to tell.
async fn look_at_next_again(
    gateway: &Gateway,
    period: &Period,
    row: &ReconciliationRow,
) -> Flow<()> {
    let Some(next) = period.next() else {
        return Ok(());
    };
    let next = next.name();
    gateway
        .store
        .write::<(), FlowError, _>(move |tx| {
            Box::pin(async move {
                let (merchant, account) = (row.merchant_id, row.account_id);
                let found =
                    reconciliations::find(tx.sql(), merchant, account, &row.kind, next).await?;
                if let Some(later) = found.filter(|row| row.state == ReconciliationState::Done) {
                    put_job(tx, gateway, &later, gateway.store.now()).await?;
                }
                Ok(())
            })
        })
        .await
}
