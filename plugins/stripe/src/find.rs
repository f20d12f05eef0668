//! Which object is a payment's. Its id is kept from the answer that made it; where that answer was lost, the objects that
//! were made since are listed, and the one that bears our reference is it. A list, unlike a search, is never behind.

use serde::Deserialize;
use tollgate_sdk::contract::types::{Context, Fault, HttpRequest, HttpResponse, Payment};

use crate::gateway::{self, pair};
use crate::objects::{List, Metadata, PAYMENT};
use crate::pay::{INTENTS, SESSIONS};
use crate::reply;

/// Clocks differ: objects from a little before the payment on are looked at.
const SLACK_S: i64 = 300;
/// Our own try was sent within this time of the payment's making, or as a repeat within Stripe's memory of its key.
const SPAN_S: i64 = 25 * 3_600;

/// Where the looking stands.
pub enum Place {
    /// The id.
    Known(String),
    /// Not known: the list is to be read, from behind this id on.
    Listing(Option<String>),
}

/// Reads a state of this module, or begins.
pub fn place(payment: &Payment, state: &[u8]) -> Place {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match state.split_first() {
        Some((b'=', id)) => Place::Known(text(id)),
        Some((b'>', id)) => Place::Listing(Some(text(id))),
        _ if !payment.kept.is_empty() => Place::Known(text(&payment.kept)),
        _ => Place::Listing(None),
    }
}

/// The path of a payment's kind of objects.
pub fn path(payment: &Payment) -> &'static str {
    if payment.method == "intent" { INTENTS } else { SESSIONS }
}

/// The next page of the list.
///
/// # Errors
/// `config` without an address.
pub fn list(
    context: &Context,
    payment: &Payment,
    after: Option<&str>,
) -> Result<HttpRequest, Fault> {
    let from = payment.created_ms.div_euclid(1000) - SLACK_S;
    let mut query = vec![
        pair("limit", "100"),
        pair("created[gte]", from.to_string()),
        pair("created[lt]", (from + SPAN_S).to_string()),
    ];
    query.extend(after.map(|id| pair("starting_after", id)));
    gateway::get(context, path(payment), query)
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    client_reference_id: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

/// What a page of the list came to: the state in which to go on; none: nothing of it is there.
///
/// # Errors
/// See [`reply::read`].
pub fn found(payment: &Payment, response: &HttpResponse) -> Result<Option<Vec<u8>>, Fault> {
    let list: List<Listed> = match reply::read(response)? {
        Ok(list) => list,
        Err(refusal) => return Err(refusal.fault()),
    };
    let ours = payment.payment_ref.as_str();
    let is_ours = |listed: &&Listed| {
        let named = listed.client_reference_id.as_deref();
        named.or(listed.metadata.get(PAYMENT).map(String::as_str)) == Some(ours)
    };
    if let Some(listed) = list.data.iter().find(is_ours) {
        return Ok(Some([b"=", listed.id.as_bytes()].concat()));
    }
    let last = list.data.last().filter(|_| list.has_more);
    Ok(last.map(|last| [b">", last.id.as_bytes()].concat()))
}
