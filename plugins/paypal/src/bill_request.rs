//! A day's transactions, a page a piece. What PayPal lists lags some hours behind, and it says how far it has come.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse};
use tollgate_sdk::{fault, utc_time};

use crate::{gateway, reply};

/// Where they are listed.
pub const PATH: &str = "/v1/reporting/transactions";
/// The bill kind of this plugin.
pub const TRANSACTIONS: &str = "transactions";

const DAY_MS: i64 = 86_400_000;
/// What is not complete yet is asked for again after an hour.
const NOT_READY_MS: u32 = 3_600_000;

/// The first second of the day, and the first of the next.
fn bounds(request: &BillRequest) -> Result<(String, String), Fault> {
    if request.kind != TRANSACTIONS {
        return Err(fault::invalid_request(format!("PayPal has no bill `{}`", request.kind)));
    }
    let from = utc_time::start_of_day(&request.period)
        .ok_or_else(|| fault::invalid_request("`period` is a day, yyyy-MM-dd"))?;
    Ok((utc_time::rfc3339(from), utc_time::rfc3339(from + DAY_MS - 1)))
}

/// The number of the next page, and of how many rows the first page spoke.
fn place(state: &[u8]) -> (u32, Option<u64>) {
    let next = std::str::from_utf8(state).ok().and_then(|text| text.split_once('/'));
    let read = next.and_then(|(page, rows)| Some((page.parse().ok()?, rows.parse().ok()?)));
    read.map_or((1, None), |(page, rows)| (page, Some(rows)))
}

/// Asks for the next page; the state is where the reading stands.
///
/// # Errors
/// `invalid-request` for another kind of bill, or a period that is no day.
pub fn build(context: &Context, request: &BillRequest, state: &[u8]) -> Result<Step, Fault> {
    let (from, to) = bounds(request)?;
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let query = vec![
        pair("start_date", from),
        pair("end_date", to),
        pair("fields", "all".to_owned()),
        pair("page_size", "500".to_owned()),
        pair("page", place(state).0.to_string()),
    ];
    Ok(Step::Send((gateway::get(context, PATH, query)?, state.to_vec())))
}

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    transaction_details: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    total_pages: u32,
    #[serde(default)]
    total_items: u64,
    last_refreshed_datetime: Option<String>,
}

/// Hands the page on as it came.
///
/// # Errors
/// `not-found`, to be tried again, where rows of that day may still come; `unavailable` where some came while pages were read:
/// pages are counted off, so that rows may be on two of them, or on none.
pub fn interpret(
    request: &BillRequest,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let listed: Listed = match reply::read(response)? {
        Ok(listed) => listed,
        Err(refusal) => return Err(refusal.fault()),
    };
    let (_, to) = bounds(request)?;
    // Both are UTC, written alike up to the seconds.
    let behind = |at: &String| at.get(..19).is_none_or(|at| at < &to[..19]);
    if listed.last_refreshed_datetime.as_ref().is_some_and(behind) {
        let fault = fault::not_found("PayPal has not listed all of that day yet");
        return Err(fault.retry_after(NOT_READY_MS));
    }
    let (page, rows) = place(state);
    if rows.is_some_and(|rows| rows != listed.total_items) {
        return Err(fault::unavailable("PayPal's list changed while it was read"));
    }
    let next = || format!("{}/{}", page + 1, listed.total_items).into_bytes();
    let more = (page < listed.total_pages).then(next);
    let file = BillFile {
        name: format!("{}_{TRANSACTIONS}_{page}.json", request.period),
        content: BillContent::Bytes(response.body.clone()),
        unpack: Vec::new(),
        digest: None,
    };
    let files = if listed.transaction_details.is_empty() { Vec::new() } else { vec![file] };
    Ok(Outcome::Bill(BillReport { files, more, complete: true, extra: Vec::new() }))
}
