//! Transactions: an order for an app, refunds, and what became of either.
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::fields::{Fields, query_id, trace_time};
use super::wire::Refused;
use super::{UnionPay, bill, card, fields};
use crate::clock::{china, later};
use crate::ledger::{Opening, Trade};
use crate::money::Amount;
use crate::provider::currency;

/// An order without an end is good for fifteen minutes.
const DEFAULT_LIFE: SignedDuration = SignedDuration::from_mins(15);

fn need<'f>(fields: &'f Fields, name: &str) -> Result<&'f str, Refused> {
    fields.get(name).map(String::as_str).ok_or_else(|| Refused::field(name))
}

fn read_compact(text: &str) -> Option<Timestamp> {
    let wall = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    Some(wall.to_zoned(china()).ok()?.timestamp())
}

/// Notes what the merchant wants to be paid. Gives his number of it.
pub fn prepare(unionpay: &UnionPay, fields: &Fields, product: &str) -> Result<String, Refused> {
    let now = unionpay.now();
    let reference = need(fields, "orderId")?.to_owned();
    let amount: i64 = need(fields, "txnAmt")?.parse().map_err(|_| Refused::field("txnAmt"))?;
    let fits = amount > 0
        && need(fields, "currencyCode")? == "156"
        && need(fields, "txnSubType")? == "01"
        && need(fields, "bizType")? == "000201";
    if !fits {
        return Err(Refused::field("txnAmt, currencyCode, txnSubType, bizType"));
    }
    // The end is told by the merchant's clock, and the books may live on another day.
    let offset = now.duration_since(unionpay.till.clock.now());
    let expires_at = match fields.get("payTimeout") {
        Some(text) => {
            let at = read_compact(text).ok_or_else(|| Refused::field("payTimeout"))?;
            later(at, offset)
        }
        None => later(now, DEFAULT_LIFE),
    };
    let time = need(fields, "txnTime")?.to_owned();
    let mut echoed = BTreeMap::from([("txnTime".to_owned(), time)]);
    // Of a card that came along, what anybody may see.
    if let Some(card) = card::read(&unionpay.credentials, fields)? {
        echoed.insert("accNo".to_owned(), card);
    }
    let opening = Opening {
        reference: reference.clone(),
        amount: Amount(amount),
        currency: currency::<UnionPay>(),
        subject: fields.get("orderDesc").cloned().unwrap_or_else(|| "Order".to_owned()),
        product: product.to_owned(),
        echoed,
        notify_url: Some(need(fields, "backUrl")?.to_owned()),
        return_url: fields.get("frontUrl").cloned(),
        quit_url: None,
        expires_at,
    };
    let number = query_id(&unionpay.chance, now);
    unionpay.book().ledger.prepare(opening, number, now)?;
    Ok(reference)
}

/// `appTransReq.do`: a number for the client library.
pub fn app(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let reference = prepare(unionpay, fields, "app")?;
    let tn = unionpay.chance.digits(21);
    unionpay.desk().tickets.insert(tn.clone(), reference);
    Ok(Fields::from([("tn".to_owned(), tn)]))
}

/// `MMdd`, of the file that will have it.
fn settle_date(at: Timestamp) -> String {
    bill::clearing_day(at).strftime("%m%d").to_string()
}

/// What is told of a payment: by notification, return and query.
pub fn told(trade: &Trade) -> Fields {
    let opening = &trade.opening;
    let at = trade.paid_at.unwrap_or(trade.prepared_at);
    let mut fields = Fields::new();
    for (name, value) in [
        ("txnType", "01".to_owned()),
        ("txnSubType", "01".to_owned()),
        ("bizType", "000201".to_owned()),
        ("accessType", "0".to_owned()),
        ("orderId", opening.reference.clone()),
        ("txnTime", opening.echo("txnTime").unwrap_or_default().to_owned()),
        ("txnAmt", opening.amount.0.to_string()),
        ("currencyCode", "156".to_owned()),
        ("queryId", trade.provider_reference.clone()),
        ("settleAmt", opening.amount.0.to_string()),
        ("settleCurrencyCode", "156".to_owned()),
        ("settleDate", settle_date(at)),
        ("traceNo", trade.provider_reference[15..].to_owned()),
        ("traceTime", trace_time(at)),
        ("accNo", opening.echo("accNo").unwrap_or("6226****0048").to_owned()),
    ] {
        fields.insert(name.to_owned(), value);
    }
    fields
}

/// What is told of a refund.
pub fn told_of_refund(unionpay: &UnionPay, trade: &Trade, number: &str) -> Option<Fields> {
    let refund = trade.refund(number)?;
    let time = unionpay.desk().refund_times.get(number).cloned();
    let mut fields = told(trade);
    for (name, value) in [
        ("txnType", "04".to_owned()),
        ("txnSubType", "00".to_owned()),
        ("orderId", number.to_owned()),
        ("txnTime", time.unwrap_or_else(|| fields::compact(refund.at))),
        ("txnAmt", refund.amount.0.to_string()),
        ("settleAmt", refund.amount.0.to_string()),
        ("queryId", refund_query_id(trade, number)),
        ("origQryId", trade.provider_reference.clone()),
        ("traceTime", trace_time(refund.at)),
        ("settleDate", settle_date(refund.at)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Some(fields)
}

/// The number of a refund: the payment's with another end.
pub fn refund_query_id(trade: &Trade, number: &str) -> String {
    let at = trade.refunds.iter().position(|refund| refund.request_no == number).unwrap_or(0);
    format!("{}{:03}", &trade.provider_reference[..18], 900 + at)
}

/// `backTransReq.do` with `txnType` 04: taken, and no more than that.
pub fn refund(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let (number, time) = (need(fields, "orderId")?, need(fields, "txnTime")?);
    let original = need(fields, "origQryId")?;
    let amount: i64 = need(fields, "txnAmt")?.parse().map_err(|_| Refused::field("txnAmt"))?;
    let reference = unionpay.book().ledger.reference_of(original).map(str::to_owned);
    let reference = reference.ok_or_else(|| Refused("35", "原交易不存在".to_owned()))?;
    if unionpay.desk().refund_times.contains_key(number) {
        return Err(Refused("12", "重复交易".to_owned()));
    }
    let now = unionpay.now();
    let done = unionpay.book().ledger.refund(&reference, Some(number), Amount(amount), None, now);
    done?;
    unionpay.desk().refund_times.insert(number.to_owned(), time.to_owned());
    let trade = unionpay.book().ledger.get(&reference).cloned();
    let query = trade.map(|trade| refund_query_id(&trade, number)).unwrap_or_default();
    Ok(Fields::from([("queryId".to_owned(), query)]))
}

/// `queryTrans.do` about a payment.
pub fn query(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let (order, time) = (need(fields, "orderId")?, need(fields, "txnTime")?);
    let trade = unionpay.book().ledger.seen(order, unionpay.now())?.clone();
    if trade.opening.echo("txnTime") != Some(time) || trade.paid_at.is_none() {
        return Err(Refused("34", "查无此交易".to_owned()));
    }
    Ok(of_original(told(&trade)))
}

/// The same about a refund.
pub fn query_refund(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let (number, time) = (need(fields, "orderId")?, need(fields, "txnTime")?);
    let absent = || Refused("34", "查无此交易".to_owned());
    if unionpay.desk().refund_times.get(number).map(String::as_str) != Some(time) {
        return Err(absent());
    }
    let trades: Vec<Trade> = unionpay.book().ledger.trades().cloned().collect();
    let trade = trades.iter().find(|trade| trade.refund(number).is_some()).ok_or_else(absent)?;
    Ok(of_original(told_of_refund(unionpay, trade, number).ok_or_else(absent)?))
}

/// An answer to a query: the query worked, and so did what it asks about.
fn of_original(mut fields: Fields) -> Fields {
    for (name, value) in [
        ("txnType", "00"),
        ("txnSubType", "00"),
        ("bizType", "000000"),
        ("origRespCode", "00"),
        ("origRespMsg", "成功[0000000]"),
    ] {
        fields.insert(name.to_owned(), value.to_owned());
    }
    fields
}
