//! Requests of the merchant's server, and signed replies to them.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::fields::{Fields, reply_text, signed_text};
use super::{UnionPay, bill, transactions};
use crate::faults::{Hit, Verb};
use crate::ledger::Refusal;
use crate::provider::Provider as _;
use crate::rsa::verify;

/// Why a call is not done: the code, and words.
#[derive(Debug)]
pub struct Refused(pub &'static str, pub String);

impl Refused {
    /// A field that is missing or wrong.
    pub fn field(name: &str) -> Refused {
        Refused("10", format!("报文格式错误[{name}]"))
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        let code = match refusal {
            Refusal::UnknownTrade => "34",
            Refusal::AlreadyPaid | Refusal::OtherContent | Refusal::RefundRepeatDiffers => "12",
            Refusal::WrongStanding | Refusal::Closed | Refusal::Finished => "35",
            _ => "36",
        };
        Refused(code, refusal.to_string())
    }
}

/// Reads a request's form and checks what all requests have in common.
pub fn read(unionpay: &UnionPay, body: &[u8]) -> Result<Fields, Refused> {
    let fields: Fields = url::form_urlencoded::parse(body).into_owned().collect();
    let own = &unionpay.credentials;
    let need = |name: &str| fields.get(name).ok_or_else(|| Refused::field(name));
    for (name, value) in [
        ("version", "5.1.0"),
        ("encoding", "UTF-8"),
        ("signMethod", "01"),
        ("accessType", "0"),
        ("merId", own.mer_id.as_str()),
        ("certId", own.merchant_serial.as_str()),
    ] {
        if need(name)? != value {
            return Err(Refused::field(name));
        }
    }
    let time = need("txnTime")?;
    if time.len() != 14 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refused::field("txnTime"));
    }
    if fields.values().any(String::is_empty) {
        return Err(Refused("10", "报文格式错误".to_owned()));
    }
    if let Some(order) = fields.get("orderId") {
        let fits = (8..=32).contains(&order.len())
            && order.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !fits {
            return Err(Refused::field("orderId"));
        }
    }
    match verify(own.merchant.spki(), signed_text(&fields).as_bytes(), need("signature")?) {
        true => Ok(fields),
        false => Err(Refused("11", "验证签名失败".to_owned())),
    }
}

/// Answers one call.
pub async fn call(State(unionpay): State<Arc<UnionPay>>, uri: Uri, body: Bytes) -> Response {
    let fields = match read(&unionpay, &body) {
        Ok(fields) => fields,
        Err(refused) => {
            unionpay.book().calls.count("refused", None);
            return answer(&unionpay, Fields::new(), Err(refused), None);
        }
    };
    let Some(operation) = named(&unionpay, uri.path(), &fields) else {
        return answer(&unionpay, Fields::new(), Err(Refused::field("txnType")), None);
    };
    let reference = fields.get("orderId").cloned();
    unionpay.book().calls.count(operation, reference.as_deref());
    let hit = unionpay.fault(operation, reference.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let outcome = outcome(&unionpay, operation, &fields, &hit);
    let response = answer(&unionpay, echoed(&fields), outcome, Some(&hit));
    if unionpay.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    hit.lose_reply().await;
    response
}

fn named(unionpay: &UnionPay, path: &str, fields: &Fields) -> Option<&'static str> {
    let kind = fields.get("txnType").map(String::as_str);
    Some(match (path.trim_start_matches("/unionpay/gateway/api/"), kind?) {
        ("appTransReq.do", "01") => "app",
        ("backTransReq.do", "04") => "refund",
        ("backTransReq.do", "95") => "encryption",
        ("queryTrans.do", "00") => {
            let order = fields.get("orderId")?;
            match unionpay.desk().refund_times.contains_key(order) {
                true => "refund_query",
                false => "query",
            }
        }
        ("/unionpay/", "76") => "bill",
        _ => return None,
    })
}

/// What a reply repeats of its request.
fn echoed(fields: &Fields) -> Fields {
    let of_request = [
        "txnType",
        "txnSubType",
        "bizType",
        "accessType",
        "merId",
        "orderId",
        "txnTime",
        "txnAmt",
        "currencyCode",
        "fileType",
        "settleDate",
        "origQryId",
    ];
    fields
        .iter()
        .filter(|(name, _)| of_request.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn outcome(
    unionpay: &UnionPay,
    operation: &str,
    fields: &Fields,
    hit: &Hit,
) -> Result<Fields, Refused> {
    if let Some(rule) = hit.get(Verb::Refuse) {
        // Codes are a fixed set: the few that tests ask for.
        let code = match rule.value.as_deref() {
            Some("03") => "03",
            Some("04") => "04",
            Some("05") => "05",
            Some("06") => "06",
            Some("34") => "34",
            Some("64") => "64",
            _ => "36",
        };
        return Err(Refused(code, "交易失败".to_owned()));
    }
    if let Some(rule) = hit.get(Verb::SystemError) {
        if rule.value.as_deref() == Some("done") {
            // The work is done, and the caller does not hear of it.
            let _ = work(unionpay, operation, fields);
        }
        return Err(Refused("04", "交易状态未明".to_owned()));
    }
    work(unionpay, operation, fields)
}

fn work(unionpay: &UnionPay, operation: &str, fields: &Fields) -> Result<Fields, Refused> {
    match operation {
        "app" => transactions::app(unionpay, fields),
        "refund" => transactions::refund(unionpay, fields),
        "encryption" => encryption(unionpay, fields),
        "query" => transactions::query(unionpay, fields),
        "refund_query" => transactions::query_refund(unionpay, fields),
        _ => bill::file(unionpay, fields),
    }
}

/// The newest certificate that payers' cards are sealed to.
fn encryption(unionpay: &UnionPay, fields: &Fields) -> Result<Fields, Refused> {
    let is_named = |name: &str, value: &str| fields.get(name).map(String::as_str) == Some(value);
    for (name, value) in [("txnSubType", "00"), ("bizType", "000000"), ("certType", "01")] {
        if !is_named(name, value) {
            return Err(Refused::field(name));
        }
    }
    let newest = unionpay.credentials.sealing().pop().ok_or_else(|| Refused::field("certType"))?;
    let told = [("certType", "01"), ("encryptPubKeyCert", newest.pem.as_str())];
    Ok(told.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// Signs fields with UnionPay's key, its certificate among them.
pub fn seal(unionpay: &UnionPay, fields: &mut Fields) {
    let own = &unionpay.credentials;
    for (name, value) in [("version", "5.1.0"), ("encoding", "UTF-8"), ("signMethod", "01")] {
        fields.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    fields.entry("signPubKeyCert".to_owned()).or_insert_with(|| own.provider_pem.clone());
    let signature = own.provider.sign(signed_text(fields).as_bytes());
    fields.insert("signature".to_owned(), signature);
}

fn answer(
    unionpay: &UnionPay,
    mut fields: Fields,
    outcome: Result<Fields, Refused>,
    hit: Option<&Hit>,
) -> Response {
    match outcome {
        Ok(more) => fields.extend(more),
        Err(Refused(code, message)) => {
            fields.insert("respCode".to_owned(), code.to_owned());
            fields.insert("respMsg".to_owned(), message);
        }
    }
    fields.entry("respCode".to_owned()).or_insert_with(|| "00".to_owned());
    fields.entry("respMsg".to_owned()).or_insert_with(|| "成功[0000000]".to_owned());
    if let Some(hit) = hit {
        distort(&mut fields, hit);
    }
    seal(unionpay, &mut fields);
    if hit.is_some_and(|hit| hit.has(Verb::Unsigned)) {
        fields.remove("signature");
    }
    if hit.is_some_and(|hit| hit.has(Verb::BadSignature)) {
        let own = &unionpay.credentials;
        let forged = own.merchant.sign(signed_text(&fields).as_bytes());
        fields.insert("signature".to_owned(), forged);
    }
    let text = [(header::CONTENT_TYPE, "text/html;charset=UTF-8")];
    (text, reply_text(&fields)).into_response()
}

/// Bends truthful fields as the rules in force want it.
pub fn distort(fields: &mut Fields, hit: &Hit) {
    if let Some(rule) = hit.get(Verb::WrongAmount)
        && let Some(truth) = fields.get("txnAmt").and_then(|text| text.parse::<i64>().ok())
    {
        let lie = rule.value.clone().unwrap_or_else(|| (truth + 1).to_string());
        fields.insert("txnAmt".to_owned(), lie);
    }
    if let Some(rule) = hit.get(Verb::LieStatus) {
        let lie = rule.value.clone().unwrap_or_else(|| "01".to_owned());
        let name = if fields.contains_key("origRespCode") { "origRespCode" } else { "respCode" };
        fields.insert(name.to_owned(), lie);
    }
    if let Some(rule) = hit.get(Verb::Set) {
        for (name, value) in &rule.set {
            fields.insert(name.clone(), value.clone());
        }
    }
}
