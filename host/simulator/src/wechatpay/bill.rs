//! The trade bill: rows of a day, written as WeChat Pay's CSV with backticks, and its link with a digest.
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::orders::trade_type;
use super::wire::{ApiError, Call, Reply};
use super::{WechatPay, numbers, refunds};
use crate::bill_edit::{BillRow, Edit};
use crate::clock::{china_text, in_china, later, start_of};
use crate::faults::{Hit, Verb, hang_up};
use crate::ledger::{Ledger, Trade};
use crate::money::Amount;

/// A day's bill is made in the morning after.
const READY_AFTER: SignedDuration = SignedDuration::from_hours(9);
const LINK_LIFE: SignedDuration = SignedDuration::from_mins(5);
/// Service fee, in thousandths.
const FEE_PER_MILLE: i64 = 6;
const HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,\
    交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,\
    退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUMMARY: &str =
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";

/// A link that was told.
#[derive(Clone, Debug)]
pub struct Link {
    day: Date,
    good_until: Timestamp,
}

/// One line of the bill.
#[derive(Clone, Debug)]
struct Row {
    at: Timestamp,
    transaction_id: String,
    out_trade_no: String,
    product: String,
    subject: String,
    state: String,
    refund: Option<(String, String)>,
    amount: Amount,
    /// What of the amount is a coupon of the merchant's own, which nobody settles.
    coupon: Amount,
    fee: Amount,
}

impl Row {
    fn settled(&self) -> Amount {
        Amount(self.amount.0 - self.coupon.0)
    }
}

impl BillRow for Row {
    fn reference(&self) -> &str {
        &self.out_trade_no
    }

    fn refund_reference(&self) -> Option<&str> {
        self.refund.as_ref().map(|(number, _)| number.as_str())
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
        status.clone_into(&mut self.state);
    }

    fn shift_s(&mut self, seconds: i64) {
        self.at = later(self.at, SignedDuration::from_secs(seconds));
    }
}

/// `GET /v3/bill/tradebill`: where the bill of a day is, and its digest.
pub fn link(wechat: &WechatPay, call: &Call<'_>, hit: &Hit) -> Reply {
    let day = call.parameter("bill_date").and_then(|text| text.parse::<Date>().ok());
    let day = day.ok_or_else(|| ApiError::parameter("bill_date"))?;
    if call.parameter("bill_type") != Some("ALL") {
        return Err(ApiError::parameter("bill_type"));
    }
    let (now, from) = (wechat.now(), start_of(day));
    let book = wechat.book();
    let ready = match book.bill_ready_at_once {
        true => from <= now,
        false => later(later(from, SignedDuration::from_hours(24)), READY_AFTER) <= now,
    };
    if !ready {
        let text = "账单生成中";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "STATEMENT_CREATING", text));
    }
    let text = write(wechat, day, &book.ledger, &book.edits);
    drop(book);
    let Some(text) = text else {
        let text = "账单文件不存在";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "NO_STATEMENT_EXIST", text));
    };
    let token = wechat.chance.token();
    let mut desk = wechat.desk();
    desk.links.retain(|_, link| link.good_until > now);
    desk.links.insert(token.clone(), Link { day, good_until: later(now, LINK_LIFE) });
    let base = match hit.get(Verb::ForeignHost) {
        Some(rule) => rule.value.as_deref().unwrap_or("http://bill.example.net"),
        None => &wechat.base,
    };
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    Ok(Some(json!({
        "hash_type": "SHA1", "hash_value": hex::encode(sum),
        "download_url": format!("{base}/v3/billdownload/file?token={token}"),
    })))
}

/// `GET /v3/billdownload/file`: the bill's bytes, signed by nobody.
pub fn download(wechat: &WechatPay, call: &Call<'_>, hit: &Hit) -> Response {
    if let Some(rule) = hit.get(Verb::Redirect) {
        let to = rule.value.as_deref().unwrap_or("http://bill.example.net/elsewhere");
        return Redirect::temporary(to).into_response();
    }
    let now = wechat.now();
    let link = call.parameter("token").and_then(|token| wechat.desk().links.get(token).cloned());
    let Some(link) = link.filter(|link| link.good_until > now) else {
        return (StatusCode::FORBIDDEN, "The link has expired.").into_response();
    };
    let text = {
        let book = wechat.book();
        write(wechat, link.day, &book.ledger, &book.edits)
    };
    let Some(mut text) = text else { hang_up() };
    if hit.has(Verb::Truncate) {
        let half = text.floor_char_boundary(text.len() / 2);
        text.truncate(half);
    }
    ([(header::CONTENT_TYPE, "application/octet-stream")], text).into_response()
}

/// The bill of a day, bent by edits; none where nothing happened.
fn write(wechat: &WechatPay, day: Date, ledger: &Ledger, edits: &[Edit]) -> Option<String> {
    let of_day = |row: &Row| in_china(row.at).date() == day;
    let all = ledger.trades().flat_map(|trade| rows_of(trade, wechat.coupon(trade)));
    let mut rows: Vec<Row> = all.filter(of_day).collect();
    for edit in edits {
        rows = rows.into_iter().flat_map(|row| edit.apply(row)).collect();
    }
    rows.extend(edits.iter().filter_map(|edit| added(edit, day)));
    if rows.is_empty() {
        return None;
    }
    let mut text = format!("\u{feff}{HEADER}\r\n");
    // Payments and refunds: what they were for, and what is settled.
    let [mut paid, mut back] = [(0_i64, 0_i64); 2];
    let mut fees = 0_i64;
    for row in &rows {
        let is_refund = row.refund.is_some();
        let sum = if is_refund { &mut back } else { &mut paid };
        sum.0 += row.amount.0;
        sum.1 += row.settled().0;
        fees += row.fee.0;
        line(&mut text, &cells(wechat, row));
    }
    text.push_str(SUMMARY);
    text.push_str("\r\n");
    let yuan = |minor: i64| Amount(minor).decimal();
    line(
        &mut text,
        &[
            rows.len().to_string(),
            yuan(paid.1),
            yuan(back.1),
            "0.00".to_owned(),
            format!("{}000", yuan(fees)),
            yuan(paid.0),
            yuan(back.0),
        ],
    );
    Some(text)
}

fn added(edit: &Edit, bill_day: Date) -> Option<Row> {
    let (reference, value, day) = edit.addition(bill_day)?;
    let at = later(start_of(day), SignedDuration::from_hours(12));
    let amount = Amount::parse(value)?;
    (day == bill_day).then(|| Row {
        at,
        transaction_id: format!("4200000{}{:013}", day.strftime("%Y%m%d"), 1),
        out_trade_no: reference.to_owned(),
        product: "native".to_owned(),
        subject: "Unknown".to_owned(),
        state: "SUCCESS".to_owned(),
        refund: None,
        amount,
        coupon: Amount(0),
        fee: amount.fee(FEE_PER_MILLE),
    })
}

fn rows_of(trade: &Trade, coupon: Amount) -> Vec<Row> {
    let Some(paid_at) = trade.paid_at else {
        return Vec::new();
    };
    let opening = &trade.opening;
    let payment = Row {
        at: paid_at,
        transaction_id: trade.provider_reference.clone(),
        out_trade_no: opening.reference.clone(),
        product: opening.product.clone(),
        subject: opening.subject.clone(),
        state: "SUCCESS".to_owned(),
        refund: None,
        amount: opening.amount,
        coupon,
        fee: Amount(opening.amount.0 - coupon.0).fee(FEE_PER_MILLE),
    };
    let refunds = trade.refunds.iter().enumerate().map(|(index, refund)| Row {
        at: refund.at,
        state: "REFUND".to_owned(),
        refund: Some((
            refund.request_no.clone(),
            numbers::refund_id(&trade.provider_reference[7..], index),
        )),
        amount: refund.amount,
        coupon: refunds::coupon_part(trade, refund, coupon),
        fee: Amount(0),
        ..payment.clone()
    });
    let refunds: Vec<Row> = refunds.collect();
    std::iter::once(payment).chain(refunds).collect()
}

fn cells(wechat: &WechatPay, row: &Row) -> Vec<String> {
    let zero = || "0.00".to_owned();
    let either = |amount: Amount| match row.refund {
        None => (amount.decimal(), zero()),
        Some(_) => (zero(), amount.decimal()),
    };
    let ((paid, back), (settled, settled_back)) = (either(row.amount), either(row.settled()));
    let coupon = if row.refund.is_none() { row.coupon.decimal() } else { zero() };
    let (number, id) = row.refund.clone().unwrap_or(("0".to_owned(), "0".to_owned()));
    let of_refund = |text: &str| if row.refund.is_some() { text.to_owned() } else { String::new() };
    let own = &wechat.credentials;
    vec![
        china_text(row.at),
        own.appid.clone(),
        own.mchid.clone(),
        "0".to_owned(),
        String::new(),
        row.transaction_id.clone(),
        row.out_trade_no.clone(),
        "ofyak5qR_1wYsC99CsWA6R9MJazA".to_owned(),
        trade_type(&row.product).to_owned(),
        row.state.clone(),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        settled,
        coupon,
        id,
        number,
        settled_back,
        zero(),
        of_refund("ORIGINAL"),
        of_refund("SUCCESS"),
        row.subject.clone(),
        String::new(),
        format!("{}000", row.fee.decimal()),
        "0.60%".to_owned(),
        paid,
        back,
        String::new(),
    ]
}

/// One line: each cell has a backtick before it, and nothing is quoted.
fn line(text: &mut String, cells: &[String]) {
    for (at, cell) in cells.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{}`{cell}", if at == 0 { "" } else { "," });
    }
    text.push_str("\r\n");
}
