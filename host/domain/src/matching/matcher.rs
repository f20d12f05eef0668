//! The comparison itself.

use crate::matching::difference::{DifferenceKind, Discrepancy, Said, Subject};
use crate::matching::index::Index;
use crate::matching::period::Window;
use crate::matching::record::{OurPayment, OurRefund, Record};
use crate::matching::row::{Place, RowKind, RowStatus, StatementRow};
use crate::money::Money;
use crate::time::Moment;

/// How far the two sides may be apart without being called different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// Milliseconds between our time of a success and the row's.
    pub time_ms: i64,
    /// Milliseconds around a period's two ends within which a payment may be in either bill.
    pub edge_ms: i64,
    /// Minor units between the expected fee and the row's: providers round in their own ways.
    pub fee_minor: i64,
}

impl Tolerance {
    /// What is used where nobody chose: five minutes, ten minutes, one minor unit.
    pub const USUAL: Tolerance = Tolerance { time_ms: 300_000, edge_ms: 600_000, fee_minor: 1 };
}

/// A record and the row that speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Match {
    /// Our record.
    pub subject: Subject,
    /// The bill's row.
    pub place: Place,
}

/// One result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// The two sides agree that this money moved.
    Matched(Match),
    /// They differ.
    Differs(Discrepancy),
    /// Too close to the period's end: the next bill may tell of it.
    CarriedOver(Subject),
}

/// The row that speaks for a record, as far as it is compared. Rows are ordered by how well they agree.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Claim {
    rank: (RowStatus, u8, bool, Place),
    gross: Money,
    fee: Option<Money>,
    net: Option<Money>,
    at: Option<Moment>,
}

/// Compares a bill with our records.
pub struct Matcher {
    window: Option<Window>,
    tolerance: Tolerance,
    records: Vec<(Record, Option<Claim>)>,
    payments: Index,
    payments_there: Index,
    refunds: Index,
    refunds_there: Index,
}

impl Matcher {
    /// For a bill about `window`; none where a bill is a batch and its absence of a row proves nothing.
    pub fn new(window: Option<Window>, tolerance: Tolerance) -> Matcher {
        Matcher {
            window,
            tolerance,
            records: Vec::new(),
            payments: Index::new(),
            payments_there: Index::new(),
            refunds: Index::new(),
            refunds_there: Index::new(),
        }
    }

    /// Adds a payment; one that is there already is left as it is.
    pub fn add_payment(&mut self, payment: OurPayment) {
        self.add(payment.into());
    }

    /// Adds a refund; one that is there already is left as it is.
    pub fn add_refund(&mut self, refund: OurRefund) {
        self.add(refund.into());
    }

    fn add(&mut self, record: Record) {
        let (ours, theirs) = match record.subject {
            Subject::Payment(_) => (&mut self.payments, &mut self.payments_there),
            Subject::Refund(_) => (&mut self.refunds, &mut self.refunds_there),
        };
        let is_there = |at: u32| self.records[at as usize].0.subject == record.subject;
        if ours.find(&record.reference).any(is_there) {
            return;
        }
        let at = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        ours.add(&record.reference, at);
        if let Some(reference) = &record.provider_reference {
            theirs.add(reference, at);
        }
        self.records.push((record, None));
    }

    /// Takes a record back whose reference or amount has changed since it was added: nothing is found about it. Looks
    /// through all records, so it is for the rare case.
    pub fn withdraw(&mut self, subject: Subject) {
        for (record, claim) in &mut self.records {
            if record.subject == subject {
                (record.is_done, *claim) = (false, None);
            }
        }
    }

    /// Whether our records may hold a counterpart of `row` that was not added: it is not found by our reference, so
    /// who keeps the records looks there, and adds what it finds before the row is taken.
    pub fn misses(&self, row: &StatementRow) -> bool {
        row.kind.has_counterpart() && self.by_our_reference(row).is_none()
    }

    /// Takes a row. Gives a difference that does not depend on what is still to come.
    pub fn take(&mut self, row: &StatementRow) -> Option<Discrepancy> {
        if !row.kind.has_counterpart() {
            return None;
        }
        let moved = row.status == RowStatus::Succeeded;
        let at = self.by_our_reference(row).or_else(|| self.by_provider_reference(row));
        let Some(at) = at else {
            return moved.then(|| unknown_here(row));
        };
        let (record, claimed) = &mut self.records[at as usize];
        let claim = Claim {
            rank: (row.status, agreement(record, row), row.gross != record.gross, row.place),
            gross: row.gross,
            fee: row.fee,
            net: row.net,
            at: row.at,
        };
        let loser = match claimed.replace(claim) {
            // An earlier bill has settled this money: whatever comes again is once too often.
            _ if record.settled_elsewhere => {
                *claimed = None;
                Some(claim)
            }
            None => None,
            Some(other) if other.rank < claim.rank => {
                *claimed = Some(other);
                Some(claim)
            }
            Some(other) => Some(other),
        };
        let loser = loser.filter(|claim| claim.rank.0 == RowStatus::Succeeded)?;
        Some(Discrepancy {
            kind: DifferenceKind::Duplicate,
            subject: Some(record.subject),
            place: Some(loser.rank.3),
            ours: Some(Said::Amount(record.gross)),
            theirs: Some(Said::Amount(loser.gross)),
        })
    }

    fn by_our_reference(&self, row: &StatementRow) -> Option<u32> {
        let (index, text) = match row.kind {
            RowKind::Payment => (&self.payments, &row.payment_ref),
            _ => (&self.refunds, &row.refund_ref),
        };
        let text = text.as_deref()?;
        index.find(text).find(|at| {
            let record = &self.records[*at as usize].0;
            *record.reference == *text && of_same_payment(record, row)
        })
    }

    fn by_provider_reference(&self, row: &StatementRow) -> Option<u32> {
        let (index, text) = match row.kind {
            RowKind::Payment => (&self.payments_there, &row.provider_ref),
            _ => (&self.refunds_there, &row.provider_refund_ref),
        };
        let text = text.as_deref()?;
        let is_meant = |record: &Record| {
            record.provider_reference.as_deref() == Some(text) && of_same_payment(record, row)
        };
        // Two records under one reference of theirs should not be; if they are, the first one counts.
        let records = index.find(text).filter(|at| is_meant(&self.records[*at as usize].0));
        records.min_by_key(|at| self.records[*at as usize].0.subject)
    }

    /// Everything that was found, the differences of [`take`](Self::take) aside: a result for each record, by id.
    pub fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        let mut order: Vec<u32> = (0..).take(self.records.len()).collect();
        order.sort_unstable_by_key(|at| self.records[*at as usize].0.subject);
        order.into_iter().flat_map(|at| {
            let (record, claim) = &self.records[at as usize];
            match claim {
                Some(claim) => self.compare(record, claim),
                None => self.unclaimed(record).into_iter().collect(),
            }
        })
    }

    fn unclaimed(&self, record: &Record) -> Option<Finding> {
        let (window, completed) = (self.window?, record.completed?);
        if !record.is_done || record.settled_elsewhere {
            return None;
        }
        let edge = self.tolerance.edge_ms;
        let near =
            |end: Moment| completed >= end.plus_millis(-edge) && completed < end.plus_millis(edge);
        if near(window.end) {
            return Some(Finding::CarriedOver(record.subject));
        }
        // What was too close to the end of the period before is settled here, if that one was compared.
        let begins_before = window.previous_compared && near(window.start);
        if !begins_before && !(window.start..window.end).contains(&completed) {
            return None;
        }
        Some(Finding::Differs(Discrepancy {
            kind: DifferenceKind::MissingThere,
            subject: Some(record.subject),
            place: None,
            ours: Some(Said::Amount(record.gross)),
            theirs: None,
        }))
    }

    fn compare(&self, record: &Record, claim: &Claim) -> Vec<Finding> {
        let (status, _, _, place) = claim.rank;
        let differs = |kind, ours: Said, theirs: Said| {
            Finding::Differs(Discrepancy {
                kind,
                subject: Some(record.subject),
                place: Some(place),
                ours: Some(ours),
                theirs: Some(theirs),
            })
        };
        let ours_stands = Said::Status(record.state);
        match (record.is_done, status) {
            // Neither side says that money moved.
            (false, RowStatus::Pending | RowStatus::Failed) => return vec![],
            (false, RowStatus::Succeeded) => {
                let theirs = Said::Amount(claim.gross);
                return vec![differs(DifferenceKind::MissingHere, ours_stands, theirs)];
            }
            (true, RowStatus::Pending | RowStatus::Failed) => {
                let theirs = Said::Status(status.as_str());
                return vec![differs(DifferenceKind::Status, ours_stands, theirs)];
            }
            (true, RowStatus::Succeeded) => {}
        }
        let mut findings = Vec::with_capacity(1);
        if claim.gross == record.gross {
            let subject = record.subject;
            findings.push(Finding::Matched(Match { subject, place }));
        } else {
            let (ours, theirs) = (Said::Amount(record.gross), Said::Amount(claim.gross));
            findings.push(differs(DifferenceKind::Amount, ours, theirs));
        }
        if let (Some(ours), Some(theirs)) = (record.completed, claim.at)
            && ours.millis_since(theirs).saturating_abs() > self.tolerance.time_ms
        {
            let (ours, theirs) = (Said::Time(ours), Said::Time(theirs));
            findings.push(differs(DifferenceKind::Time, ours, theirs));
        }
        if let Some((ours, theirs)) = self.fee_difference(record, claim) {
            findings.push(differs(DifferenceKind::Fee, Said::Fee(ours), Said::Fee(theirs)));
        }
        findings
    }

    /// The fee that is due and the row's, if they differ.
    fn fee_difference(&self, record: &Record, claim: &Claim) -> Option<(Money, Money)> {
        let fee = claim.fee?;
        if let Some(expected) = record.expected_fee
            && fee.currency == record.gross.currency
            && fee.minor.saturating_sub(expected).saturating_abs() > self.tolerance.fee_minor
        {
            return Some((Money::new(expected, fee.currency), fee));
        }
        // Fee and net together may be less than the gross, since a discount that the merchant gave lies between;
        // they cannot be more.
        let net = claim.net.filter(|net| net.currency == fee.currency)?;
        if claim.gross.currency != fee.currency {
            return None;
        }
        let left = i128::from(claim.gross.minor) - i128::from(net.minor);
        let is_too_much = match claim.gross.minor {
            ..0 => i128::from(fee.minor) < left,
            0.. => i128::from(fee.minor) > left,
        };
        let left = i64::try_from(left).ok()?;
        is_too_much.then_some((Money::new(left, fee.currency), fee))
    }
}

/// 0: the row names the provider's reference that we know; 1: one side names none; 2: it names another.
fn agreement(record: &Record, row: &StatementRow) -> u8 {
    let theirs = match record.subject {
        Subject::Payment(_) => &row.provider_ref,
        Subject::Refund(_) => &row.provider_refund_ref,
    };
    match (record.provider_reference.as_deref(), theirs.as_deref()) {
        (Some(known), Some(named)) if known == named => 0,
        (Some(_), Some(_)) => 2,
        (None, _) | (_, None) => 1,
    }
}

/// Whether a row of a refund names its payment, or at least no other one.
fn of_same_payment(record: &Record, row: &StatementRow) -> bool {
    let Some((ours, theirs)) = &record.payment else {
        return true;
    };
    let by_ours = row.payment_ref.as_deref().map(|named| *named == **ours);
    let by_theirs = match (row.provider_ref.as_deref(), theirs.as_deref()) {
        (Some(named), Some(known)) => Some(named == known),
        (None, _) | (_, None) => None,
    };
    match (by_ours, by_theirs) {
        (None, None) => true,
        (ours, theirs) => ours == Some(true) || theirs == Some(true),
    }
}

fn unknown_here(row: &StatementRow) -> Discrepancy {
    Discrepancy {
        kind: DifferenceKind::MissingHere,
        subject: None,
        place: Some(row.place),
        ours: None,
        theirs: Some(Said::Amount(row.gross)),
    }
}
