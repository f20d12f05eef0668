//! A day's balance transactions, a page a piece. New ones appear at the head while pages are read: the day bounds them.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse};
use tollgate_sdk::{fault, utc_time};

use crate::gateway::{self, pair};
use crate::objects::List;
use crate::reply;

/// Where they are listed.
pub const PATH: &str = "/v1/balance_transactions";
/// The bill kind of this plugin.
pub const BALANCE: &str = "balance";

const DAY_S: i64 = 86_400;

/// Asks for the next page; the state is the last id of the one before.
///
/// # Errors
/// `invalid-request` for another kind of bill, or a period that is no day.
pub fn build(context: &Context, request: &BillRequest, state: &[u8]) -> Result<Step, Fault> {
    if request.kind != BALANCE {
        return Err(fault::invalid_request(format!("Stripe has no bill `{}`", request.kind)));
    }
    let from = utc_time::start_of_day(&request.period)
        .ok_or_else(|| fault::invalid_request("`period` is a day, yyyy-MM-dd"))?
        .div_euclid(1000);
    let mut query = vec![
        pair("created[gte]", from.to_string()),
        pair("created[lt]", (from + DAY_S).to_string()),
        pair("limit", "100"),
        pair("expand[]", "data.source"),
    ];
    if !state.is_empty() {
        query.push(pair("starting_after", String::from_utf8_lossy(state)));
    }
    Ok(Step::Send((gateway::get(context, PATH, query)?, state.to_vec())))
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

/// Hands the page on as it came.
///
/// # Errors
/// See [`reply::read`].
pub fn interpret(
    request: &BillRequest,
    state: &[u8],
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let list: List<Listed> = match reply::read(response)? {
        Ok(list) => list,
        Err(refusal) => return Err(refusal.fault()),
    };
    let last = list.data.last();
    if list.has_more && last.is_none_or(|last| last.id.as_bytes() == state) {
        return Err(fault::protocol("a page that leads nowhere"));
    }
    let more = last.filter(|_| list.has_more).map(|last| last.id.clone().into_bytes());
    let after = if state.is_empty() { "first".into() } else { String::from_utf8_lossy(state) };
    let file = BillFile {
        name: format!("{}_{BALANCE}_{after}.json", request.period),
        content: BillContent::Bytes(response.body.clone()),
        unpack: Vec::new(),
        digest: None,
    };
    let files = if list.data.is_empty() { Vec::new() } else { vec![file] };
    Ok(Outcome::Bill(BillReport { files, more, complete: true, extra: Vec::new() }))
}
