//! Reading a gateway reply. The signature covers the raw bytes of the inner object, so these are cut out and checked
//! before anything in them is read.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_sdk::contract::types::{Fault, HttpResponse};
use tollgate_sdk::json_slice::Members;
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256, verify_base64};
use tollgate_sdk::{Keyring, fault};

use crate::certificates;

/// The members that every reply has.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// 10000: the call worked (which does not say "paid").
    pub code: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    sub_code: String,
    #[serde(default)]
    sub_msg: String,
}

/// A reply whose signature held.
#[derive(Debug)]
pub struct Reply<'a> {
    raw: &'a str,
    verdict: Verdict,
}

/// Milliseconds after which a call that Alipay could not serve is worth repeating.
const RETRY_MS: u32 = 3_000;

impl<'a> Reply<'a> {
    /// Verifies the reply to a call of `method` (`alipay.trade.query`).
    ///
    /// # Errors
    /// Whatever is not Alipay's signed word, with an unknown outcome: some error replies carry no signature, and
    /// are never a final state.
    pub fn verified<K: Keyring>(
        keys: &K,
        method: &str,
        response: &'a HttpResponse,
    ) -> Result<Self, Fault> {
        let (raw, members) = cut(method, response)?;
        let verdict: Verdict = parse(raw)?;
        let Some(sign) = members.string("sign").filter(|sign| !sign.is_empty()) else {
            return Err(verdict.unsigned());
        };
        let serial = members.string("alipay_cert_sn");
        // The call was sent, whatever our keys are.
        let key =
            certificates::alipay_key(keys, serial.as_deref()).map_err(Fault::outcome_unknown)?;
        if verify(keys, key, raw, &sign)? {
            return Ok(Self { raw, verdict });
        }
        Err(fault::signature("the reply's signature does not hold").outcome_unknown())
    }

    /// Whether the call worked.
    pub fn worked(&self) -> bool {
        self.verdict.code == "10000"
    }

    /// The business refusal (`ACQ.TRADE_NOT_EXIST` without its prefix, which some replies misspell), if it is one.
    pub fn refusal(&self) -> Option<&str> {
        let code = self.verdict.sub_code.as_str();
        let is_business = self.verdict.code == "40004" && !code.is_empty();
        is_business.then(|| code.split_once('.').map_or(code, |(_, rest)| rest))
    }

    /// The refusal as Alipay wrote it, code and words.
    pub fn refusal_words(&self) -> (String, String) {
        (self.verdict.sub_code.clone(), self.verdict.sub_msg.clone())
    }

    /// Reads the inner object.
    ///
    /// # Errors
    /// `protocol`, the outcome unknown, if it has another shape.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        parse(self.raw)
    }

    /// The fault that a reply stands for, where it is not a business refusal that the caller knows.
    pub fn fault(&self) -> Fault {
        let verdict = &self.verdict;
        if self.refusal() == Some("SYSTEM_ERROR") || verdict.code == "20000" {
            return verdict
                .say(fault::unavailable("Alipay could not serve the call"))
                .retry_after(RETRY_MS)
                .outcome_unknown();
        }
        match verdict.code.as_str() {
            "20001" | "40006" => verdict.say(fault::auth("Alipay does not permit the call")),
            "40001" | "40002" => verdict.say(fault::invalid_request("Alipay refused the call")),
            _ => verdict.say(fault::protocol("Alipay refused the call")).outcome_unknown(),
        }
    }
}

impl Verdict {
    fn say(&self, fault: Fault) -> Fault {
        let (code, message) = if self.sub_code.is_empty() {
            (&self.code, &self.msg)
        } else {
            (&self.sub_code, &self.sub_msg)
        };
        fault.said(code.clone(), message.clone())
    }

    fn unsigned(&self) -> Fault {
        let fault = if self.code == "10000" {
            fault::signature("a reply without a signature")
        } else if self.code == "20000" {
            fault::unavailable("an error reply without a signature").retry_after(RETRY_MS)
        } else {
            fault::auth("an error reply without a signature")
        };
        self.say(fault).outcome_unknown()
    }
}

/// Checks the signature of a raw object.
pub fn verify<K: Keyring>(keys: &K, key: Pick<'_>, raw: &str, sign: &str) -> Result<bool, Fault> {
    verify_base64(keys, key, RSA_PKCS1_SHA256, raw.to_owned(), sign).map_err(Fault::outcome_unknown)
}

/// The inner object of a reply and the members beside it, nothing of it believed yet.
pub fn cut<'a>(method: &str, response: &'a HttpResponse) -> Result<(&'a str, Members<'a>), Fault> {
    if response.status != 200 {
        let trace = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("trace_id"));
        let trace = trace.map_or("none", |(_, value)| value.as_str());
        let message = format!("HTTP {} from the gateway, trace {trace}", response.status);
        return Err(fault::unavailable(message).retry_after(RETRY_MS).outcome_unknown());
    }
    let refused = |reason: &str| fault::protocol(format!("reply: {reason}")).outcome_unknown();
    let text = std::str::from_utf8(&response.body).map_err(|_| refused("not UTF-8"))?;
    let members = Members::of(text).map_err(|error| refused(&error.to_string()))?;
    let name = format!("{}_response", method.replace('.', "_"));
    let raw = members.raw(&name).or_else(|| members.raw("error_response"));
    Ok((raw.ok_or_else(|| refused("no response member"))?, members))
}

fn parse<T: DeserializeOwned>(raw: &str) -> Result<T, Fault> {
    serde_json::from_str(raw)
        .map_err(|error| fault::protocol(format!("reply: {error}")).outcome_unknown())
}
