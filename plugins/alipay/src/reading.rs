//! Reading what Alipay, the payer's browser or an app brings. Which of them it is, the message itself says: a form
//! that is posted is a notification, a query is a return, JSON is what an app was told.

use serde::Deserialize;
use tollgate_sdk::contract::notices::{Authority, Event, Reading};
use tollgate_sdk::contract::types::{Channel, Fact, Fault, Inbound, Payment, PaymentStatus};
use tollgate_sdk::form::Form;
use tollgate_sdk::json_slice::Members;
use tollgate_sdk::keys::{RSA_PKCS1_SHA256, verify_base64};
use tollgate_sdk::{Keyring, canonical, china_time, facts, fault};

use crate::{certificates, money, notification, reply};

const APP_RESPONSE: &str = "alipay_trade_app_pay_response";

/// Reads one message. Its signature is checked before anything in it is used.
///
/// # Errors
/// `protocol` or `signature` reject the message; `config` is ours, and Alipay may send again.
pub fn read<K: Keyring>(
    keys: &K,
    message: &Inbound,
    about: Option<&Payment>,
) -> Result<Reading, Fault> {
    let (channel, event) = match message.channel {
        Channel::ClientResult => (Channel::ClientResult, client_result(keys, message, about)?),
        _ if message.method == "POST" => (Channel::Notification, notification(keys, message)?),
        _ => (Channel::BrowserReturn, browser_return(keys, message)?),
    };
    Ok(Reading::Events((channel, vec![event])))
}

fn notification<K: Keyring>(keys: &K, message: &Inbound) -> Result<Event, Fault> {
    // Alipay sends `application/x-www-form-urlencoded; text/html; charset=utf-8`, which no strict reader takes.
    let kind = header(message, "content-type").unwrap_or_default();
    let wanted = "application/x-www-form-urlencoded";
    let is_form = kind.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
    if !is_form {
        return Err(fault::protocol(format!("content-type: not {wanted}")));
    }
    notification::event(&verified_form(keys, &message.body)?)
}

fn header<'a>(message: &'a Inbound, name: &str) -> Option<&'a str> {
    let named = message.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str())
}

/// A form with a signature of the trade kind ("V1"): `sign` and `sign_type` are not in the signed text, and the kind
/// of signature is ours to choose, not the sender's.
fn verified_form<K: Keyring>(keys: &K, text: &[u8]) -> Result<Form, Fault> {
    let form = Form::parse(text).map_err(|error| fault::protocol(error.to_string()))?;
    check_kind(form.get("sign_type"), form.get("charset"), form.get("version"))?;
    let sign = form.filled("sign").ok_or_else(|| fault::signature("`sign` is missing"))?;
    let signed = canonical::join(form.pairs().filter(|(n, _)| *n != "sign" && *n != "sign_type"));
    let key = certificates::alipay_key(keys, form.get("alipay_cert_sn"))?;
    if !verify_base64(keys, key, RSA_PKCS1_SHA256, signed, sign)? {
        return Err(fault::signature("the signature does not hold"));
    }
    Ok(form)
}

fn check_kind(
    sign_type: Option<&str>,
    charset: Option<&str>,
    version: Option<&str>,
) -> Result<(), Fault> {
    if sign_type != Some("RSA2") {
        return Err(fault::signature("`sign_type` is not RSA2"));
    }
    if !charset.is_some_and(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return Err(fault::protocol("`charset` is not utf-8, which our requests ask for"));
    }
    match version {
        None | Some("1.0") => Ok(()),
        Some(_) => Err(fault::protocol("`version` is not 1.0")),
    }
}

/// The browser's return: signed, but it has no word on the state of the trade.
fn browser_return<K: Keyring>(keys: &K, message: &Inbound) -> Result<Event, Fault> {
    let form = verified_form(keys, message.query.as_bytes())?;
    let need = |name: &str| {
        form.filled(name).ok_or_else(|| fault::protocol(format!("return: `{name}` is missing")))
    };
    if !need("method")?.ends_with(".return") {
        return Err(fault::protocol("`method` is not that of a return"));
    }
    let mut fact = hint(need("out_trade_no")?, "");
    fact.provider_ref = form.filled("trade_no").map(str::to_owned);
    fact.amount = Some(money::read("total_amount", need("total_amount")?)?);
    for name in ["app_id", "seller_id"] {
        fact.seen.push((name.to_owned(), need(name)?.to_owned()));
    }
    let timestamp = need("timestamp")?;
    fact.at = china_time::rfc3339(timestamp);
    let dedupe_key = format!("return:{}:{timestamp}", need("out_trade_no")?);
    Ok(Event { fact, authority: Authority::Hint, dedupe_key })
}

fn hint(payment_ref: &str, raw: &str) -> Fact {
    facts::payment(PaymentStatus::Unknown, payment_ref, raw)
}

#[derive(Deserialize)]
struct AppResponse {
    code: String,
    #[serde(default)]
    app_id: String,
    #[serde(default)]
    seller_id: String,
    #[serde(default)]
    out_trade_no: String,
    #[serde(default)]
    trade_no: String,
    #[serde(default)]
    total_amount: String,
    #[serde(default)]
    timestamp: String,
}

/// What Alipay's client library told the app: `{"memo","result","resultStatus"}`, or its `result` alone.
fn client_result<K: Keyring>(
    keys: &K,
    message: &Inbound,
    about: Option<&Payment>,
) -> Result<Event, Fault> {
    let refused = |reason: &str| fault::protocol(format!("client result: {reason}"));
    let text = std::str::from_utf8(&message.body).map_err(|_| refused("not UTF-8"))?;
    let outer = Members::of(text).map_err(|error| refused(&error.to_string()))?;
    if outer.raw(APP_RESPONSE).is_some() {
        return app_response(keys, &outer);
    }
    let result = outer.string("result").unwrap_or_default();
    if !result.is_empty() {
        let inner = Members::of(&result).map_err(|error| refused(&error.to_string()))?;
        return app_response(keys, &inner);
    }
    // A payer who gave up brings no signed text: the state that the library names is worth a question, no more.
    let state = outer.string("resultStatus").ok_or_else(|| refused("no `resultStatus`"))?;
    let about = about.ok_or_else(|| refused("it names no payment"))?;
    let dedupe_key = format!("app:{}:{state}", about.payment_ref);
    Ok(Event { fact: hint(&about.payment_ref, &state), authority: Authority::Hint, dedupe_key })
}

fn app_response<K: Keyring>(keys: &K, members: &Members<'_>) -> Result<Event, Fault> {
    let raw = members.raw(APP_RESPONSE).ok_or_else(|| fault::protocol("no app response"))?;
    let sign_type = members.string("sign_type");
    check_kind(sign_type.as_deref(), Some("utf-8"), None)?;
    let sign = members.string("sign").ok_or_else(|| fault::signature("`sign` is missing"))?;
    let serial = members.string("alipay_cert_sn");
    let key = certificates::alipay_key(keys, serial.as_deref())?;
    if !reply::verify(keys, key, raw, &sign)? {
        return Err(fault::signature("the signature does not hold"));
    }
    let body: AppResponse = serde_json::from_str(raw)
        .map_err(|error| fault::protocol(format!("app response: {error}")))?;
    if body.out_trade_no.is_empty() {
        return Err(fault::protocol("app response: `out_trade_no` is missing"));
    }
    let mut fact = hint(&body.out_trade_no, &body.code);
    fact.amount = money::read_optional("total_amount", Some(&body.total_amount))?;
    fact.provider_ref = Some(body.trade_no).filter(|text| !text.is_empty());
    for (name, value) in [("app_id", body.app_id), ("seller_id", body.seller_id)] {
        if !value.is_empty() {
            fact.seen.push((name.to_owned(), value));
        }
    }
    fact.at = china_time::rfc3339(&body.timestamp);
    let dedupe_key = format!("app:{}:{}", body.out_trade_no, body.timestamp);
    Ok(Event { fact, authority: Authority::Hint, dedupe_key })
}
