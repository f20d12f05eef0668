//! Query, close and cancel of a trade, and the provider's certificate.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Alipay;
use super::notice::{BUYER_ID, BUYER_LOGON_ID, fund_bill_list, trade_status};
use super::reply::{Members, members};
use super::request::{GatewayError, Request, parameter};
use crate::clock::china_text;
use crate::ledger::{Cancelled, Refusal};
use crate::provider::Book;

/// The merchant's number of the trade that a request means; the provider's number wins.
pub fn target(book: &Book, request: &Request) -> Result<String, GatewayError> {
    if let Some(trade_no) = request.text("trade_no") {
        let reference = book.ledger.reference_of(&trade_no).ok_or(Refusal::UnknownTrade)?;
        return Ok(reference.to_owned());
    }
    request.text("out_trade_no").ok_or_else(|| parameter("out_trade_no"))
}

/// `alipay.trade.query`
pub fn query(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let now = alipay.now();
    let mut book = alipay.book();
    let reference = target(&book, request)?;
    let trade = book.ledger.seen(&reference, now)?;
    let amount = trade.opening.amount.decimal();
    let when_paid = |text: String| trade.paid_at.map(|_| text);
    Ok(members(vec![
        ("buyer_logon_id", Some(BUYER_LOGON_ID.to_owned())),
        ("buyer_pay_amount", Some(when_paid(amount.clone()).unwrap_or("0.00".to_owned()))),
        ("buyer_user_id", Some(BUYER_ID.to_owned())),
        ("fund_bill_list", when_paid(fund_bill_list(trade.opening.amount))),
        ("invoice_amount", Some(when_paid(amount.clone()).unwrap_or("0.00".to_owned()))),
        ("out_trade_no", Some(reference)),
        ("passback_params", trade.opening.echo("passback_params").map(str::to_owned)),
        ("point_amount", Some("0.00".to_owned())),
        ("receipt_amount", Some(when_paid(amount.clone()).unwrap_or("0.00".to_owned()))),
        ("send_pay_date", trade.paid_at.map(china_text)),
        ("total_amount", Some(amount)),
        ("trade_no", Some(trade.provider_reference.clone())),
        ("trade_status", Some(trade_status(trade.standing).to_owned())),
    ]))
}

/// `alipay.trade.close`
pub fn close(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let now = alipay.now();
    let mut book = alipay.book();
    let reference = target(&book, request)?;
    let trade = book.ledger.close(&reference, now)?;
    Ok(members(vec![
        ("out_trade_no", Some(reference)),
        ("trade_no", Some(trade.provider_reference.clone())),
    ]))
}

/// `alipay.trade.cancel`
pub fn cancel(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let now = alipay.now();
    let mut book = alipay.book();
    let reference = target(&book, request)?;
    let action = match book.ledger.cancel(&reference, now)? {
        Cancelled::Nothing => None,
        Cancelled::Closed => Some("close".to_owned()),
        Cancelled::Refunded => Some("refund".to_owned()),
    };
    let trade_no = book.ledger.get(&reference).map(|trade| trade.provider_reference.clone());
    Ok(members(vec![
        ("out_trade_no", Some(reference)),
        ("trade_no", trade_no),
        ("retry_flag", Some("N".to_owned())),
        ("action", action),
    ]))
}

/// `alipay.open.app.alipaycert.download`
pub fn certificate(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let wanted = request.required("alipay_cert_sn")?;
    let pem = alipay.credentials.certificate(&wanted).ok_or_else(|| parameter("alipay_cert_sn"))?;
    let content = STANDARD.encode(pem);
    Ok(members(vec![("alipay_cert_content", Some(content))]))
}
