//! Starting a payment: page and WAP pay in a browser, precreate with a code to scan.
use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};

use super::reply::{Members, members};
use super::request::{GatewayError, Request, parameter};
use super::{Alipay, numbers, payer};
use crate::clock;
use crate::faults::{Hit, Verb};
use crate::ledger::Opening;
use crate::pages;
use crate::provider::currency;

const LONGEST_REFERENCE: usize = 64;
const LONGEST_SUBJECT: usize = 256;
const DAY_S: i64 = 86_400;
/// How long a trade can be paid at most, and when the merchant says nothing.
const PAGE_DEFAULT_S: i64 = 15 * DAY_S;
const CODE_DEFAULT_S: i64 = 3 * 3_600;

/// The payer's browser brought a page or WAP payment: shows the page to pay.
pub fn present(alipay: &Alipay, request: &Request, hit: &Hit) -> Response {
    if hit.has(Verb::SystemError) {
        return error_page(&GatewayError::unavailable());
    }
    if let Some(rule) = hit.get(Verb::Refuse) {
        let sub_code = rule.value.as_deref().unwrap_or("ACQ.SYSTEM_ERROR");
        return error_page(&GatewayError::business(sub_code, "业务处理失败"));
    }
    match prepare(alipay, request) {
        Ok(reference) => {
            let token = ticket(alipay, &reference);
            payer::page(alipay, &token, &reference)
        }
        Err(error) => error_page(&error),
    }
}

/// `alipay.trade.precreate`: notes the trade and gives a code for the payer to scan.
pub fn precreate(alipay: &Alipay, request: &Request) -> Result<Members, GatewayError> {
    let reference = prepare(alipay, request)?;
    let code = format!("{}/qr/{}", alipay.base, ticket(alipay, &reference));
    Ok(members(vec![("out_trade_no", Some(reference)), ("qr_code", Some(code))]))
}

/// Checks the business parameters and notes the trade; it exists only when a payer opens it.
pub fn prepare(alipay: &Alipay, request: &Request) -> Result<String, GatewayError> {
    let now = alipay.now();
    let opening = read(request, now)?;
    let reference = opening.reference.clone();
    let mut book = alipay.book();
    let trade_no = numbers::trade_no(&alipay.chance, now);
    book.ledger.prepare(opening, trade_no, now)?;
    Ok(reference)
}

fn ticket(alipay: &Alipay, reference: &str) -> String {
    let token = alipay.chance.token();
    alipay.desk().tickets.insert(token.clone(), reference.to_owned());
    token
}

fn read(request: &Request, now: Timestamp) -> Result<Opening, GatewayError> {
    let reference = request.required("out_trade_no")?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if reference.len() > LONGEST_REFERENCE || !reference.bytes().all(allowed) {
        return Err(parameter("out_trade_no"));
    }
    let subject = request.required("subject")?;
    if subject.chars().count() > LONGEST_SUBJECT || subject.contains(['/', '=', '&']) {
        return Err(parameter("subject"));
    }
    let codes: (&[&str], bool) = match request.method.as_str() {
        "alipay.trade.page.pay" => (&["FAST_INSTANT_TRADE_PAY"], true),
        "alipay.trade.wap.pay" => (&["QUICK_WAP_WAY", "QUICK_WAP_PAY"], false),
        "alipay.trade.app.pay" => (&["QUICK_MSECURITY_PAY"], false),
        _ => (&["FACE_TO_FACE_PAYMENT", "QR_CODE_OFFLINE"], false),
    };
    match request.text("product_code") {
        Some(code) if !codes.0.contains(&code.as_str()) => return Err(parameter("product_code")),
        None if codes.1 => return Err(parameter("product_code")),
        _ => {}
    }
    let named = |name: &str| Some((name.to_owned(), request.text(name)?));
    let mut echoed: BTreeMap<String, String> =
        ["body", "passback_params"].into_iter().filter_map(named).collect();
    echoed.insert("charset".to_owned(), request.charset.name().to_owned());
    Ok(Opening {
        reference,
        amount: request.amount("total_amount")?,
        currency: currency::<Alipay>(),
        subject,
        product: request.method.clone(),
        echoed,
        notify_url: request.notify_url.clone(),
        return_url: request.return_url.clone(),
        quit_url: request.text("quit_url").filter(|url| url.starts_with("http")),
        expires_at: expiry(request, now)?,
    })
}

fn expiry(request: &Request, now: Timestamp) -> Result<Timestamp, GatewayError> {
    if let Some(text) = request.text("time_expire") {
        let at = clock::read_china_text(&text).ok_or_else(|| parameter("time_expire"))?;
        let latest = clock::later(now, SignedDuration::from_secs(PAGE_DEFAULT_S));
        return if at > now && at <= latest { Ok(at) } else { Err(parameter("time_expire")) };
    }
    let seconds = match request.text("timeout_express") {
        Some(text) => span(&text, now).ok_or_else(|| parameter("timeout_express"))?,
        None if request.method == "alipay.trade.precreate" => CODE_DEFAULT_S,
        None => PAGE_DEFAULT_S,
    };
    Ok(clock::later(now, SignedDuration::from_secs(seconds)))
}

/// Seconds of `90m`, `2h`, `3d` or `1c` (until the end of the day in China), 1 minute to 15 days.
fn span(text: &str, now: Timestamp) -> Option<i64> {
    let unit = text.chars().last()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        'm' => count.checked_mul(60)?,
        'h' => count.checked_mul(3_600)?,
        'd' => count.checked_mul(DAY_S)?,
        'c' if count == 1 => {
            let tomorrow = clock::in_china(now).date().tomorrow().ok()?;
            return Some(clock::start_of(tomorrow).duration_since(now).as_secs().max(1));
        }
        _ => return None,
    };
    (60..=PAGE_DEFAULT_S).contains(&seconds).then_some(seconds)
}

/// What a payer's browser shows of an error.
pub fn error_page(error: &GatewayError) -> Response {
    let page = pages::message("The payment cannot be made", &[&error.sub_code, &error.sub_msg]);
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_within_their_bounds() {
        let now = Timestamp::UNIX_EPOCH; // 08:00 in China
        let rows = [
            ("1m", Some(60)),
            ("90m", Some(5_400)),
            ("2h", Some(7_200)),
            ("15d", Some(1_296_000)),
            ("1c", Some(57_600)),
            ("0m", None),
            ("16d", None),
            ("2c", None),
            ("m", None),
            ("1.5h", None),
            ("茶", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(span(text, now), seconds, "{text}");
        }
    }
}
