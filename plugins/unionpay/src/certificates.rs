//! UnionPay's certificate for what is sealed to it: UnionPay replaces it, and is asked for it once a day. The host believes
//! what comes if it hangs below the account's roots and bears UnionPay's name; until then, the one that the operator entered.

use tollgate_sdk::contract::requests::{FetchedKey, KeyRequest, Outcome, Step};
use tollgate_sdk::contract::types::{Context, Fault, HttpResponse};
use tollgate_sdk::{Keyring, fault};

use crate::{card, gateway, reply, times};

/// Where it is asked for.
pub const PATH: &str = "/gateway/api/backTransReq.do";
/// `txnType` of the question.
pub const KIND: &str = "95";
/// `certType`: what seals a payer's fields. There is no other.
const SEALS: &str = "01";

/// Asks for the certificate.
///
/// # Errors
/// `unsupported` for another slot, `config` for missing settings or keys.
pub fn build<K: Keyring>(context: &Context, keys: &K, request: &KeyRequest) -> Result<Step, Fault> {
    if request.slot != card::SEALING {
        return Err(fault::unsupported("UnionPay hands over its encryption certificate alone"));
    }
    let mut fields = gateway::fields(context, keys, (KIND, "00"), "000000")?;
    for (name, value) in [
        ("channelType", "07"),
        ("certType", SEALS),
        // The question needs a number like an order, and nobody asks about it again.
        ("orderId", context.nonce.as_str()),
        ("txnTime", &times::compact(context.now_ms)),
    ] {
        fields.put(name, value);
    }
    gateway::send(context, keys, "gateway", PATH, fields)
}

/// Hands the certificate on: the newest takes the place of the one before it.
///
/// # Errors
/// See [`reply::read`]; `protocol` for a certificate of another kind.
pub fn interpret<K: Keyring>(
    context: &Context,
    keys: &K,
    response: &HttpResponse,
) -> Result<Outcome, Fault> {
    let fields = reply::read(context, keys, response)?;
    let (code, message) = (fields.need("respCode")?, fields.get("respMsg").unwrap_or_default());
    if code != "00" {
        return Err(reply::fault_of(code, message));
    }
    if fields.need("certType")? != SEALS {
        return Err(fault::protocol("`certType` is not 01"));
    }
    let encoded = fields.need("encryptPubKeyCert")?.as_bytes().to_vec();
    Ok(Outcome::Keys(vec![FetchedKey { id: "fetched".to_owned(), encoded }]))
}
