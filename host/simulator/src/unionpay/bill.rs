//! The settlement file: lines of 607 bytes with fields of fixed widths, zipped, deflated and in base64 within the reply.
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::UnionPay;
use super::fields::{Fields, trace_time};
use super::transactions::refund_query_id;
use super::wire::Refused;
use crate::bill_edit::{BillRow, Edit};
use crate::clock::later;
use crate::ledger::{Ledger, Trade};
use crate::money::Amount;
use crate::provider::{start_of, zone};
use crate::zip_stream::ZipStream;

/// Service fee, in thousandths.
const FEE_PER_MILLE: i64 = 6;
/// At nine in the morning in China.
const READY_AFTER: SignedDuration = SignedDuration::from_hours(10);
/// Bytes of a line.
const WIDTH: usize = 607;

/// One line.
#[derive(Clone, Debug)]
struct Row {
    at: Timestamp,
    kind: String,
    order: String,
    query_id: String,
    /// Of a refund, the order and number of its payment.
    original: Option<(String, String)>,
    amount: Amount,
    /// What the merchant bears.
    fee: Amount,
}

impl BillRow for Row {
    fn reference(&self) -> &str {
        self.original.as_ref().map_or(&self.order, |(order, _)| order)
    }

    fn refund_reference(&self) -> Option<&str> {
        self.original.as_ref().map(|_| self.order.as_str())
    }

    fn read(&self, value: &str) -> Option<Amount> {
        Amount::parse(value)
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
        self.at = later(self.at, SignedDuration::from_secs(seconds));
    }
}

/// `txnType` 76: the file of a day. A day without transactions has one without lines.
pub fn file(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let absent = || Refused("98", "文件不存在".to_owned());
    let wanted = fields.get("settleDate").ok_or_else(|| Refused::field("settleDate"))?;
    let now = unionpay.now();
    let day = day_of(wanted, now).ok_or_else(|| Refused::field("settleDate"))?;
    let book = unionpay.book();
    let from = start_of::<UnionPay>(day);
    let ready = match book.bill_ready_at_once {
        true => from <= now,
        false => later(later(from, SignedDuration::from_hours(24)), READY_AFTER) <= now,
    };
    if !ready {
        return Err(absent());
    }
    let lines = write(day, &book.ledger, &book.edits);
    drop(book);
    let mer_id = &unionpay.credentials.mer_id;
    let packed = pack(mer_id, day, &lines).map_err(|_| absent())?;
    Ok(Fields::from([
        ("fileName".to_owned(), format!("{mer_id}_{}.zip", day.strftime("%Y%m%d"))),
        ("fileContent".to_owned(), STANDARD.encode(packed)),
    ]))
}

/// The day whose file tells of what happens now.
pub fn clearing_day(at: Timestamp) -> Date {
    at.to_zoned(zone::<UnionPay>()).date()
}

/// The last day of this month and day that has begun.
fn day_of(settle_date: &str, now: Timestamp) -> Option<Date> {
    let today = clearing_day(now);
    let month = settle_date.get(..2)?.parse().ok()?;
    let day = settle_date.get(2..4)?.parse().ok()?;
    let this_year = Date::new(today.year(), month, day).ok();
    this_year.filter(|date| *date <= today).or_else(|| Date::new(today.year() - 1, month, day).ok())
}

fn pack(mer_id: &str, day: Date, lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let date = day.strftime("%y%m%d").to_string();
    let mut archive = ZipStream::new(Vec::new());
    archive.entry(format!("INN{date}88ZM_{mer_id}").as_bytes(), |out| out.write_all(lines))?;
    archive.entry(format!("INN{date}88ZME_{mer_id}").as_bytes(), |_| Ok(()))?;
    archive.entry(format!("RD{date}_{mer_id}").as_bytes(), |out| {
        // For people: 汇总 in GBK.
        out.write_all(&[0xbb, 0xe3, 0xd7, 0xdc, b'\r', b'\n'])
    })?;
    let zip = archive.finish()?;
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(&zip)?;
    deflated.finish()
}

fn write(day: Date, ledger: &Ledger, edits: &[Edit]) -> Vec<u8> {
    let of_day = |row: &Row| clearing_day(row.at) == day;
    let mut rows: Vec<Row> = ledger.trades().flat_map(rows_of).filter(of_day).collect();
    for edit in edits {
        rows = rows.into_iter().flat_map(|row| edit.apply(row)).collect();
    }
    rows.extend(edits.iter().filter_map(|edit| added(edit, day)));
    rows.iter().flat_map(line).collect()
}

fn added(edit: &Edit, bill_day: Date) -> Option<Row> {
    let (reference, value, day) = edit.addition(bill_day)?;
    let amount = Amount::parse(value)?;
    (day == bill_day).then(|| Row {
        at: later(start_of::<UnionPay>(day), SignedDuration::from_hours(12)),
        kind: "01".to_owned(),
        order: reference.to_owned(),
        query_id: format!("{}1200000000001", day.strftime("%Y%m%d")),
        original: None,
        amount,
        fee: amount.fee(FEE_PER_MILLE),
    })
}

fn rows_of(trade: &Trade) -> Vec<Row> {
    let Some(paid_at) = trade.paid_at else {
        return Vec::new();
    };
    let payment = Row {
        at: paid_at,
        kind: "01".to_owned(),
        order: trade.opening.reference.clone(),
        query_id: trade.provider_reference.clone(),
        original: None,
        amount: trade.opening.amount,
        fee: trade.opening.amount.fee(FEE_PER_MILLE),
    };
    let refunds = trade.refunds.iter().map(|refund| Row {
        at: refund.at,
        kind: "04".to_owned(),
        order: refund.request_no.clone(),
        query_id: refund_query_id(trade, &refund.request_no),
        original: Some((trade.opening.reference.clone(), trade.provider_reference.clone())),
        amount: refund.amount,
        fee: Amount(0),
    });
    let refunds: Vec<Row> = refunds.collect();
    std::iter::once(payment).chain(refunds).collect()
}

/// `C` towards the merchant or `D` away from him, and twelve digits.
fn signed(amount: i64) -> String {
    format!("{}{:012}", if amount < 0 { 'D' } else { 'C' }, amount.unsigned_abs())
}

/// One line of fixed widths, one space between, filled up with spaces.
fn line(row: &Row) -> Vec<u8> {
    let is_refund = row.original.is_some();
    let gross = if is_refund { -row.amount.0 } else { row.amount.0 };
    let (order, query_id) = row.original.clone().unwrap_or_default();
    let mut line = vec![b' '; WIDTH];
    let mut put =
        |at: usize, text: &str| line[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "S56");
    put(4, "88022900");
    put(16, "00049993");
    put(28, &row.query_id[15..21]);
    put(35, &trace_time(row.at));
    put(46, "622609******0048");
    put(66, &format!("{:012}", row.amount.0));
    put(79, "4899");
    put(84, "07");
    put(87, &row.query_id);
    put(109, "01");
    put(112, &row.order);
    put(145, "01");
    put(166, &if row.fee.0 == 0 { " ".repeat(13) } else { signed(-row.fee.0) });
    put(180, &signed(gross - row.fee.0));
    put(194, "0001");
    put(215, &row.kind);
    put(221, "000201");
    put(271, &query_id);
    put(293, "777290058167151");
    put(374, &signed(gross - row.fee.0));
    put(388, "01080209");
    put(474, "7");
    put(476, &order);
    line.extend_from_slice(b"\r\n");
    line
}
