//! Fetching a day's bill: a signed call gives a link that is good for half a minute, the link gives a zip.

use serde::{Deserialize, Serialize};
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Body, Context, Fault, HttpRequest, HttpResponse};
use tollgate_sdk::{Keyring, bills, fault};

use crate::gateway;
use crate::reply::Reply;

/// The gateway's name of the call.
pub const BILL_URL: &str = "alipay.data.dataservice.bill.downloadurl.query";
/// The bill kind of this plugin.
pub const TRADE: &str = "trade";

/// A bill that is not there yet is asked for again after an hour.
const NOT_READY_MS: u32 = 3_600_000;

#[derive(Serialize)]
struct Content<'a> {
    bill_type: &'static str,
    bill_date: &'a str,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    bill_download_url: String,
}

/// Asks for the link.
///
/// # Errors
/// `invalid-request` for another kind of bill, or a period that is no day.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &BillRequest,
) -> Result<Step, Fault> {
    let day = bills::day(request, TRADE)?;
    let content = Content { bill_type: TRADE, bill_date: day };
    Ok(gateway::sign(context, keys, BILL_URL, &content, "", "")?.send())
}

/// Hands on the link. A refusal is "not ready": Alipay's word for a day without a bill is not documented.
///
/// # Errors
/// `not-found`, to be tried again, where there is no bill.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &BillRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let reply = Reply::verified(keys, BILL_URL, response)?;
    if !reply.worked() {
        return match reply.refusal() {
            None | Some("SYSTEM_ERROR") => Err(reply.fault()),
            Some(_) => {
                let (code, words) = reply.refusal_words();
                let fault = fault::not_found("Alipay has no bill of that day yet");
                Err(fault.said(code, words).retry_after(NOT_READY_MS))
            }
        };
    }
    let link: Link = reply.body()?;
    if link.bill_download_url.is_empty() {
        return Err(fault::protocol("a bill without a link").retry_after(NOT_READY_MS));
    }
    let app_id = context.required_setting("app_id")?;
    let fetch = HttpRequest {
        method: "GET".to_owned(),
        url: link.bill_download_url,
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Empty,
    };
    Ok(Outcome::Bill(BillReport {
        files: vec![BillFile {
            name: format!("{app_id}_{}_{TRADE}.zip", request.period),
            content: BillContent::Fetch(fetch),
            unpack: vec!["zip".to_owned()],
            digest: None,
        }],
        more: None,
        complete: true,
        extra: Vec::new(),
    }))
}
