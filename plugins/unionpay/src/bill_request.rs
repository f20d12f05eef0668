//! Fetching a day's settlement file: it comes within the reply, in base64, deflated, and zipped in that.

use tollgate_sdk::contract::requests::{BillContent, BillFile, BillReport, Outcome, Step};
use tollgate_sdk::contract::types::{BillRequest, Context, Fault, HttpResponse};
use tollgate_sdk::{Keyring, bills, fault};

use crate::{gateway, reply, times};

/// Where files are asked for: the root of a host of its own.
pub const PATH: &str = "/";
/// The bill kind of this plugin.
pub const SETTLEMENT: &str = "settlement";

/// A file that is not there yet is asked for again after an hour.
const NOT_READY_MS: u32 = 3_600_000;

/// Asks for the file.
///
/// # Errors
/// `invalid-request` for another kind of bill, or a period that is no day.
pub fn build<K: Keyring>(
    context: &Context,
    keys: &K,
    request: &BillRequest,
) -> Result<Step, Fault> {
    let day = bills::day(request, SETTLEMENT)?;
    let mut fields = gateway::fields(context, keys, ("76", "01"), "000000")?;
    fields.put("fileType", "00");
    fields.put("settleDate", day[5..].replace('-', ""));
    fields.put("txnTime", times::compact(context.now_ms));
    gateway::send(context, keys, "file", PATH, fields)
}

/// Hands the file on as it came.
///
/// # Errors
/// `not-found`, to be tried again, where there is none yet.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let fields = reply::read(context, keys, response)?;
    let (code, message) = (fields.need("respCode")?, fields.get("respMsg").unwrap_or_default());
    match code {
        "00" => {}
        "98" => {
            let fault = fault::not_found("UnionPay has no file of that day yet");
            return Err(fault.said(code, message).retry_after(NOT_READY_MS));
        }
        _ => return Err(reply::fault_of(code, message)),
    }
    let name = fields.need("fileName")?;
    let content = fields.need("fileContent")?;
    Ok(Outcome::Bill(BillReport {
        files: vec![BillFile {
            name: name.to_owned(),
            content: BillContent::Bytes(content.as_bytes().to_vec()),
            unpack: ["base64", "zlib", "zip"].map(str::to_owned).to_vec(),
            digest: None,
        }],
        more: None,
        complete: true,
        extra: Vec::new(),
    }))
}
