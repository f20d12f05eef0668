//! The gateway's common parameters and the signature over them. As Alipay's own Node SDK does, everything but
//! `biz_content` goes in the query, so that `charset` is known before the body is decoded.

use std::borrow::Cow;

use serde::Serialize;
use tollgate_sdk::contract::requests::{PageForm, Step};
use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, Value};
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256, sign_base64};
use tollgate_sdk::{Keyring, canonical, china_time, fault, form};

use crate::certificates;

/// The slot of the merchant's own key.
pub const APP_KEY: &str = "app-private-key";
const PATH: &str = "/gateway.do";

/// A signed call: its parameters in byte order of their names, `sign` last.
pub struct Signed<'a> {
    base: &'a str,
    /// Sorted by name, none of them empty; `biz_content` among them.
    params: Vec<(&'static str, Cow<'a, str>)>,
    sign: String,
}

/// Signs a call of `method` with `content` as its `biz_content`. The addresses are left out where they are empty.
pub fn sign<'a, K: Keyring>(
    context: &'a Context,
    keys: &K,
    method: &'a str,
    content: &impl Serialize,
    notify_url: &'a str,
    return_url: &'a str,
) -> Result<Signed<'a>, Fault> {
    let content = serde_json::to_string(content)
        .map_err(|error| fault::invalid_request(format!("biz_content: {error}")))?;
    let serials = certificates::own_serials(keys)?;
    // In byte order already: what is signed is sorted, and sorting at each payment would be waste.
    let mut params: Vec<(&'static str, Cow<'a, str>)> = Vec::with_capacity(12);
    if let Some((root, own)) = serials {
        params.push(("alipay_root_cert_sn", root.into()));
        params.push(("app_cert_sn", own.into()));
    }
    params.push(("app_id", context.required_setting("app_id")?.into()));
    params.push(("biz_content", content.into()));
    params.push(("charset", "utf-8".into()));
    params.push(("format", "JSON".into()));
    params.push(("method", method.into()));
    if !notify_url.is_empty() {
        params.push(("notify_url", notify_url.into()));
    }
    if !return_url.is_empty() {
        params.push(("return_url", return_url.into()));
    }
    params.push(("sign_type", "RSA2".into()));
    params.push(("timestamp", china_time::text(context.now_ms).into()));
    params.push(("version", "1.0".into()));
    let text = canonical::join(params.iter().map(|(name, value)| (*name, value.as_ref())));
    let sign = sign_base64(keys, Pick::Slot(APP_KEY), RSA_PKCS1_SHA256, text)?;
    Ok(Signed { base: context.origin("gateway")?, params, sign })
}

impl Signed<'_> {
    /// A server's call.
    pub fn send(self) -> Step {
        let mut query = Vec::with_capacity(self.params.len());
        let mut content = Vec::with_capacity(1);
        for (name, value) in self.params {
            let place = if name == "biz_content" { &mut content } else { &mut query };
            place.push((name.to_owned(), Value::Text(value.into_owned())));
        }
        query.push(("sign".to_owned(), Value::Text(self.sign)));
        let request = HttpRequest {
            method: "POST".to_owned(),
            url: format!("{}{PATH}", self.base),
            query,
            headers: Vec::new(),
            body: Body::Form(content),
        };
        Step::Send((request, Vec::new()))
    }

    /// A form that the payer's browser posts.
    pub fn page_form(self) -> PageForm {
        let url = self.url(|name| name != "biz_content");
        let fields = self
            .params
            .into_iter()
            .filter(|(name, _)| *name == "biz_content")
            .map(|(name, value)| (name.to_owned(), value.into_owned()))
            .collect();
        PageForm { url, charset: "utf-8".to_owned(), fields }
    }

    /// An address that the payer's browser opens.
    pub fn redirect(&self) -> String {
        self.url(|_| true)
    }

    /// The string that an app hands to Alipay's client library.
    pub fn app_string(&self) -> String {
        let mut out = String::with_capacity(2048);
        self.push_params(&mut out, |_| true);
        out
    }

    fn url(&self, take: impl Fn(&str) -> bool) -> String {
        let mut out = String::with_capacity(2048);
        out.push_str(self.base);
        out.push_str(PATH);
        out.push('?');
        self.push_params(&mut out, take);
        out
    }

    fn push_params(&self, out: &mut String, take: impl Fn(&str) -> bool) {
        for (name, value) in self.params.iter().filter(|(name, _)| take(name)) {
            out.push_str(name);
            out.push('=');
            form::push_encoded(out, value);
            out.push('&');
        }
        out.push_str("sign=");
        form::push_encoded(out, &self.sign);
    }
}
