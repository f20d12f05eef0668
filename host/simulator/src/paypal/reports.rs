//! Transaction Search: what moved in a window, by pages.
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::wire::{ApiError, Call, Reply};
use super::{PayPal, disputes, refunds};
use crate::bill_edit::{BillRow, Edit};
use crate::clock::later;
use crate::ledger::Trade;
use crate::money::Amount;
use crate::provider::start_of;

/// The longest window, and how far what is listed lags behind.
const LONGEST: SignedDuration = SignedDuration::from_hours(31 * 24);
const LAG: SignedDuration = SignedDuration::from_hours(3);
/// A stretch of more rows is not listed.
const MOST_ROWS: usize = 10_000;
/// Service fee: 2.9 %, as thousandths, and 30 hundredths.
const FEE_PER_MILLE: i64 = 29;
const FEE_FIXED: i64 = 30;

/// One transaction.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    of: Option<String>,
    code: String,
    at: Timestamp,
    reference: String,
    refund: Option<String>,
    custom: String,
    /// Signed towards the merchant.
    amount: Amount,
    /// Negative where the merchant bears it.
    fee: Amount,
    /// S: done; D: denied.
    status: &'static str,
    currency: String,
    exponent: u8,
}

impl BillRow for Row {
    fn reference(&self) -> &str {
        &self.reference
    }

    fn refund_reference(&self) -> Option<&str> {
        self.refund.as_deref()
    }

    fn read(&self, value: &str) -> Option<Amount> {
        Amount::parse_signed(value, self.exponent)
    }

    fn set_amount(&mut self, amount: Amount) {
        self.amount = amount;
    }

    fn set_fee(&mut self, fee: Amount) {
        self.fee = fee;
    }

    fn set_status(&mut self, status: &str) {
        status.clone_into(&mut self.code);
    }

    fn shift_s(&mut self, seconds: i64) {
        self.at = later(self.at, SignedDuration::from_secs(seconds));
    }
}

/// A time as reports write it: by an offset without a colon, where the other calls have a `Z`.
fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+0000").to_string()
}

/// `GET /v1/reporting/transactions`
pub fn list(paypal: &PayPal, call: &Call<'_>) -> Reply {
    let wrong = || ApiError::invalid("INVALID_PARAMETER_VALUE");
    let time = |name: &str| call.parameter(name).and_then(|text| text.parse::<Timestamp>().ok());
    let from = time("start_date").ok_or_else(wrong)?;
    let to = time("end_date").ok_or_else(wrong)?;
    if to < from || to.duration_since(from) > LONGEST {
        return Err(wrong());
    }
    let number = |name: &str| call.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let (size, page) = (number("page_size").unwrap_or(100), number("page").unwrap_or(1));
    if !(1..=500).contains(&size) || page == 0 {
        return Err(wrong());
    }
    let (trades, edits, at_once) = {
        let book = paypal.book();
        let trades: Vec<Trade> = book.ledger.trades().cloned().collect();
        (trades, book.edits.clone(), book.bill_ready_at_once)
    };
    let mut rows: Vec<Row> = trades.iter().flat_map(|trade| rows_of(paypal, trade)).collect();
    for edit in &edits {
        rows = rows.into_iter().flat_map(|row| edit.apply(row)).collect();
    }
    rows.extend(edits.iter().filter_map(added));
    // Times are told, and compared, to the second.
    let stretch = from.as_second()..=to.as_second();
    rows.retain(|row| stretch.contains(&row.at.as_second()));
    if rows.len() > paypal.desk().most_rows.unwrap_or(MOST_ROWS) {
        return Err(ApiError::too_large());
    }
    rows.sort_by_key(|row| row.at);
    let (total, pages) = (rows.len(), rows.len().div_ceil(size));
    let shown: Vec<Value> = rows.iter().skip((page - 1) * size).take(size).map(object).collect();
    let refreshed = if at_once { later(to, LAG) } else { later(paypal.now(), -LAG) };
    Ok((
        StatusCode::OK,
        json!({
            "transaction_details": shown, "page": page, "total_items": total,
            "total_pages": pages, "last_refreshed_datetime": utc(refreshed),
            "start_date": utc(from), "end_date": utc(to),
            "links": [{
                "href": format!("{}/v1/reporting/transactions?page={page}", paypal.base),
                "rel": "self", "method": "GET",
            }],
        }),
    ))
}

fn object(row: &Row) -> Value {
    let money = |amount: Amount| json!({ "currency_code": row.currency, "value": amount.decimal_in(row.exponent) });
    let mut info = json!({
        "transaction_id": row.id, "transaction_event_code": row.code,
        "transaction_initiation_date": utc(row.at), "transaction_updated_date": utc(row.at),
        "transaction_amount": money(row.amount), "fee_amount": money(row.fee),
        "transaction_status": row.status,
        "custom_field": row.custom,
    });
    if let Some(of) = &row.of {
        info["paypal_reference_id"] = json!(of);
        info["paypal_reference_id_type"] = json!("TXN");
    }
    json!({ "transaction_info": info })
}

fn fee(amount: Amount) -> Amount {
    Amount(-(amount.fee(FEE_PER_MILLE).0 + FEE_FIXED))
}

fn added(edit: &Edit) -> Option<Row> {
    let (reference, value, day) = edit.addition(edit.day?)?;
    let amount = Amount::parse(value)?;
    Some(Row {
        id: format!("GHOST{reference}"),
        of: None,
        code: "T0006".to_owned(),
        at: later(start_of::<PayPal>(day), SignedDuration::from_hours(12)),
        reference: reference.to_owned(),
        refund: None,
        custom: reference.to_owned(),
        amount,
        fee: fee(amount),
        status: "S",
        currency: "USD".to_owned(),
        exponent: 2,
    })
}

fn rows_of(paypal: &PayPal, trade: &Trade) -> Vec<Row> {
    let Some(paid_at) = trade.paid_at else {
        return Vec::new();
    };
    let opening = &trade.opening;
    let payment = Row {
        id: trade.provider_reference.clone(),
        of: None,
        code: "T0006".to_owned(),
        at: paid_at,
        reference: opening.reference.clone(),
        refund: None,
        custom: opening.reference.clone(),
        amount: opening.amount,
        fee: fee(opening.amount),
        status: "S",
        currency: opening.currency.code.clone(),
        exponent: opening.currency.exponent,
    };
    let refunds = trade.refunds.iter().map(|refund| Row {
        id: refunds::id(trade, refund),
        of: Some(trade.provider_reference.clone()),
        code: "T1107".to_owned(),
        at: refund.at,
        refund: Some(refund.request_no.clone()),
        custom: refunds::custom_id(trade, refund).to_owned(),
        amount: Amount(-refund.amount.0),
        fee: Amount(0),
        status: if refunds::has_failed(paypal, refund) { "D" } else { "S" },
        ..payment.clone()
    });
    let refunds: Vec<Row> = refunds.collect();
    let dispute = paypal.desk().disputes.get(&opening.reference).cloned();
    let lost = dispute.filter(disputes::Dispute::is_lost).map(|dispute| Row {
        id: format!("{}X", &trade.provider_reference[..16]),
        of: Some(trade.provider_reference.clone()),
        code: "T1201".to_owned(),
        at: dispute.changed_at,
        amount: Amount(-opening.amount.0),
        fee: Amount(0),
        ..payment.clone()
    });
    std::iter::once(payment).chain(refunds).chain(lost).collect()
}
