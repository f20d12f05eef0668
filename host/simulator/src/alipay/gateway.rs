//! `gateway.do`: reads a call, applies scripted faults, does the work, signs the reply.
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::canonical::Charset;
use super::reply::{self, Frame, Members};
use super::request::{self, GatewayError, Request};
use super::{Alipay, download, pay, refund, trade};
use crate::faults::{Hit, Verb};
use crate::provider::Provider as _;
use crate::rsa::SigningKey;

/// The operation of an API name, as faults call it; `None` for an API that is not offered.
fn operation(method: &str) -> Option<&'static str> {
    match method {
        "alipay.trade.page.pay" | "alipay.trade.wap.pay" => Some("pay"),
        "alipay.trade.precreate" => Some("precreate"),
        "alipay.trade.query" => Some("query"),
        "alipay.trade.close" => Some("close"),
        "alipay.trade.cancel" => Some("cancel"),
        "alipay.trade.refund" => Some("refund"),
        "alipay.trade.fastpay.refund.query" => Some("refund_query"),
        "alipay.data.dataservice.bill.downloadurl.query" => Some("bill"),
        "alipay.open.app.alipaycert.download" => Some("certificate"),
        _ => None,
    }
}

/// Answers one call.
pub async fn call(
    State(alipay): State<Arc<Alipay>>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let query = query.unwrap_or_default();
    let request = match request::read(query.as_bytes(), &body, &alipay.credentials) {
        Ok(request) => request,
        Err((method, error)) => {
            alipay.book().calls.count(method.as_deref().unwrap_or("unknown"), None);
            let known = method.as_deref().filter(|name| operation(name).is_some());
            return if known.is_some_and(|name| operation(name) == Some("pay")) {
                pay::error_page(&error)
            } else {
                refuse(&alipay, known, error)
            };
        }
    };
    let reference = request.text("out_trade_no");
    alipay.book().calls.count(&request.method, reference.as_deref());
    let Some(operation) = operation(&request.method) else {
        let error = GatewayError::invalid("isv.invalid-method", "不存在的方法名");
        return refuse(&alipay, None, error);
    };
    let hit = alipay.fault(operation, reference.as_deref());
    hit.wait().await;
    if let Some(response) = hit.instead() {
        return response;
    }
    let response = if operation == "pay" {
        pay::present(&alipay, &request, &hit)
    } else {
        respond(&alipay, &request, operation, &hit)
    };
    if alipay.publish().is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    hit.lose_reply().await;
    response
}

fn respond(alipay: &Alipay, request: &Request, operation: &str, hit: &Hit) -> Response {
    let frame = Frame {
        method: Some(&request.method),
        charset: request.charset,
        certificates: request.certificates,
    };
    let mut outcome = outcome(alipay, request, operation, hit);
    reply::distort(&mut outcome, hit);
    let key: Option<&SigningKey> = if hit.has(Verb::Unsigned) {
        None
    } else if hit.has(Verb::BadSignature) {
        alipay.credentials.forger().ok()
    } else {
        Some(alipay.credentials.signer())
    };
    let body = reply::render(frame, &outcome, &alipay.credentials, key);
    reply::answer(request.charset, alipay.chance.hex(32), body)
}

fn outcome(
    alipay: &Alipay,
    request: &Request,
    operation: &str,
    hit: &Hit,
) -> Result<Members, GatewayError> {
    if let Some(rule) = hit.get(Verb::Refuse) {
        let sub_code = rule.value.as_deref().unwrap_or("ACQ.SELLER_BALANCE_NOT_ENOUGH");
        return Err(GatewayError::business(sub_code, "业务处理失败"));
    }
    if let Some(rule) = hit.get(Verb::SystemError) {
        if rule.value.as_deref() == Some("done") {
            // The work is done, and the caller does not hear of it.
            let _ = work(alipay, request, operation, hit);
        }
        return Err(GatewayError::unavailable());
    }
    work(alipay, request, operation, hit)
}

fn work(
    alipay: &Alipay,
    request: &Request,
    operation: &str,
    hit: &Hit,
) -> Result<Members, GatewayError> {
    match operation {
        "precreate" => pay::precreate(alipay, request),
        "query" => trade::query(alipay, request),
        "close" => trade::close(alipay, request),
        "cancel" => trade::cancel(alipay, request),
        "refund" => refund::refund(alipay, request),
        "refund_query" => refund::query(alipay, request),
        "bill" => download::link(alipay, request, hit),
        _ => trade::certificate(alipay, request),
    }
}

fn refuse(alipay: &Alipay, method: Option<&str>, error: GatewayError) -> Response {
    let frame = Frame { method, charset: Charset::Utf8, certificates: false };
    let key = Some(alipay.credentials.signer());
    let body = reply::render(frame, &Err(error), &alipay.credentials, key);
    reply::answer(Charset::Utf8, alipay.chance.hex(32), body)
}
