//! Starting a payment: a code to scan, a page on a phone, or parameters for the client library of a mini program or an app.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tollgate_sdk::contract::requests::{NextAction, Outcome, PayRequest, Report, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse, PaymentStatus};
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256, sign_base64};
use tollgate_sdk::{Keyring, china_time, facts, fault, form, text};

use crate::gateway::MERCHANT_KEY;
use crate::{gateway, money, reply};

/// Where orders of each product are made.
pub const PATHS: [(&str, &str); 4] = [
    ("native", "/v3/pay/transactions/native"),
    ("h5", "/v3/pay/transactions/h5"),
    ("jsapi", "/v3/pay/transactions/jsapi"),
    ("app", "/v3/pay/transactions/app"),
];

/// A code or a prepared order is good for two hours, the page of a phone for five minutes.
const CODE_LIFE_MS: i64 = 2 * 3_600_000;
const PAGE_LIFE_MS: i64 = 5 * 60_000;
/// The time to pay that WeChat Pay gives by itself; of a longer one nothing is published.
const ORDER_LIFE_MS: i64 = 7 * 24 * 3_600_000;
/// Longest `description`, in characters.
const LONGEST_DESCRIPTION: usize = 127;

#[derive(Serialize)]
struct Content<'a> {
    appid: &'a str,
    mchid: &'a str,
    description: &'a str,
    out_trade_no: &'a str,
    time_expire: String,
    notify_url: &'a str,
    amount: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<Payer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scene_info: Option<Scene<'a>>,
}

#[derive(Serialize)]
struct Amount {
    total: i64,
    currency: &'static str,
}

#[derive(Serialize)]
struct Payer<'a> {
    openid: &'a str,
}

#[derive(Serialize)]
struct Scene<'a> {
    payer_client_ip: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    h5_info: Option<Page>,
}

#[derive(Serialize)]
struct Page {
    r#type: &'static str,
}

/// Builds the call of the payment's method.
///
/// # Errors
/// `invalid-request` for an amount or currency that WeChat Pay does not take, a method that is not one of its own, or a
/// payer who is not named where the product wants him.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &PayRequest) -> Result<Step, Fault> {
    if request.manual_capture {
        return Err(fault::unsupported("WeChat Pay's payments are captured at once"));
    }
    let method = request.payment.method.as_str();
    let path = PATHS.iter().find(|(name, _)| *name == method).map(|(_, path)| *path);
    let path =
        path.ok_or_else(|| fault::invalid_request(format!("WeChat Pay has no method `{method}`")))?;
    let time_expire = china_time::rfc3339(&china_time::text(payable_until(request)))
        .ok_or_else(|| fault::invalid_request("the expiry is no time"))?;
    let content = Content {
        appid: context.required_setting("appid")?,
        mchid: context.required_setting("mchid")?,
        description: text::first(&request.subject, LONGEST_DESCRIPTION),
        out_trade_no: &request.payment.payment_ref,
        time_expire,
        notify_url: &request.notify_url,
        amount: Amount { total: money::fen(&request.payment.amount)?, currency: "CNY" },
        payer: payer(request, method)?,
        scene_info: scene(request, method)?,
    };
    gateway::post(context, keys, path, &content)
}

fn payable_until(request: &PayRequest) -> i64 {
    request.expires_ms.min(request.payment.created_ms.saturating_add(ORDER_LIFE_MS))
}

fn payer<'a>(request: &'a PayRequest, method: &str) -> Result<Option<Payer<'a>>, Fault> {
    if method != "jsapi" {
        return Ok(None);
    }
    let missing = || fault::invalid_request("`payer_id`: the payer's id in the app is missing");
    Ok(Some(Payer { openid: request.payer_id.as_deref().ok_or_else(missing)? }))
}

fn scene<'a>(request: &'a PayRequest, method: &str) -> Result<Option<Scene<'a>>, Fault> {
    let ip = request.payer_ip.as_deref();
    if method != "h5" {
        return Ok(ip.map(|payer_client_ip| Scene { payer_client_ip, h5_info: None }));
    }
    let missing = || fault::invalid_request("`payer_ip`: the address of the payer is missing");
    let page = Page { r#type: "Wap" };
    Ok(Some(Scene { payer_client_ip: ip.ok_or_else(missing)?, h5_info: Some(page) }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Prepared {
    code_url: String,
    h5_url: String,
    prepay_id: String,
}

/// Reads the answer. A refusal ends the payment: no payer ever had its code.
///
/// # Errors
/// See [`reply::verified`]; `duplicate` if the order exists already, whose state a query tells.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &PayRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let payment_ref = request.payment.payment_ref.as_str();
    let prepared: Prepared = match reply::verified(keys, response, context.now_ms)? {
        Ok(prepared) => prepared,
        Err(refusal) if refusal.is_failure() => return Err(refusal.fault()),
        Err(refusal) => match refusal.code.as_str() {
            // An earlier try got further than we know: ask what became of it.
            "OUT_TRADE_NO_USED" | "ORDERPAID" | "ORDER_CLOSED" | "ORDERCLOSED" => {
                let mut fault = refusal.fault();
                fault.code = "duplicate".to_owned();
                fault.retry_after_ms = None;
                return Err(fault);
            }
            _ => {
                let mut fact = facts::payment(PaymentStatus::Failed, payment_ref, refusal.code);
                fact.reason = Some(refusal.message);
                return Ok(facts::report(fact));
            }
        },
    };
    let (action, life_ms) = action(context, keys, request, &prepared)?;
    let until = payable_until(request).min(context.now_ms.saturating_add(life_ms));
    Ok(Outcome::Report(Report {
        fact: facts::payment(PaymentStatus::Pending, payment_ref, "NOTPAY"),
        action,
        action_expires_ms: Some(until),
        keep: None,
    }))
}

fn action<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &PayRequest,
    prepared: &Prepared,
) -> Result<(NextAction, i64), Fault> {
    let need = |name: &str, text: &str| match text {
        "" => Err(fault::protocol(format!("reply: no `{name}`")).outcome_unknown()),
        text => Ok(text.to_owned()),
    };
    Ok(match request.payment.method.as_str() {
        "native" => (NextAction::QrCode(need("code_url", &prepared.code_url)?), CODE_LIFE_MS),
        "h5" => {
            let page = need("h5_url", &prepared.h5_url)?;
            let glue = if page.contains('?') { '&' } else { '?' };
            let mut url = format!("{page}{glue}redirect_url=");
            form::push_encoded(&mut url, &request.return_url);
            (NextAction::Redirect(url), PAGE_LIFE_MS)
        }
        method => {
            let prepay_id = need("prepay_id", &prepared.prepay_id)?;
            let parameters = client_parameters(context, keys, method, &prepay_id)?;
            (NextAction::ClientParameters(parameters), CODE_LIFE_MS)
        }
    })
}

/// What the client library takes, signed with the merchant's key: a line each.
fn client_parameters<K: Keyring>(
    context: &Context,
    keys: &K,
    method: &str,
    prepay_id: &str,
) -> Result<String, Fault> {
    let appid = context.required_setting("appid")?;
    let (seconds, nonce) = (context.now_ms.div_euclid(1000).to_string(), &context.nonce);
    let sign = |last: [&str; 2]| {
        let text = format!("{appid}\n{seconds}\n{nonce}\n{}{}\n", last[0], last[1]);
        sign_base64(keys, Pick::Slot(MERCHANT_KEY), RSA_PKCS1_SHA256, text)
            .map_err(Fault::outcome_unknown)
    };
    let parameters = if method == "jsapi" {
        json!({
            "appId": appid, "timeStamp": seconds, "nonceStr": nonce,
            "package": format!("prepay_id={prepay_id}"), "signType": "RSA",
            "paySign": sign(["prepay_id=", prepay_id])?,
        })
    } else {
        json!({
            "appid": appid, "partnerid": context.required_setting("mchid")?,
            "prepayid": prepay_id, "package": "Sign=WXPay", "noncestr": nonce,
            "timestamp": seconds, "sign": sign([prepay_id, ""])?,
        })
    };
    Ok(parameters.to_string())
}
