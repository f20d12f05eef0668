//! Fetching a day's bill: a signed call gives a link and a digest, and the link is fetched with a signature of its own.

use serde::Deserialize;
use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse};
use tollgate_sdk::{Keyring, bills, fault};

use crate::{gateway, reply};

/// Where the link is told.
pub const PATH: &str = "/v3/bill/tradebill";
/// Where links lead.
pub const DOWNLOAD: &str = "/v3/billdownload/file";
/// The bill kind of this plugin.
pub const TRADE: &str = "trade";

/// A bill that is not made yet is asked for again after half an hour.
const NOT_READY_MS: u32 = 1_800_000;

#[derive(Deserialize)]
struct Link {
    hash_type: String,
    hash_value: String,
    download_url: String,
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
    let path = format!("{PATH}?bill_date={day}&bill_type=ALL");
    Ok(Step::Send((gateway::get(context, keys, &path)?, Vec::new())))
}

/// Hands on the link, signed. A day on which nothing happened has no bill, for good.
///
/// # Errors
/// `not-found`, to be tried again, where the bill is being made; `protocol` for a link that leads elsewhere: our signature
/// is for the API alone.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &BillRequest,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let link: Link = match reply::verified(keys, response, context.now_ms)? {
        Ok(link) => link,
        Err(refusal) => {
            return match refusal.code.as_str() {
                "NO_STATEMENT_EXIST" => Ok(report(Vec::new())),
                "STATEMENT_CREATING" => {
                    Err(fault::not_found("the bill is being made").retry_after(NOT_READY_MS))
                }
                _ => Err(refusal.fault()),
            };
        }
    };
    if link.hash_type != "SHA1" {
        return Err(fault::protocol("`hash_type` is not SHA1"));
    }
    let base = context.origin("api")?;
    let path = link.download_url.strip_prefix(base).filter(|path| path.starts_with(DOWNLOAD));
    let path = path.ok_or_else(|| fault::protocol("`download_url` leads away from the API"))?;
    let mchid = context.required_setting("mchid")?;
    Ok(report(vec![BillFile {
        name: format!("{mchid}_{}_{TRADE}.csv", request.period),
        content: BillContent::Fetch(gateway::get(context, keys, path)?),
        unpack: Vec::new(),
        digest: Some(("sha1".to_owned(), link.hash_value)),
    }]))
}

fn report(files: Vec<BillFile>) -> Outcome {
    Outcome::Bill(BillReport { files, more: None, complete: true, extra: Vec::new() })
}
