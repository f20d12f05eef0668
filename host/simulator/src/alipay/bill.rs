//! The trade bill: rows of a day by completion time, written as Alipay's GBK CSV files.
use std::io::{self, Write};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::canonical::Charset;
use super::seed::Block;
use crate::bill_edit::{BillRow, Edit};
use crate::clock::{self, china_text, in_china, later};
use crate::ledger::{Ledger, Trade};
use crate::money::Amount;

/// Service fee, in thousandths.
const FEE_PER_MILLE: i64 = 6;
const STORE: &str = "alipay_store";
const PAYER: &str = "*津水(602***@qq.com)";
const COLUMNS: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,\
    操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,\
    商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,\
    服务费（元）,分润（元）,备注";
const SUMMARY_COLUMNS: &str = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,\
    商家实收（元）,支付宝优惠（元）,商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）";

/// One line of the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Alipay's number of the trade.
    pub trade_no: String,
    /// The merchant's number of the trade.
    pub out_trade_no: String,
    /// `交易` or `退款`.
    pub kind: String,
    /// What was bought.
    pub subject: String,
    /// When the trade was created.
    pub created_at: Timestamp,
    /// When it was paid, or when the refund happened.
    pub completed_at: Timestamp,
    /// Negative for refunds.
    pub amount: Amount,
    /// The merchant's number of the refund; empty for payments.
    pub request_no: String,
    /// Negative for payments.
    pub fee: Amount,
    /// Longer text.
    pub remark: String,
}

impl BillRow for Row {
    fn reference(&self) -> &str {
        &self.out_trade_no
    }

    fn refund_reference(&self) -> Option<&str> {
        (!self.request_no.is_empty()).then_some(self.request_no.as_str())
    }

    fn read(&self, value: &str) -> Option<Amount> {
        Amount::parse_signed(value, 2)
    }

    fn set_amount(&mut self, amount: Amount) {
        self.amount = amount;
    }

    fn set_fee(&mut self, fee: Amount) {
        self.fee = fee;
    }

    fn set_status(&mut self, status: &str) {
        status.clone_into(&mut self.kind);
    }

    fn shift_s(&mut self, seconds: i64) {
        self.completed_at = later(self.completed_at, SignedDuration::from_secs(seconds));
    }
}

/// The word for a payment row.
pub const PAYMENT: &str = "交易";
/// The word for a refund row.
pub const REFUND: &str = "退款";

/// A day or a month of the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    /// First moment.
    pub from: Timestamp,
    /// First moment after it.
    pub to: Timestamp,
    /// How file names tell it: `20260605` or `202606`.
    pub label: String,
}

impl Period {
    /// Reads `yyyy-MM-dd` or `yyyy-MM`.
    pub fn parse(text: &str) -> Option<Period> {
        let (first, next, format) = match text.len() {
            10 => {
                let day: Date = text.parse().ok()?;
                (day, day.tomorrow().ok()?, "%Y%m%d")
            }
            7 => {
                let first: Date = format!("{text}-01").parse().ok()?;
                (first, first.last_of_month().tomorrow().ok()?, "%Y%m")
            }
            _ => return None,
        };
        Some(Period {
            from: clock::start_of(first),
            to: clock::start_of(next),
            label: first.strftime(format).to_string(),
        })
    }

    /// Whether `at` lies in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// A bill before it is written: rows of the ledger, then blocks of seeded rows, bent by edits.
#[derive(Clone, Debug)]
pub struct Bill {
    /// The merchant.
    pub account: String,
    /// Which day or month.
    pub period: Period,
    /// When it was exported.
    pub exported_at: Timestamp,
    rows: Vec<Row>,
    blocks: Vec<Block>,
    edits: Vec<Edit>,
}

impl Bill {
    /// The truth of `period`, and the edits that bend it.
    pub fn of(
        account: &str,
        period: Period,
        exported_at: Timestamp,
        ledger: &Ledger,
        blocks: &[Block],
        edits: &[Edit],
    ) -> Bill {
        let mut rows: Vec<Row> = ledger.trades().flat_map(rows_of).collect();
        rows.retain(|row| period.has(row.completed_at));
        rows.sort_by(|one, other| {
            let key = |row: &Row| (row.completed_at, row.out_trade_no.clone());
            key(one).cmp(&key(other))
        });
        let blocks = blocks.iter().filter(|block| period.has(block.from)).cloned().collect();
        let account = account.to_owned();
        Bill { account, period, exported_at, rows, blocks, edits: edits.to_vec() }
    }

    /// Rows as they are written, made one at a time.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let seeded = self.blocks.iter().flat_map(Block::rows);
        let bent = self.rows.iter().cloned().chain(seeded).flat_map(|row| {
            let mut rows = vec![row];
            for edit in &self.edits {
                rows = rows.into_iter().flat_map(|row| edit.apply(row)).collect();
            }
            rows
        });
        bent.chain(self.edits.iter().filter_map(|edit| self.added(edit)))
    }

    /// The row that an edit adds to this bill.
    fn added(&self, edit: &Edit) -> Option<Row> {
        let (reference, value, day) = edit.addition(in_china(self.period.from).date())?;
        let at = later(clock::start_of(day), SignedDuration::from_hours(12));
        let amount = Amount::parse(value)?;
        let number = format!("{}22001", day.strftime("%Y%m%d"));
        self.period.has(at).then(|| Row {
            trade_no: format!("{number:0<28}"),
            out_trade_no: reference.to_owned(),
            kind: PAYMENT.to_owned(),
            subject: "Unknown".to_owned(),
            created_at: at,
            completed_at: at,
            amount,
            request_no: String::new(),
            fee: payment_fee(amount),
            remark: String::new(),
        })
    }

    /// File name of the detail or the summary, in GBK.
    pub fn name(&self, summary: bool) -> Vec<u8> {
        let kind = if summary { "业务明细(汇总)" } else { "业务明细" };
        Charset::Gbk.encode(&format!("{}0156_{}_{kind}.csv", self.account, self.period.label))
    }

    /// Writes the detail file and gives its totals.
    pub fn write_detail(&self, out: &mut impl Write) -> io::Result<Totals> {
        let mut totals = Totals::default();
        let dashes = ("-".repeat(41), "-".repeat(40), "-".repeat(36));
        self.write_head(out, "支付宝业务明细查询")?;
        line(out, &format!("#{}业务明细列表{}", dashes.0, dashes.1))?;
        line(out, COLUMNS)?;
        for row in self.rows() {
            totals.count(&row);
            line(out, &text_of(&row))?;
        }
        line(out, &format!("#{}业务明细列表结束{}", dashes.0, dashes.2))?;
        line(
            out,
            &format!(
                "#交易合计：{}笔，商家实收共{}元，商家优惠共0.00元",
                totals.payments,
                totals.paid.decimal()
            ),
        )?;
        line(
            out,
            &format!(
                "#退款合计：{}笔，商家实收退款共{}元，商家优惠退款共0.00元",
                totals.refunds,
                totals.refunded.decimal()
            ),
        )?;
        self.write_foot(out)?;
        Ok(totals)
    }

    /// Writes the summary file.
    pub fn write_summary(&self, out: &mut impl Write, totals: &Totals) -> io::Result<()> {
        let dashes = ("-".repeat(41), "-".repeat(36));
        self.write_head(out, "支付宝业务汇总查询")?;
        line(out, &format!("#{}业务汇总列表{}", dashes.0, dashes.0))?;
        line(out, SUMMARY_COLUMNS)?;
        let net = Amount(totals.paid.0 + totals.refunded.0);
        let figures = format!(
            "{},{},{},{},0.00,0.00,0.00,{},0.00,{}",
            totals.payments,
            totals.refunds,
            net.decimal(),
            net.decimal(),
            totals.fees.decimal(),
            Amount(net.0 + totals.fees.0).decimal(),
        );
        line(out, &format!("{STORE}\t,{STORE}\t,{figures}"))?;
        line(out, &format!("合计\t,\t,{figures}"))?;
        line(out, &format!("#{}业务汇总列表结束{}", dashes.0, dashes.1))?;
        self.write_foot(out)
    }

    fn write_head(&self, out: &mut impl Write, title: &str) -> io::Result<()> {
        let day = |at: Timestamp| in_china(at).strftime("%Y年%m月%d日 %H:%M:%S").to_string();
        line(out, &format!("#{title}"))?;
        line(out, &format!("#账号：[{}0156]", self.account))?;
        let (from, to) = (day(self.period.from), day(self.period.to));
        line(out, &format!("#起始日期：[{from}]   终止日期：[{to}]"))
    }

    fn write_foot(&self, out: &mut impl Write) -> io::Result<()> {
        let at = in_china(self.exported_at).strftime("%Y年%m月%d日 %H:%M:%S");
        line(out, &format!("#导出时间：[{at}]"))
    }
}

/// What the footers and the summary add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    payments: u64,
    refunds: u64,
    paid: Amount,
    refunded: Amount,
    fees: Amount,
}

impl Totals {
    fn count(&mut self, row: &Row) {
        if row.kind == REFUND {
            self.refunds += 1;
            self.refunded.0 += row.amount.0;
        } else {
            self.payments += 1;
            self.paid.0 += row.amount.0;
        }
        self.fees.0 += row.fee.0;
    }
}

fn rows_of(trade: &Trade) -> Vec<Row> {
    let Some(paid_at) = trade.paid_at else {
        return Vec::new();
    };
    let opening = &trade.opening;
    let payment = Row {
        trade_no: trade.provider_reference.clone(),
        out_trade_no: opening.reference.clone(),
        kind: PAYMENT.to_owned(),
        subject: opening.subject.clone(),
        created_at: trade.opened_at.unwrap_or(trade.prepared_at),
        completed_at: paid_at,
        amount: opening.amount,
        request_no: String::new(),
        fee: payment_fee(opening.amount),
        remark: opening.echo("body").unwrap_or(&opening.subject).to_owned(),
    };
    let refunds = trade.refunds.iter().map(|refund| Row {
        kind: REFUND.to_owned(),
        completed_at: refund.at,
        amount: Amount(-refund.amount.0),
        request_no: refund.request_no.clone(),
        fee: Amount(0),
        remark: refund.reason.clone().unwrap_or_default(),
        ..payment.clone()
    });
    let refunds: Vec<Row> = refunds.collect();
    std::iter::once(payment).chain(refunds).collect()
}

/// The cost of a payment, as the bill shows it.
pub fn payment_fee(amount: Amount) -> Amount {
    Amount(-amount.fee(FEE_PER_MILLE).0)
}

/// One line, with the tabs that keep spreadsheets from rounding long numbers.
fn text_of(row: &Row) -> String {
    let amount = row.amount.decimal();
    format!(
        "{}\t,{}\t,{}\t,{},{},{},{STORE}\t,{STORE}\t,alipay\t,\t,{PAYER}\t,{amount},{amount},\
         0.00,0.00,0.00,0.00,0.00,,0.00\t,0.00,{}\t,{},0.00,{}",
        row.trade_no,
        row.out_trade_no,
        row.kind,
        cell(&row.subject),
        china_text(row.created_at),
        china_text(row.completed_at),
        row.request_no,
        row.fee.decimal(),
        cell(&row.remark),
    )
}

/// Quotes a cell that would break the line.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

fn line(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(&Charset::Gbk.encode(text))?;
    out.write_all(b"\r\n")
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
