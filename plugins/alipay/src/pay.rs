//! Starting a payment: a page for the browser, a string for an app, or a QR code from the gateway.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{Item, NextAction, Outcome, PayRequest, Report, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, PaymentStatus};
use tollgate_sdk::{Keyring, china_time, context, decimal, facts, fault, text};

use crate::reply::Reply;
use crate::{certificates, gateway, money};

/// Desktop page, the payer's browser carries the call.
pub const PAGE: &str = "alipay.trade.page.pay";
/// Phone page, the same way.
pub const WAP: &str = "alipay.trade.wap.pay";
/// A string for Alipay's client library in an app.
pub const APP: &str = "alipay.trade.app.pay";
/// A QR code that the payer scans.
pub const PRECREATE: &str = "alipay.trade.precreate";

/// A precreated code is good for two hours at most.
const QR_LIFE_MS: i64 = 2 * HOUR_MS;
/// A trade can be paid for 15 days at most; a minute less, because Alipay counts by its own clock.
const TRADE_LIFE_MS: i64 = 15 * 24 * HOUR_MS - 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Bytes of `goods_detail`, which a merchant may leave out: in a browser's address each may take three.
const LONGEST_GOODS: usize = 2048;

#[derive(Serialize)]
struct Content<'a> {
    out_trade_no: &'a str,
    total_amount: String,
    subject: Cow<'a, str>,
    product_code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    time_expire: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    goods_detail: Vec<Goods<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quit_url: Option<&'a str>,
}

#[derive(Serialize)]
struct Goods<'a> {
    goods_id: Cow<'a, str>,
    goods_name: Cow<'a, str>,
    quantity: u32,
    price: String,
}

/// Builds the call of the payment's method.
///
/// # Errors
/// `invalid-request` for an amount or currency that Alipay does not take, or a method that is not Alipay's; `config` for an
/// account that could not verify what becomes of it.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &PayRequest) -> Result<Step, Fault> {
    if request.manual_capture {
        return Err(fault::unsupported("Alipay's payments are captured at once"));
    }
    let method = request.payment.method.as_str();
    let (api, product) = match method {
        "page" => (PAGE, "FAST_INSTANT_TRADE_PAY"),
        "wap" => (WAP, "QUICK_WAP_WAY"),
        "app" => (APP, "QUICK_MSECURITY_PAY"),
        "qr" => (PRECREATE, "FACE_TO_FACE_PAYMENT"),
        other => {
            return Err(fault::invalid_request(format!("Alipay has no method `{other}`")));
        }
    };
    certificates::check_verifiable(keys)?;
    let content = content(request, product)?;
    let has_page = matches!(method, "page" | "wap");
    let return_url = if has_page { request.return_url.as_str() } else { "" };
    let call = gateway::sign(context, keys, api, &content, &request.notify_url, return_url)?;
    let action = match method {
        "qr" => return Ok(call.send()),
        "app" => NextAction::ClientParameters(call.app_string()),
        _ if wants_redirect(context, request)? => NextAction::Redirect(call.redirect()),
        _ => NextAction::PostForm(call.page_form()),
    };
    Ok(Step::Done(Outcome::Report(Report {
        fact: facts::payment(PaymentStatus::Pending, &request.payment.payment_ref, ""),
        action,
        action_expires_ms: Some(payable_until(request)),
        keep: None,
    })))
}

/// Until when the trade can be paid: an order may wait longer than Alipay does.
fn payable_until(request: &PayRequest) -> i64 {
    request.expires_ms.min(request.payment.created_ms.saturating_add(TRADE_LIFE_MS))
}

/// How the browser goes to the page: as the payment asks, else as the account is set.
fn wants_redirect(context: &Context, request: &PayRequest) -> Result<bool, Fault> {
    let asked = context::find(&request.extra, "page_mode").filter(|mode| !mode.is_empty());
    match asked.or_else(|| context.setting("page_mode")) {
        None | Some("form") => Ok(false),
        Some("redirect") => Ok(true),
        Some(_) => Err(fault::invalid_request("`page_mode` is `form` or `redirect`")),
    }
}

fn content<'a>(request: &'a PayRequest, product_code: &'static str) -> Result<Content<'a>, Fault> {
    let is_wap = product_code == "QUICK_WAP_WAY";
    let description = request.description.as_deref().filter(|text| !text.is_empty());
    Ok(Content {
        out_trade_no: &request.payment.payment_ref,
        total_amount: money::yuan(&request.payment.amount)?,
        subject: subject(&request.subject),
        product_code,
        body: description.map(|text| text::first(text, 128)),
        time_expire: china_time::text(payable_until(request)),
        goods_detail: goods(&request.items),
        quit_url: request.cancel_url.as_deref().filter(|_| is_wap),
    })
}

/// What was bought, or nothing of it where that is too long.
fn goods(items: &[Item]) -> Vec<Goods<'_>> {
    let goods: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(at, item)| Goods {
            goods_id: match context::find(&item.extra, "id") {
                Some(id) => Cow::Borrowed(text::first(id, 32)),
                None => Cow::Owned((at + 1).to_string()),
            },
            goods_name: subject(&item.name),
            quantity: item.quantity,
            price: decimal::from_minor(item.unit.minor, 2),
        })
        .collect();
    match serde_json::to_vec(&goods) {
        Ok(json) if json.len() <= LONGEST_GOODS => goods,
        _ => Vec::new(),
    }
}

/// Alipay's subject may not hold `/`, `=` or `&`: their full-width forms read the same to the payer.
fn subject(text: &str) -> Cow<'_, str> {
    let text = text::first(text, 256);
    if !text.contains(['/', '=', '&']) {
        return Cow::Borrowed(text);
    }
    let widen = |c| match c {
        '/' => '\u{ff0f}',
        '=' => '\u{ff1d}',
        '&' => '\u{ff06}',
        other => other,
    };
    Cow::Owned(text.chars().map(widen).collect())
}

#[derive(Deserialize)]
struct Precreated {
    #[serde(default)]
    out_trade_no: String,
    #[serde(default)]
    qr_code: String,
}

/// Reads the answer to a precreate. A refusal there ends the payment: no payer ever had its code.
///
/// # Errors
/// See [`Reply::verified`]; `duplicate` if the trade exists already, whose state a query tells.
pub fn interpret<K: Keyring>(
    keys: &K,
    request: &PayRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, PRECREATE, response)?;
    let payment_ref = request.payment.payment_ref.as_str();
    if !reply.worked() {
        return match reply.refusal() {
            None | Some("SYSTEM_ERROR") => Err(reply.fault()),
            // An earlier try got further than we know: ask what became of it.
            Some("TRADE_HAS_SUCCESS" | "TRADE_HAS_CLOSE" | "TRADE_HAS_FINISHED") => {
                let (code, words) = reply.refusal_words();
                let mut fault = fault::protocol("the trade exists already");
                fault.code = "duplicate".to_owned();
                Err(fault.said(code, words).outcome_unknown())
            }
            Some(_) => {
                let (code, words) = reply.refusal_words();
                let mut fact = facts::payment(PaymentStatus::Failed, payment_ref, code);
                fact.reason = Some(words);
                Ok(facts::report(fact))
            }
        };
    }
    let body: Precreated = reply.body()?;
    if body.out_trade_no != payment_ref || body.qr_code.is_empty() {
        return Err(fault::protocol("precreate answered for another trade").outcome_unknown());
    }
    let code_ends = request.payment.created_ms.saturating_add(QR_LIFE_MS);
    let until = payable_until(request).min(code_ends);
    Ok(Outcome::Report(Report {
        fact: facts::payment(PaymentStatus::Pending, payment_ref, ""),
        action: NextAction::QrCode(body.qr_code),
        action_expires_ms: Some(until),
        keep: None,
    }))
}
