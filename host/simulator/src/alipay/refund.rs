//! Refunds and their query: the replied fee is the sum of all refunds of the trade.
use super::Alipay;
use super::notice::{BUYER_ID, BUYER_LOGON_ID};
use super::reply::{Members, members};
use super::request::{GatewayError, Request};
use super::trade::target;
use crate::clock::china_text;
use crate::ledger::Refusal;

/// `alipay.trade.refund`
pub fn refund(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let now = alipay.now();
    let amount = crate::money::Amount::parse(&request.required("refund_amount")?)
        .ok_or(Refusal::RefundNotPositive)?;
    let number = request.text("out_request_no");
    let reason = request.text("refund_reason");
    let mut book = alipay.book();
    let reference = target(&book, request)?;
    let moved = book.ledger.refund(&reference, number.as_deref(), amount, reason, now)?;
    let trade = book.ledger.get(&reference).ok_or(Refusal::UnknownTrade)?;
    let at = trade.refund(number.as_deref().unwrap_or(&reference)).map(|refund| refund.at);
    Ok(members(vec![
        ("buyer_logon_id", Some(BUYER_LOGON_ID.to_owned())),
        ("buyer_user_id", Some(BUYER_ID.to_owned())),
        ("fund_change", Some(if moved { "Y" } else { "N" }.to_owned())),
        ("gmt_refund_pay", at.map(china_text)),
        ("out_trade_no", Some(reference.clone())),
        ("refund_fee", Some(trade.refunded().decimal())),
        ("send_back_fee", Some(if moved { amount.decimal() } else { "0.00".to_owned() })),
        ("trade_no", Some(trade.provider_reference.clone())),
    ]))
}

/// `alipay.trade.fastpay.refund.query`: a refund that is not known has no `refund_status`.
pub fn query(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let now = alipay.now();
    let number = request.required("out_request_no")?;
    let mut book = alipay.book();
    let reference = target(&book, request)?;
    let trade = book.ledger.seen(&reference, now)?;
    let Some(refund) = trade.refund(&number) else {
        return Ok(Members::new());
    };
    let options = request.business.get("query_options").and_then(|options| options.as_array());
    let wanted = |name: &str| options.is_some_and(|list| list.iter().any(|item| item == name));
    Ok(members(vec![
        ("out_request_no", Some(number.clone())),
        ("out_trade_no", Some(reference)),
        ("refund_amount", Some(refund.amount.decimal())),
        ("refund_reason", refund.reason.clone()),
        ("refund_status", Some("REFUND_SUCCESS".to_owned())),
        ("total_amount", Some(trade.opening.amount.decimal())),
        ("trade_no", Some(trade.provider_reference.clone())),
        ("gmt_refund_pay", wanted("gmt_refund_pay").then(|| china_text(refund.at))),
    ]))
}
