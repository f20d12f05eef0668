//! Reading a day's trade bill, a line at a time: a header, rows whose cells begin with a backtick, and a summary.

use tollgate_sdk::bills::{BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::{Summary, Total};
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::lines::{Line, Lines, clean};
use tollgate_sdk::{china_time, decimal, fault};

use crate::money;

/// Rows handed over at a time.
const BATCH: usize = 500;
/// How the header of the summary begins.
const SUMMARY: &str = "总交易单数";

/// Which cell holds what.
struct Columns {
    at: usize,
    transaction_id: usize,
    out_trade_no: usize,
    state: usize,
    currency: usize,
    refund_id: usize,
    out_refund_no: usize,
    refund_state: usize,
    fee: usize,
    total: usize,
    refunded: usize,
    settled: usize,
    settled_back: usize,
    width: usize,
}

impl Columns {
    fn of(line: &str) -> Result<Self, Fault> {
        let names: Vec<&str> = line.split(',').map(clean).collect();
        let need = |name: &str| {
            let found = names.iter().position(|column| *column == name);
            found.ok_or_else(|| fault::protocol(format!("no column `{name}`")))
        };
        Ok(Self {
            at: need("交易时间")?,
            transaction_id: need("微信订单号")?,
            out_trade_no: need("商户订单号")?,
            state: need("交易状态")?,
            currency: need("货币种类")?,
            refund_id: need("微信退款单号")?,
            out_refund_no: need("商户退款单号")?,
            refund_state: need("退款状态")?,
            fee: need("手续费")?,
            total: need("订单金额")?,
            refunded: need("申请退款金额")?,
            settled: need("应结订单金额")?,
            settled_back: need("退款金额")?,
            width: names.len(),
        })
    }
}

#[derive(Default)]
struct State {
    columns: Option<Columns>,
    batch: Vec<BillRow>,
    /// What refund rows show as the amount of the order: some samples repeat it there, and the summary adds it up.
    repeated: i64,
    /// What payments came to, and what was revoked of others.
    paid: i64,
    revoked: i64,
    is_summary: bool,
    totals: Vec<Total>,
}

/// Reads the bill.
///
/// # Errors
/// `protocol` for a file that is no trade bill; a line that cannot be read is reported and skipped.
pub fn parse<I: BillSource, O: BillSink>(
    file_name: &str,
    source: &I,
    sink: &O,
) -> Result<Summary, Fault> {
    let mut state = State::default();
    let mut lines = Lines::new(source);
    let unreadable = |reason: String| fault::unavailable(format!("bill: {reason}"));
    while let Some((number, line)) = lines.next_line().map_err(unreadable)? {
        match line {
            Line::Bad(reason) => sink.bad_line(number, reason),
            Line::Text(text) => state.line(number, text.trim_start_matches('\u{feff}'), sink)?,
        }
        if state.batch.len() >= BATCH {
            sink.rows(&state.batch).map_err(unreadable)?;
            state.batch.clear();
        }
    }
    if !state.batch.is_empty() {
        sink.rows(&state.batch).map_err(unreadable)?;
    }
    if state.totals.is_empty() {
        return Err(fault::protocol(format!("{file_name}: a trade bill without its summary")));
    }
    Ok(Summary { totals: state.totals, extra: Vec::new() })
}

impl State {
    fn line<O: BillSink>(&mut self, number: u64, text: &str, sink: &O) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Ok(());
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(text)?);
            return Ok(());
        };
        if text.starts_with(SUMMARY) {
            self.is_summary = true;
            return Ok(());
        }
        let Some(text) = text.strip_prefix('`') else {
            sink.bad_line(number, "a row that does not begin with a backtick");
            return Ok(());
        };
        // A comma within a cell does no harm: the next cell begins with a backtick.
        let cells: Vec<&str> = text.split(",`").map(clean).collect();
        if self.is_summary {
            self.totals = self.summary(&cells)?;
            return Ok(());
        }
        match row(columns, number, &cells) {
            Ok((row, repeated)) => {
                self.repeated = self.repeated.saturating_add(repeated);
                match row.kind {
                    RowKind::Payment => self.paid = self.paid.saturating_add(row.gross.minor),
                    RowKind::Other => self.revoked = self.revoked.saturating_add(row.gross.minor),
                    _ => {}
                }
                self.batch.push(row);
            }
            Err(reason) => sink.bad_line(number, &reason),
        }
        Ok(())
    }

    /// `总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额`. Whether the sum of orders
    /// holds what was revoked is not published: it may, and it may not.
    fn summary(&self, cells: &[&str]) -> Result<Vec<Total>, Fault> {
        let [count, _, _, _, _, total, refunded] = cells else {
            return Err(fault::protocol("a summary that is not of seven cells"));
        };
        let wrong = |reason: String| fault::protocol(format!("summary: {reason}"));
        let total = amount(total, "订单总金额").map_err(wrong)?.checked_sub(self.repeated);
        let holds_revoked = total == self.paid.checked_add(self.revoked);
        let total = if holds_revoked { Some(self.paid) } else { total };
        let refunded = amount(refunded, "申请退款总金额").map_err(wrong)?.checked_neg();
        let of = |kind, gross: Option<i64>| Total {
            kind: Some(kind),
            count: None,
            gross: gross.map(money::cny),
            fee: None,
        };
        let count =
            count.parse().map_err(|_| fault::protocol("summary: 总交易单数 is no number"))?;
        Ok(vec![
            Total { kind: None, count: Some(count), gross: None, fee: None },
            of(RowKind::Payment, total),
            of(RowKind::Refund, refunded),
        ])
    }
}

fn amount(text: &str, name: &str) -> Result<i64, String> {
    decimal::to_minor(text, 2).map_err(|error| format!("{name}: {error}"))
}

/// A row, and what a refund's row shows as the amount of its order.
fn row(columns: &Columns, line: u64, cells: &[&str]) -> Result<(BillRow, i64), String> {
    if cells.len() != columns.width {
        return Err(format!("{} cells under {} columns", cells.len(), columns.width));
    }
    let filled = |at: usize| Some(cells[at]).filter(|text| !matches!(*text, "" | "0"));
    let owned = |at: usize| filled(at).map(str::to_owned);
    if cells[columns.currency] != "CNY" {
        return Err("货币种类: not CNY".to_owned());
    }
    let total = amount(cells[columns.total], "订单金额")?;
    // What is settled is less than what was paid or given back by coupons that the merchant bears himself.
    let (kind, gross, settled, status) = match cells[columns.state] {
        "REFUND" => {
            let back = |at: usize, name: &str| -> Result<i64, String> {
                amount(cells[at], name)?.checked_neg().ok_or(format!("{name}: too large"))
            };
            let gross = back(columns.refunded, "申请退款金额")?;
            let settled = back(columns.settled_back, "退款金额")?;
            (RowKind::Refund, gross, settled, refund_status(cells[columns.refund_state]))
        }
        state => {
            let kind = if state == "SUCCESS" { RowKind::Payment } else { RowKind::Other };
            let settled = amount(cells[columns.settled], "应结订单金额")?;
            (kind, total, settled, RowStatus::Succeeded)
        }
    };
    let raw = match kind {
        RowKind::Refund => format!("{} {}", cells[columns.state], cells[columns.refund_state]),
        _ => cells[columns.state].to_owned(),
    };
    // Five places: a fee that is not whole fen is told as it stands, and compared with nothing.
    let fee = decimal::to_minor(cells[columns.fee], 2).ok();
    let at = china_time::rfc3339(cells[columns.at]).ok_or("交易时间: no time")?;
    let is_refund = kind == RowKind::Refund;
    let row = BillRow {
        line,
        kind,
        status,
        raw,
        payment_ref: owned(columns.out_trade_no),
        provider_ref: owned(columns.transaction_id),
        refund_ref: owned(columns.out_refund_no).filter(|_| is_refund),
        provider_refund_ref: owned(columns.refund_id).filter(|_| is_refund),
        gross: money::cny(gross),
        fee: fee.map(money::cny),
        net: fee.and_then(|fee| settled.checked_sub(fee)).map(money::cny),
        at: Some(at),
        batch: None,
        extra: vec![("fee".to_owned(), cells[columns.fee].to_owned())],
    };
    Ok((row, if is_refund { total } else { 0 }))
}

fn refund_status(text: &str) -> RowStatus {
    match text {
        "SUCCESS" => RowStatus::Succeeded,
        "FAIL" => RowStatus::Failed,
        // CHANGE: it goes to the merchant's account at the provider, and waits for somebody there.
        _ => RowStatus::Pending,
    }
}
