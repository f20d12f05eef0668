//! Reading a gateway request, as strictly as the protocol allows, and Alipay's error codes.
use serde_json::Value;

use super::canonical::{self, Charset, Field};
use super::keys::Credentials;
use crate::clock;
use crate::ledger::Refusal;
use crate::money::Amount;
use crate::rsa::verify;

/// A request whose signature and common parameters were checked.
#[derive(Clone, Debug)]
pub struct Request {
    /// API name, such as `alipay.trade.query`.
    pub method: String,
    /// Charset of the request, and so of the reply.
    pub charset: Charset,
    /// Whether it named certificates, and so wants one named in the reply.
    pub certificates: bool,
    /// Where the merchant wants to hear of the trade.
    pub notify_url: Option<String>,
    /// Where the payer goes back to.
    pub return_url: Option<String>,
    /// Business parameters.
    pub business: Value,
}

/// An error as the gateway words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayError {
    /// `40002` and the like.
    pub code: &'static str,
    /// English text of the code.
    pub msg: &'static str,
    /// The reason.
    pub sub_code: String,
    /// Text of the reason.
    pub sub_msg: String,
    /// Whether the reply carries a signature: those that doubt the caller do not.
    pub signed: bool,
}

impl GatewayError {
    /// A parameter that is missing.
    pub fn missing(sub_code: &str) -> GatewayError {
        GatewayError {
            code: "40001",
            msg: "Missing Required Arguments",
            sub_code: sub_code.to_owned(),
            sub_msg: "缺少参数".to_owned(),
            signed: true,
        }
    }

    /// A parameter that is wrong.
    pub fn invalid(sub_code: &str, sub_msg: &str) -> GatewayError {
        GatewayError {
            code: "40002",
            msg: "Invalid Arguments",
            sub_code: sub_code.to_owned(),
            sub_msg: sub_msg.to_owned(),
            signed: true,
        }
    }

    /// The business says no.
    pub fn business(sub_code: &str, sub_msg: &str) -> GatewayError {
        GatewayError {
            code: "40004",
            msg: "Business Failed",
            sub_code: sub_code.to_owned(),
            sub_msg: sub_msg.to_owned(),
            signed: true,
        }
    }

    /// The service is not there: the outcome is unknown.
    pub fn unavailable() -> GatewayError {
        GatewayError {
            code: "20000",
            msg: "Service Currently Unavailable",
            sub_code: "aop.unknow-error".to_owned(),
            sub_msg: "系统繁忙".to_owned(),
            signed: true,
        }
    }

    fn unsigned(self) -> GatewayError {
        GatewayError { signed: false, ..self }
    }
}

impl From<Refusal> for GatewayError {
    fn from(refusal: Refusal) -> GatewayError {
        let (sub_code, sub_msg) = match refusal {
            Refusal::UnknownTrade => ("ACQ.TRADE_NOT_EXIST", "交易不存在"),
            Refusal::AlreadyPaid => ("ACQ.TRADE_HAS_SUCCESS", "交易已被支付"),
            Refusal::Closed => ("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"),
            Refusal::Finished => ("ACQ.TRADE_HAS_FINISHED", "交易已经完结"),
            Refusal::WrongStanding => ("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"),
            Refusal::OtherContent => ("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改"),
            Refusal::RefundTooMuch => ("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限"),
            Refusal::RefundNotPositive => ("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效"),
            Refusal::RefundNumberMissing => ("ACQ.INVALID_PARAMETER", "参数无效"),
            Refusal::RefundRepeatDiffers => ("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求"),
            Refusal::CancelTooLate => ("ACQ.TRADE_CANCEL_TIME_OUT", "超过撤销时间范围"),
        };
        GatewayError::business(sub_code, sub_msg)
    }
}

/// Reads and checks a request; the method's name comes with an error, as the reply needs it.
pub fn read(
    query: &[u8],
    body: &[u8],
    credentials: &Credentials,
) -> Result<Request, (Option<String>, GatewayError)> {
    let mut fields = canonical::read_form(query);
    fields.extend(canonical::read_form(body));
    let method = ascii(&fields, "method").filter(|name| !name.is_empty());
    check(&fields, method.as_deref(), credentials).map_err(|error| (method, error))
}

fn check(
    fields: &[Field],
    method: Option<&str>,
    credentials: &Credentials,
) -> Result<Request, GatewayError> {
    let method = method.ok_or_else(|| GatewayError::missing("isv.missing-method").unsigned())?;
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("参数重复: {}", pair[0]);
        return Err(GatewayError::invalid("isv.invalid-parameter", &text).unsigned());
    }
    let need = |name: &str, missing: &str| {
        let value = ascii(fields, name).filter(|value| !value.is_empty());
        value.ok_or_else(|| GatewayError::missing(missing).unsigned())
    };
    let app_id = need("app_id", "isv.missing-app-id")?;
    if app_id != credentials.app_id {
        return Err(GatewayError::invalid("isv.invalid-app-id", "无效的AppID参数").unsigned());
    }
    let charset = Charset::named(&need("charset", "isv.missing-charset")?)
        .ok_or_else(|| GatewayError::invalid("isv.invalid-charset", "字符集错误").unsigned())?;
    if need("sign_type", "isv.missing-signature-type")? != "RSA2" {
        let error = GatewayError::invalid("isv.invalid-signature-type", "无效的签名类型");
        return Err(error.unsigned());
    }
    let sign = need("sign", "isv.missing-signature")?;
    let text = canonical::request_text(fields);
    if !verify(credentials.merchant.spki(), &text, &sign) {
        let text = "验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配";
        return Err(GatewayError::invalid("isv.invalid-signature", text).unsigned());
    }
    if clock::read_china_text(&need("timestamp", "isv.missing-timestamp")?).is_none() {
        return Err(GatewayError::invalid("isv.invalid-timestamp", "非法的时间戳参数"));
    }
    if need("version", "isv.missing-version")? != "1.0" {
        return Err(GatewayError::invalid("isv.invalid-version", "版本参数无效"));
    }
    if ascii(fields, "format").is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
        return Err(GatewayError::invalid("isv.invalid-format", "数据格式错误"));
    }
    Ok(Request {
        method: method.to_owned(),
        charset,
        certificates: certificates(fields, credentials)?,
        notify_url: address(fields, "notify_url")?,
        return_url: address(fields, "return_url")?,
        business: business(fields, charset)?,
    })
}

fn certificates(fields: &[Field], credentials: &Credentials) -> Result<bool, GatewayError> {
    let named = [
        ("app_cert_sn", &credentials.certificates.merchant_sn),
        ("alipay_root_cert_sn", &credentials.certificates.root_sn),
    ];
    let given = named.map(|(name, _)| ascii(fields, name).filter(|value| !value.is_empty()));
    if given.iter().all(Option::is_none) {
        return Ok(false);
    }
    for ((name, expected), value) in named.iter().zip(given) {
        if value.as_ref() != Some(expected) {
            let code = format!("isv.invalid-{}", name.replace('_', "-"));
            return Err(GatewayError::invalid(&code, "证书序列号不匹配").unsigned());
        }
    }
    Ok(true)
}

fn business(fields: &[Field], charset: Charset) -> Result<Value, GatewayError> {
    let raw = match fields.iter().find(|field| field.name == "biz_content") {
        Some(field) if !field.value.is_empty() => &field.value,
        _ => return Ok(Value::Object(serde_json::Map::new())),
    };
    let error = || GatewayError::invalid("isv.invalid-parameter", "biz_content 格式错误");
    let text = charset.decode(raw).ok_or_else(error)?;
    let value: Value = serde_json::from_str(&text).map_err(|_| error())?;
    if value.is_object() { Ok(value) } else { Err(error()) }
}

fn address(fields: &[Field], name: &str) -> Result<Option<String>, GatewayError> {
    let Some(text) = ascii(fields, name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    match url::Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Some(text)),
        _ => Err(GatewayError::invalid("isv.invalid-parameter", &format!("{name} 无效"))),
    }
}

fn ascii(fields: &[Field], name: &str) -> Option<String> {
    let field = fields.iter().find(|field| field.name == name)?;
    String::from_utf8(field.value.clone()).ok()
}

impl Request {
    /// A business parameter as text; numbers are taken as they are written.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.business.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A business parameter that must be there.
    pub fn required(&self, name: &str) -> Result<String, GatewayError> {
        self.text(name).ok_or_else(|| parameter(name))
    }

    /// An amount between 0.01 and 100000000.
    pub fn amount(&self, name: &str) -> Result<Amount, GatewayError> {
        let amount = Amount::parse(&self.required(name)?).ok_or_else(|| parameter(name))?;
        let allowed = 1..=10_000_000_000;
        if allowed.contains(&amount.0) { Ok(amount) } else { Err(parameter(name)) }
    }
}

/// The error for a business parameter that is missing or wrong.
pub fn parameter(name: &str) -> GatewayError {
    GatewayError::business("ACQ.INVALID_PARAMETER", &format!("参数有误: {name}"))
}
