//! The provider's bill of a day: what moved, with flaws that were put in on purpose and are remembered. It comes late,
//! broken, or first without some of its rows; what happens around midnight may be in the bill of either day.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use tollgate_domain::matching::{DifferenceKind, FeeTerms, Period, PeriodKind, Tolerance, Zone};
use tollgate_domain::time::Moment;

use super::trade::{BackState, TradeState};
use super::{Provider, SHOPS, encode};

/// What the provider keeps of each payment, by its contract with the shops.
pub const FEE: FeeTerms = FeeTerms { rate_ppm: 6_000, fixed: 0 };
/// So long after the end of its day a bill can be had, as the manifest says.
pub const READY_AFTER_HOURS: u32 = 2;

/// The day that a moment is in, where the provider is.
pub fn day_of(moment: Moment) -> Period {
    let zone: Zone = "+08:00".parse().unwrap();
    Period::containing(PeriodKind::Day, &zone, moment).unwrap()
}

/// When the bill of that day can be had.
pub fn ready_at(day: &Period) -> Moment {
    day.ready_at(READY_AFTER_HOURS).unwrap()
}

/// What a comparison must find.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Planted {
    /// How the row differs.
    pub kind: DifferenceKind,
    /// The reference of what it is about, or its line where nobody here has that.
    pub about: String,
    /// What of the bill's sum it is that settles nothing of ours.
    pub unsettled: i64,
    /// When it happened.
    pub at: Moment,
}

/// One text of a bill.
#[derive(Clone, Debug)]
pub struct Edition {
    lines: Vec<String>,
    /// Its flaws.
    pub planted: BTreeSet<Planted>,
    /// The sum of its payments and refunds that are done.
    pub sum: i64,
}

/// A day's bill.
#[derive(Clone, Debug)]
pub struct Statement {
    from: Moment,
    first: Option<Edition>,
    /// Its last edition.
    pub last: Edition,
}

/// How it goes with bills in a seed: out of a hundred.
#[derive(Clone, Copy, Debug, Default)]
pub struct BillWhims {
    /// A bill is not there when it should be.
    pub late: u32,
    /// What comes is cut, or its total is wrong.
    pub broken: u32,
    /// It comes without some of its rows first.
    pub twice: u32,
}

/// A row before it is written.
#[derive(Clone, Debug)]
struct Row {
    kind: &'static str,
    status: &'static str,
    payment: String,
    there: String,
    refund: String,
    refund_there: String,
    amount: i64,
    fee: i64,
    at: Moment,
    /// Whether our records have a counterpart that does not come from the bill.
    is_known: bool,
}

impl Row {
    fn about(&self) -> String {
        if self.kind == "payment" { self.payment.clone() } else { self.refund.clone() }
    }

    fn key(&self) -> String {
        format!("{} {} {}", self.kind, self.payment, self.refund)
    }

    fn line(&self) -> String {
        let Row { kind, status, payment, there, refund, refund_there, amount, fee, at, .. } = self;
        format!("{kind},{status},{payment},{there},{refund},{refund_there},{amount},{fee},{at}")
    }
}

impl Provider {
    /// The body of the answer to who asks for a day's bill.
    pub(super) fn bill(&mut self, shop: &str, day: &str) -> Vec<u8> {
        let now = self.time.now();
        let zone: Zone = "+08:00".parse().unwrap();
        let period = Period::parse(PeriodKind::Day, &zone, day).unwrap();
        let absent = || encode(&vec![("status", "not-found".to_owned())]).into_bytes();
        let is_over = period.window(false).is_some_and(|window| window.end <= now);
        let Some(shop) = SHOPS.iter().position(|known| known.name == shop).filter(|_| is_over)
        else {
            return absent();
        };
        let key = (shop, day.to_owned());
        if !self.statements.contains_key(&key) {
            let statement = self.state(shop, &period);
            self.statements.insert(key.clone(), statement);
        }
        let (broken, cut) = (self.happens(self.whims.bills.broken), self.happens(50));
        let is_calm = self.whims.bills.late == 0;
        let is_first = self.whims.bills.twice > 0 && self.happens(50);
        let statement = &self.statements[&key];
        if statement.from > now && !is_calm {
            return absent();
        }
        let first = statement.first.as_ref().filter(|_| is_first);
        let Edition { lines, .. } = first.unwrap_or(&statement.last);
        let mut text = if first.is_some() { "open\n".to_owned() } else { String::new() };
        let whole = if broken && cut { lines.len() / 2 } else { lines.len() };
        lines[..whole].iter().for_each(|line| text.push_str(&format!("{line}\n")));
        match (broken, cut) {
            (true, true) => {}
            (true, false) => text.push_str(&format!("rows={}\n", lines.len() + 1)),
            (false, _) => text.push_str(&format!("rows={}\n", lines.len())),
        }
        text.into_bytes()
    }

    /// Draws up a bill.
    fn state(&mut self, shop: usize, day: &Period) -> Statement {
        let rows = self.rows_of(shop, day);
        let comes_twice = self.happens(self.whims.bills.twice);
        let part: Vec<Row> = if comes_twice {
            rows.iter().filter(|_| self.happens(70)).cloned().collect()
        } else {
            Vec::new()
        };
        let late = self.happens(self.whims.bills.late);
        let from = if late {
            self.time.now().plus_millis(self.chance.random_range(60_000..36_000_000))
        } else {
            self.time.now()
        };
        let first = comes_twice.then(|| self.edition(part, 1));
        Statement { from, first, last: self.edition(rows, 0) }
    }

    /// What happened on a day, or so close to it that its bill tells of it.
    fn rows_of(&mut self, shop: usize, day: &Period) -> Vec<Row> {
        let all = self.rows(SHOPS[shop].name);
        let window = day.window(false).unwrap();
        let edge = Tolerance::USUAL.edge_ms;
        let near = |at: Moment, end: Moment| at.millis_since(end).abs() < edge;
        let mut rows = Vec::new();
        for row in all {
            let own = day_of(row.at);
            let neighbour = match (near(row.at, window.start), near(row.at, window.end)) {
                (true, _) => day.previous(),
                (_, true) => day.next(),
                _ => None,
            };
            let is_own = own.name() == day.name();
            if !is_own && neighbour.as_ref().is_none_or(|other| other.name() != own.name()) {
                continue;
            }
            let is_free = neighbour.as_ref().is_some_and(|other| {
                !self.statements.contains_key(&(shop, other.name().to_owned()))
            });
            let moves = is_free && row.is_known && self.happens(30);
            let here = match (is_own, &neighbour) {
                (true, Some(other)) if moves => other.name(),
                (true, _) => day.name(),
                (false, _) if moves => day.name(),
                (false, _) => own.name(),
            };
            let placed = self.placed.entry(row.key()).or_insert_with(|| here.to_owned());
            if *placed == day.name() {
                rows.push(row);
            }
        }
        rows
    }

    /// Everything that moved at a shop, in order.
    fn rows(&self, shop: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        let trades = self.trades.iter().filter(|(_, trade)| trade.shop == shop);
        for (reference, trade) in trades {
            let (TradeState::Paid, Some(paid_at)) = (trade.state, trade.paid_at) else { continue };
            let row = |kind, refund: &str, refund_there: &str, amount, at, is_known| Row {
                kind,
                status: "succeeded",
                payment: reference.clone(),
                there: trade.there.clone(),
                refund: refund.to_owned(),
                refund_there: refund_there.to_owned(),
                amount,
                fee: 0,
                at,
                is_known,
            };
            let fee = FEE.of(trade.amount).unwrap_or(0);
            rows.push(Row { fee, ..row("payment", "", "", trade.amount, paid_at, true) });
            for (name, back) in &trade.backs {
                let (BackState::Done, Some(at)) = (back.state, back.done_at) else { continue };
                rows.push(row("refund", name, &back.there, -back.amount, at, !back.made_there));
            }
            if let Some(at) = trade.reversed_at {
                rows.push(row("reversal", "", "", -trade.amount, at, false));
            }
            if let Some((dispute, at)) = trade.charged_back() {
                let named = if dispute.is_named { dispute.name.as_str() } else { "" };
                rows.push(row("chargeback", "", named, -dispute.amount, at, false));
            }
        }
        rows.sort_by_key(|row| (row.at, row.key()));
        rows
    }

    /// Writes rows down, some of them wrong. `above` lines come before them.
    fn edition(&mut self, rows: Vec<Row>, above: usize) -> Edition {
        let mut edition = Edition { lines: Vec::new(), planted: BTreeSet::new(), sum: 0 };
        for row in rows {
            if row.is_known && self.happens(self.flaws) {
                self.spoil(&mut edition, row);
            } else {
                edition.add(&row);
            }
            if self.happens(self.flaws / 3) {
                let line = above + edition.lines.len() + 1;
                let name = format!("X{:023}", self.chance.random_range(0..u64::MAX));
                let (payment, there) = (name.clone(), name);
                let row = Row {
                    kind: "payment",
                    status: "succeeded",
                    payment,
                    there,
                    refund: String::new(),
                    refund_there: String::new(),
                    amount: 777,
                    fee: 5,
                    at: self.time.now(),
                    is_known: false,
                };
                edition.plant(DifferenceKind::MissingHere, format!("line {line}"), 777, row.at);
                edition.add(&row);
            }
        }
        edition
    }

    /// Writes a row down wrong.
    fn spoil(&mut self, edition: &mut Edition, mut row: Row) {
        let (about, at, amount) = (row.about(), row.at, row.amount);
        let most = if row.kind == "payment" { 6 } else { 5 };
        match self.chance.random_range(0..most) {
            0 => return edition.plant(DifferenceKind::MissingThere, about, 0, at),
            1 => {
                row.amount += if amount > 1 { -1 } else { 1 };
                edition.plant(DifferenceKind::Amount, about, row.amount, at);
            }
            2 => {
                row.status = if self.happens(50) { "pending" } else { "failed" };
                edition.plant(DifferenceKind::Status, about, 0, at);
            }
            3 => {
                edition.plant(DifferenceKind::Duplicate, about, amount, at);
                edition.add(&row);
            }
            4 => {
                row.at = at.plus_millis(4 * Tolerance::USUAL.time_ms);
                edition.plant(DifferenceKind::Time, about, 0, at);
            }
            _ => {
                row.fee += 3;
                edition.plant(DifferenceKind::Fee, about, 0, at);
            }
        }
        edition.add(&row);
    }

    /// When money last moved.
    pub fn last_moved(&self) -> Moment {
        let moments = SHOPS.iter().flat_map(|shop| self.rows(shop.name)).map(|row| row.at);
        moments.max().unwrap_or(crate::time::START)
    }

    /// Whether it took the success of a payment back.
    pub fn took_back(&self, reference: &str) -> bool {
        self.trades.get(reference).is_some_and(|trade| trade.reversed_at.is_some())
    }

    /// What moved at a shop, by day: payments less refunds, without what was taken back.
    pub fn sums(&self, shop: usize) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        let rows = self.rows(SHOPS[shop].name).into_iter();
        let counts =
            |row: &Row| matches!(row.kind, "payment" | "refund") && !self.took_back(&row.payment);
        for row in rows.filter(counts) {
            *sums.entry(day_of(row.at).name().to_owned()).or_default() += row.amount;
        }
        sums
    }

    /// The sum of a day's last bill, and what of it settles nothing of ours for its flaws.
    pub fn billed(&self, shop: usize, day: &Period) -> (i64, i64) {
        let statement = self.statements.get(&(shop, day.name().to_owned()));
        statement.map_or((0, 0), |Statement { last, .. }| {
            (last.sum, last.planted.iter().map(|flaw| flaw.unsettled).sum())
        })
    }

    /// What the comparison of a day's last bill must find: its flaws, and what was so close to the end of the day before that this
    /// bill was to tell of it.
    pub fn planted(&self, shop: usize, day: &Period) -> BTreeSet<Planted> {
        let edge = Tolerance::USUAL.edge_ms;
        let is_left_to_next = |one: &Planted, day: &Period| {
            let end = day.window(false).unwrap().end;
            one.kind == DifferenceKind::MissingThere && one.at.millis_since(end).abs() <= edge
        };
        let of = |day: &Period| {
            let statement = self.statements.get(&(shop, day.name().to_owned()));
            statement.map_or_else(BTreeSet::new, |statement| statement.last.planted.clone())
        };
        let own = of(day).into_iter().filter(|one| !is_left_to_next(one, day));
        let previous = day.previous().unwrap();
        let left = of(&previous).into_iter().filter(|one| is_left_to_next(one, &previous));
        own.chain(left).collect()
    }
}

impl Edition {
    fn add(&mut self, row: &Row) {
        if row.status == "succeeded" && matches!(row.kind, "payment" | "refund") {
            self.sum += row.amount;
        }
        self.lines.push(row.line());
    }

    fn plant(&mut self, kind: DifferenceKind, about: String, unsettled: i64, at: Moment) {
        self.planted.insert(Planted { kind, about, unsettled, at });
    }
}
