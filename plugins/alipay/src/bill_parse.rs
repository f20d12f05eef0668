//! Reading the detail file of a day's bill, a line at a time. The host has unpacked it and decoded its GBK.

use std::borrow::Cow;

use tollgate_sdk::bills::{self, BillSink, BillSource};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::{Summary, Total};
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::lines::{Header, Line, Lines, clean, split};
use tollgate_sdk::{china_time, decimal, fault};

use crate::footer::{self, Sums};
use crate::money;

/// Rows handed over at a time.
const BATCH: usize = 500;

/// Which cell holds what.
struct Columns {
    trade_no: usize,
    out_trade_no: usize,
    kind: usize,
    completed: usize,
    amount: usize,
    received: usize,
    fee: usize,
    refund_ref: usize,
    share: Option<usize>,
    width: usize,
}

impl Columns {
    fn of(header: &Header) -> Result<Self, Fault> {
        let need = |name: &str| {
            header.position(name).ok_or_else(|| fault::protocol(format!("no column `{name}`")))
        };
        Ok(Self {
            trade_no: need("支付宝交易号")?,
            out_trade_no: need("商户订单号")?,
            kind: need("业务类型")?,
            completed: need("完成时间")?,
            amount: need("订单金额(元)")?,
            received: need("商家实收(元)")?,
            fee: need("服务费(元)")?,
            refund_ref: need("退款批次号/请求号")?,
            share: header.position("分润(元)"),
            width: header.width(),
        })
    }
}

#[derive(Default)]
struct State {
    columns: Option<Columns>,
    batch: Vec<BillRow>,
    payments: Sums,
    refunds: Sums,
    totals: Vec<Total>,
    is_over: bool,
}

/// Reads one member of the zip. The summary that lies beside the detail file has no rows.
///
/// # Errors
/// `protocol` for a file that is no trade bill, or not all of one; a line that cannot be read is reported and skipped.
pub fn parse<I: BillSource, O: BillSink>(
    file_name: &str,
    source: &I,
    sink: &O,
) -> Result<Summary, Fault> {
    if file_name.contains("汇总") {
        return Ok(bills::side_file());
    }
    let mut state = State::default();
    let mut lines = Lines::new(source);
    let unreadable = |reason: String| fault::unavailable(format!("bill: {reason}"));
    while let Some((number, line)) = lines.next_line().map_err(unreadable)? {
        match line {
            Line::Bad(reason) => sink.bad_line(number, reason),
            Line::Text(text) => state.line(number, text, sink)?,
        }
        if state.batch.len() >= BATCH {
            sink.rows(&state.batch).map_err(unreadable)?;
            state.batch.clear();
        }
    }
    if !state.batch.is_empty() {
        sink.rows(&state.batch).map_err(unreadable)?;
    }
    if state.columns.is_none() {
        return Err(fault::protocol(format!("{file_name}: no header of a trade bill")));
    }
    if !state.is_over {
        return Err(fault::protocol(format!("{file_name}: cut off before its list ends")));
    }
    Ok(Summary { totals: state.totals, extra: Vec::new() })
}

impl State {
    fn line<O: BillSink>(&mut self, number: u64, text: &str, sink: &O) -> Result<(), Fault> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Ok(());
        }
        if text.starts_with('#') {
            self.is_over |= text.contains("列表结束");
            self.totals.extend(footer::total(text, self.payments, self.refunds));
            return Ok(());
        }
        let mut cells = Vec::with_capacity(32);
        split(text, &mut cells);
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(&Header::of(&cells))?);
            return Ok(());
        };
        if self.is_over {
            sink.bad_line(number, "a row after the end of the list");
            return Ok(());
        }
        match row(columns, number, &cells) {
            Ok((row, received)) => {
                let sums = match row.kind {
                    RowKind::Refund => &mut self.refunds,
                    _ => &mut self.payments,
                };
                sums.gross = sums.gross.saturating_add(row.gross.minor);
                sums.received = sums.received.saturating_add(received);
                self.batch.push(row);
            }
            Err(reason) => sink.bad_line(number, &reason),
        }
        Ok(())
    }
}

/// A row, and what the merchant received by it in fen.
fn row(columns: &Columns, line: u64, cells: &[Cow<'_, str>]) -> Result<(BillRow, i64), String> {
    if cells.len() != columns.width {
        return Err(format!("{} cells under {} columns", cells.len(), columns.width));
    }
    let cell = |at: usize| clean(&cells[at]);
    let filled = |at: usize| Some(cell(at)).filter(|text| !text.is_empty()).map(str::to_owned);
    let amount = |at: usize, name: &str| {
        decimal::to_minor(cell(at), 2).map_err(|error| format!("{name}: {error}"))
    };
    let or_zero = |at: usize, name: &str| {
        if cell(at).is_empty() { Ok(0) } else { amount(at, name) }
    };
    let kind = match cell(columns.kind) {
        "交易" => RowKind::Payment,
        "退款" => RowKind::Refund,
        _ => RowKind::Other,
    };
    let gross = amount(columns.amount, "订单金额")?;
    let is_signed_right = match kind {
        RowKind::Payment => gross >= 0,
        RowKind::Refund => gross <= 0,
        _ => true,
    };
    if !is_signed_right {
        return Err("订单金额: the sign does not fit 业务类型".to_owned());
    }
    let received = amount(columns.received, "商家实收")?;
    // The file writes a cost with a minus; the contract has it positive where the merchant bears it.
    let cost = or_zero(columns.fee, "服务费")?.checked_neg().ok_or("服务费: too large")?;
    let share = columns.share.map_or(Ok(0), |at| or_zero(at, "分润"))?;
    let net = received.checked_sub(cost).filter(|_| share == 0);
    let at = china_time::rfc3339(cell(columns.completed)).ok_or("完成时间: no time")?;
    let row = BillRow {
        line,
        kind,
        status: RowStatus::Succeeded,
        raw: cell(columns.kind).to_owned(),
        payment_ref: filled(columns.out_trade_no),
        provider_ref: filled(columns.trade_no),
        refund_ref: filled(columns.refund_ref).filter(|_| kind == RowKind::Refund),
        provider_refund_ref: None,
        gross: money::cny(gross),
        fee: Some(money::cny(cost)),
        net: net.map(money::cny),
        at: Some(at),
        batch: None,
        extra: Vec::new(),
    };
    Ok((row, received))
}
