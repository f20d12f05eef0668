//! What holds of bills and their comparison, once all that moved is in a bill and each bill was compared.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AssertSqlSafe;
use tollgate::store::Sql;
use tollgate_domain::ids::AccountId;
use tollgate_domain::matching::{DifferenceKind, Period, PeriodKind, Zone};
use tollgate_domain::time::Moment;

use crate::picture::Broken;
use crate::provider::Provider;
use crate::provider::bills::{Planted, day_of, ready_at};

const COMPARED: &str = "SELECT r.period, r.id, r.state, r.discrepancies, coalesce(r.bill_id, ''), coalesce(b.complete, 0) \
     FROM reconciliations r LEFT JOIN bills b ON b.merchant_id = r.merchant_id AND b.id = r.bill_id \
     WHERE r.account_id = $1 ORDER BY r.period";
const LISTED: &str = "SELECT d.reconciliation_id, d.kind, coalesce(f.reference, p.reference, 'line ' || d.line) FROM discrepancies d \
     JOIN reconciliations r ON r.id = d.reconciliation_id LEFT JOIN payments p ON p.id = d.payment_id \
     LEFT JOIN refunds f ON f.id = d.refund_id WHERE r.account_id = $1 AND d.state = 'open'";
const MOVED: &str = "SELECT reference, taken, succeeded_at, coalesce(bill_id, '') FROM payments WHERE account_id = $1 AND taken > 0 \
     UNION ALL SELECT reference, -amount, succeeded_at, coalesce(bill_id, '') FROM refunds WHERE account_id = $1 AND state = 'succeeded' AND reversed_at IS NULL";

/// A day's comparison as it lies in the database.
#[derive(Debug)]
struct Compared {
    day: Period,
    state: String,
    bill: String,
    is_complete: bool,
    counted: i64,
    listed: Vec<(DifferenceKind, String)>,
}

/// Money of ours that moved.
#[derive(Debug)]
struct Moved {
    reference: String,
    minor: i64,
    at: Moment,
    bill: String,
}

/// An account's comparisons, and what it moved.
#[derive(Debug)]
pub struct Books {
    compared: Vec<Compared>,
    moved: Vec<Moved>,
}

impl Books {
    /// Reads an account's.
    pub async fn read(sql: &mut Sql, account: AccountId) -> Result<Books, Broken> {
        let account = account.to_string();
        let broken = |error: sqlx::Error| error.to_string();
        let rows: Vec<(String, String, String, i64, String, i64)> =
            sqlx::query_as(COMPARED).bind(&account).fetch_all(&mut *sql).await.map_err(broken)?;
        let listed: Vec<(String, String, String)> =
            sqlx::query_as(LISTED).bind(&account).fetch_all(&mut *sql).await.map_err(broken)?;
        let moved: Vec<(String, i64, i64, String)> =
            sqlx::query_as(MOVED).bind(&account).fetch_all(&mut *sql).await.map_err(broken)?;
        let zone: Zone = "+08:00".parse().unwrap();
        let compared = rows.into_iter().map(|(day, id, state, counted, bill, complete)| Compared {
            day: Period::parse(PeriodKind::Day, &zone, &day).unwrap(),
            state,
            bill,
            is_complete: complete == 1,
            counted,
            listed: listed
                .iter()
                .filter(|(of, ..)| *of == id)
                .map(|(_, kind, about)| (kind.parse().unwrap(), about.clone()))
                .collect(),
        });
        let moved = moved.into_iter().map(|(reference, minor, at, bill)| Moved {
            reference,
            minor,
            at: Moment(at),
            bill,
        });
        Ok(Books { compared: compared.collect(), moved: moved.collect() })
    }
}

/// Before anybody compares by hand: each day that is over was compared by itself, unless its bill cannot be trusted.
pub fn by_itself(books: &Books, now: Moment) -> Result<(), Broken> {
    let due = books.compared.iter().filter(|one| ready_at(&one.day) <= now);
    let mut late = due.filter(|one| !matches!(one.state.as_str(), "done" | "bill_rejected"));
    match late.next() {
        Some(one) => Err(format!("23: nobody compares {one:?}")),
        None => Ok(()),
    }
}

/// 18 and 31: each bill's comparison lists what is wrong with the bill and nothing else, and what it does not list adds up.
pub fn check(books: &Books, provider: &Provider, shop: usize, now: Moment) -> Result<(), Broken> {
    for one in books.compared.iter().filter(|one| ready_at(&one.day) <= now) {
        let day = one.day.name();
        if one.state != "done" || !one.is_complete {
            return Err(format!("31: the bill of {day} is {}: {one:?}", one.state));
        }
        differences(books, one, &provider.planted(shop, &one.day), provider)?;
        // What lies in the bill is what it settles here, and what its flaws explain.
        let settled = books.moved.iter().filter(|moved| moved.bill == one.bill);
        let settled: i64 = settled.map(|moved| moved.minor).sum();
        let (billed, explained) = provider.billed(shop, &one.day);
        if billed != settled + explained {
            return Err(format!("18: {day} has {billed}, settles {settled}, lists {explained}"));
        }
    }
    every_day_is_theirs(books, provider, shop)
}

/// 31: what is listed is what is wrong.
fn differences(
    books: &Books,
    one: &Compared,
    planted: &BTreeSet<Planted>,
    provider: &Provider,
) -> Result<(), Broken> {
    let (day, count) = (one.day.name(), one.listed.len());
    let found: BTreeSet<_> = one.listed.iter().cloned().collect();
    let wanted: BTreeSet<_> = planted.iter().map(|flaw| (flaw.kind, flaw.about.clone())).collect();
    if one.counted != count as i64 || count != found.len() {
        return Err(format!("31: {day} says {}, and lists {:?}", one.counted, one.listed));
    }
    // A success that only its reversal told of has the time of that.
    let is_guess = |one: &&(DifferenceKind, String)| {
        one.0 == DifferenceKind::Time && provider.took_back(&one.1)
    };
    let missed: Vec<_> = wanted.difference(&found).collect();
    let beyond: Vec<_> = found.difference(&wanted).filter(|one| !is_guess(one)).collect();
    if missed.is_empty() && beyond.is_empty() {
        return Ok(());
    }
    let is_meant = |moved: &&Moved| beyond.iter().any(|one| one.1 == moved.reference);
    let ours: Vec<_> = books.moved.iter().filter(is_meant).collect();
    Err(format!("31: of {day}, {missed:?} is not found, and {beyond:?} is none: {ours:?}"))
}

/// 18: day by day their money is ours.
fn every_day_is_theirs(books: &Books, provider: &Provider, shop: usize) -> Result<(), Broken> {
    let mut ours: BTreeMap<String, i64> = BTreeMap::new();
    for moved in books.moved.iter().filter(|moved| !provider.took_back(&moved.reference)) {
        *ours.entry(day_of(moved.at).name().to_owned()).or_default() += moved.minor;
    }
    let theirs = provider.sums(shop);
    if ours == theirs {
        return Ok(());
    }
    Err(format!("18: ours by day is {ours:?}, theirs {theirs:?}: {:?}", books.moved))
}

/// Every row of every table, as text.
pub type Dump = BTreeMap<String, BTreeSet<String>>;

/// Reads the whole database.
pub async fn dump(sql: &mut Sql) -> Result<Dump, Broken> {
    let broken = |error: sqlx::Error| error.to_string();
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT t.name, group_concat('quote(\"' || c.name || '\")', ' || '','' || ') FROM sqlite_master t \
         JOIN pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name",
    )
    .fetch_all(&mut *sql)
    .await
    .map_err(broken)?;
    let mut dump = Dump::new();
    for (table, columns) in columns {
        let statement = format!("SELECT {columns} FROM \"{table}\"");
        let rows: Vec<(String,)> =
            sqlx::query_as(AssertSqlSafe(statement)).fetch_all(&mut *sql).await.map_err(broken)?;
        dump.insert(table, rows.into_iter().map(|(row,)| row).collect());
    }
    Ok(dump)
}

/// 30: comparing again changed nothing.
pub fn same(before: &Dump, after: &Dump) -> Result<(), Broken> {
    for (table, rows) in after {
        let was = before.get(table);
        if let Some(new) = rows.iter().find(|row| was.is_none_or(|was| !was.contains(*row))) {
            return Err(format!("30: comparing again wrote to {table}: {new}"));
        }
        if was.is_some_and(|was| was.len() != rows.len()) {
            return Err(format!("30: comparing again took rows from {table}"));
        }
    }
    Ok(())
}
