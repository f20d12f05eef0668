//! The API's wire: the merchant's signature over each request, and ours over each reply that worked.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::keys::Mode;
use super::{WechatPay, bill, orders, refunds};
use crate::faults::{Hit, Verb};
use crate::ledger::Refusal;
use crate::provider::Provider as _;
use crate::rsa::verify;

/// How far the time of a request may be from ours, in seconds.
const WINDOW_S: u64 = 300;

/// Why a call is not done: the HTTP status, the provider's word, and words.
#[derive(Debug)]
pub struct ApiError(pub StatusCode, pub String, pub String);

impl ApiError {
    /// A refusal by its word.
    pub fn new(status: StatusCode, code: &str, message: &str) -> ApiError {
        ApiError(status, code.to_owned(), message.to_owned())
    }

    /// A parameter that is missing or wrong.
    pub fn parameter(name: &str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "PARAM_ERROR", &format!("参数错误: {name}"))
    }

    fn busy() -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "SYSTEM_ERROR", "系统错误")
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let (status, code, message) = match refusal {
            Refusal::UnknownTrade => (StatusCode::NOT_FOUND, "ORDER_NOT_EXIST", "订单不存在"),
            Refusal::AlreadyPaid | Refusal::WrongStanding => {
                (StatusCode::BAD_REQUEST, "ORDERPAID", "订单已支付")
            }
            Refusal::Closed => (StatusCode::BAD_REQUEST, "ORDER_CLOSED", "订单已关闭"),
            Refusal::OtherContent | Refusal::RefundRepeatDiffers => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST", "请求参数与原订单不一致")
            }
            Refusal::RefundTooMuch | Refusal::Finished | Refusal::CancelTooLate => {
                (StatusCode::FORBIDDEN, "RULE_LIMIT", "退款金额超出限制")
            }
            Refusal::RefundNotPositive | Refusal::RefundNumberMissing => {
                (StatusCode::BAD_REQUEST, "PARAM_ERROR", "参数错误")
            }
        };
        ApiError::new(status, code, message)
    }
}

/// What a call answers: JSON, or nothing (204).
pub type Reply = Result<Option<Value>, ApiError>;

/// A call of the merchant whose signature held.
pub struct Call<'a> {
    /// The segments of its path behind `/v3`.
    pub path: Vec<&'a str>,
    /// A parameter of its query.
    pub query: Vec<(String, String)>,
    /// Its JSON; null without.
    pub json: Value,
    /// How its reply is to be signed, and notifications of what it makes.
    pub mode: Mode,
}

impl Call<'_> {
    /// A text member of the JSON.
    pub fn text(&self, name: &str) -> Result<String, ApiError> {
        let text = self.json[name].as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| ApiError::parameter(name))
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Answers one call under `/v3`.
pub async fn call(
    State(wechat): State<Arc<WechatPay>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map_or("", |it| it.as_str());
    if let Err(error) = check(&wechat, &method, target, &headers, &body) {
        wechat.book().calls.count("unsigned", None);
        return refusal(error);
    }
    let mode = match headers.contains_key("wechatpay-serial") {
        true => Mode::PublicKey,
        false => Mode::Certificate,
    };
    let call = Call {
        path: uri.path().trim_start_matches("/wechatpay/v3/").split('/').collect(),
        query: url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes())
            .into_owned()
            .collect(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        mode,
    };
    let Some((operation, reference)) = named(&method, &call) else {
        return refusal(ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", "不存在"));
    };
    wechat.book().calls.count(operation, reference.as_deref());
    let hit = wechat.fault(operation, reference.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let response = match operation {
        "download" => bill::download(&wechat, &call, &hit),
        _ => signed(&wechat, &call, outcome(&wechat, operation, &call, &hit), &hit),
    };
    if wechat.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    hit.lose_reply().await;
    response
}

/// What a call is, and of which order it speaks.
fn named(method: &Method, call: &Call<'_>) -> Option<(&'static str, Option<String>)> {
    let of = |name: &str| call.json[name].as_str().map(str::to_owned);
    let post = method == Method::POST;
    Some(match call.path[..] {
        ["pay", "transactions", "native" | "h5" | "jsapi" | "app"] if post => {
            ("pay", of("out_trade_no"))
        }
        ["pay", "transactions", "out-trade-no", number] if !post => {
            ("query", Some(number.to_owned()))
        }
        ["pay", "transactions", "out-trade-no", number, "close"] if post => {
            ("close", Some(number.to_owned()))
        }
        ["refund", "domestic", "refunds"] if post => ("refund", of("out_trade_no")),
        ["refund", "domestic", "refunds", _] if !post => ("refund_query", None),
        ["certificates"] if !post => ("certificates", None),
        ["bill", "tradebill"] if !post => ("bill", None),
        ["billdownload", "file"] if !post => ("download", None),
        _ => return None,
    })
}

fn outcome(wechat: &WechatPay, operation: &str, call: &Call<'_>, hit: &Hit) -> Reply {
    if let Some(rule) = hit.get(Verb::Refuse) {
        let code = rule.value.as_deref().unwrap_or("NOT_ENOUGH");
        return Err(ApiError::new(StatusCode::FORBIDDEN, code, "业务处理失败"));
    }
    if let Some(rule) = hit.get(Verb::SystemError) {
        if rule.value.as_deref() == Some("done") {
            // The work is done, and the caller does not hear of it.
            let _ = work(wechat, operation, call, hit);
        }
        return Err(ApiError::busy());
    }
    work(wechat, operation, call, hit)
}

fn work(wechat: &WechatPay, operation: &str, call: &Call<'_>, hit: &Hit) -> Reply {
    match operation {
        "pay" => orders::prepare(wechat, call),
        "query" => orders::query(wechat, call.path[3]),
        "close" => orders::close(wechat, call.path[3]),
        "refund" => refunds::refund(wechat, call),
        "refund_query" => refunds::query(wechat, call.path[3]),
        "bill" => bill::link(wechat, call, hit),
        _ => certificates(wechat),
    }
}

fn certificates(wechat: &WechatPay) -> Reply {
    let listed = |platform: super::keys::Platform| -> anyhow::Result<Value> {
        let nonce = wechat.chance.alphanumeric(12);
        Ok(json!({
            "serial_no": platform.serial,
            "effective_time": orders::china_rfc3339(platform.begins),
            "expire_time": orders::china_rfc3339(platform.ends),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": "certificate",
                "ciphertext": wechat.credentials.seal(&nonce, "certificate", &platform.pem)?,
            },
        }))
    };
    let all: anyhow::Result<Vec<Value>> =
        wechat.credentials.certificates().into_iter().map(listed).collect();
    all.map(|data| Some(json!({ "data": data }))).map_err(|_| ApiError::busy())
}

fn check(
    wechat: &WechatPay,
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), ApiError> {
    let wrong = |text: &str| ApiError::new(StatusCode::UNAUTHORIZED, "SIGN_ERROR", text);
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::USER_AGENT).is_none_or(str::is_empty) || text(header::ACCEPT).is_none() {
        return Err(wrong("缺少 User-Agent 或 Accept"));
    }
    let given = text(header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("WECHATPAY2-SHA256-RSA2048 "))
        .ok_or_else(|| wrong("Authorization 不正确"))?;
    let part = |name: &str| {
        let found = given.split(',').find_map(|pair| {
            let value = pair.trim().strip_prefix(name)?.strip_prefix("=\"")?;
            value.strip_suffix('"')
        });
        found.ok_or_else(|| wrong(&format!("Authorization 缺少 {name}")))
    };
    let own = &wechat.credentials;
    if part("mchid")? != own.mchid || part("serial_no")? != own.merchant_serial {
        return Err(wrong("商户号或证书序列号不匹配"));
    }
    let (timestamp, nonce) = (part("timestamp")?, part("nonce_str")?);
    let seconds: i64 = timestamp.parse().map_err(|_| wrong("timestamp 不正确"))?;
    if seconds.abs_diff(wechat.till.clock.now().as_second()) > WINDOW_S {
        return Err(wrong("timestamp 超出时间范围"));
    }
    let mut signed = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
    signed.extend_from_slice(body);
    signed.push(b'\n');
    match verify(own.merchant.spki(), &signed, part("signature")?) {
        true => Ok(()),
        false => Err(wrong("签名错误")),
    }
}

/// A reply as it goes out: bent as the rules want it, then signed. Refusals carry no signature.
fn signed(wechat: &WechatPay, call: &Call<'_>, outcome: Reply, hit: &Hit) -> Response {
    let (status, body) = match outcome {
        Err(error) => return refusal(error),
        Ok(None) => (StatusCode::NO_CONTENT, String::new()),
        Ok(Some(mut json)) => {
            distort(&mut json, hit);
            (StatusCode::OK, json.to_string())
        }
    };
    let mut response = (status, body.clone()).into_response();
    let headers = response.headers_mut();
    if !body.is_empty() {
        let json = header::HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, json);
    }
    if hit.has(Verb::Unsigned) {
        return response;
    }
    let age = hit.get(Verb::Stale).and_then(|rule| rule.value.as_ref()?.parse::<i64>().ok());
    let seconds = wechat.till.clock.now().as_second() - age.unwrap_or(0);
    let nonce = wechat.chance.alphanumeric(32);
    let text = format!("{seconds}\n{nonce}\n{body}\n");
    let own = &wechat.credentials;
    let Ok((serial, mut signature)) = own.sign(call.mode, text.as_bytes()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if hit.has(Verb::BadSignature) {
        match own.forger() {
            Ok(forger) => signature = forger.sign(text.as_bytes()),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
    for (name, value) in [
        ("wechatpay-timestamp", seconds.to_string()),
        ("wechatpay-nonce", nonce),
        ("wechatpay-signature", signature),
        ("wechatpay-serial", serial),
    ] {
        if let Ok(value) = header::HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Bends a truthful reply as the rules in force want it.
pub fn distort(json: &mut Value, hit: &Hit) {
    if let Some(rule) = hit.get(Verb::WrongAmount) {
        for name in ["total", "refund"] {
            if let Some(truth) = json["amount"][name].as_i64() {
                let lie = rule.value.as_deref().and_then(|value| value.parse().ok());
                json["amount"][name] = json!(lie.unwrap_or(truth + 1));
            }
        }
    }
    if let Some(rule) = hit.get(Verb::LieStatus) {
        for name in ["trade_state", "status", "refund_status"] {
            if json[name].is_string() {
                json[name] = json!(rule.value.as_deref().unwrap_or("CLOSED"));
            }
        }
    }
    if let Some(rule) = hit.get(Verb::Set) {
        for (name, value) in &rule.set {
            json[name] = json!(value);
        }
    }
}

fn refusal(error: ApiError) -> Response {
    let ApiError(status, code, message) = error;
    (status, axum::Json(json!({ "code": code, "message": message }))).into_response()
}
