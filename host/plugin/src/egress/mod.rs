//! What may leave: a plugin's request becomes one that is sent only if the manifest's running operation may make it,
//! and secrets go in only at the one place that their slot names.
//!
//! A handle that signs is power over money, so the check is on what is sent, not on what was signed: origin, method,
//! path and, where one address serves all, the value of the field that tells calls apart.

mod action;
mod assemble;
pub(crate) mod origin;
pub(crate) mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use secrecy::SecretString;
use url::Url;

use crate::contract::{Body, Call, HttpRequest, Manifest, NOTICE, Operation, Value};
use crate::keys::{Keys, PrivateFields};
use crate::operation_name;
use crate::redact::Redactor;

pub use action::admit_action;
pub use origin::origins_of;
use origin::{Base, path_matches, strict_url};

/// What the operator granted an account, as far as sending goes.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    /// The live addresses; otherwise the sandbox.
    pub live: bool,
    /// The account talks to a simulator on this machine, and to nothing else.
    pub simulator: bool,
    /// A simulator's base addresses, by the names of `manifest.origins`.
    pub origins: BTreeMap<String, String>,
    /// The account's settings: some base addresses hold one.
    pub settings: Vec<(String, String)>,
}

/// Why something may not be sent. It names the rule, never a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

pub(crate) fn refuse<T>(rule: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(rule.into()))
}

/// The operation on whose behalf something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running<'a> {
    /// Its name in `manifest.operations`.
    pub name: &'a str,
    /// The slot that `fetch-keys` fills.
    pub filling: Option<&'a str>,
}

impl Running<'static> {
    /// What a reading of a message asks.
    pub fn notice() -> Self {
        Running { name: NOTICE, filling: None }
    }
}

impl<'a> From<&'a Operation> for Running<'a> {
    fn from(operation: &'a Operation) -> Self {
        Running {
            name: operation_name(operation),
            filling: match operation {
                Operation::FetchKeys(request) => Some(&request.slot),
                _ => None,
            },
        }
    }
}

/// A request as it goes out. It may hold secrets, so it prints without its address' query, headers and body.
pub struct Outgoing {
    /// GET, POST, PUT, PATCH or DELETE.
    pub method: String,
    /// The whole address.
    pub url: String,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// The manifest's name of the origin that it goes to.
    pub origin: String,
    /// True when it goes to this machine, to a simulator.
    pub loopback: bool,
    /// The slot that the answer fills. The plugin must not see the answer.
    pub fills: Option<String>,
    pub(crate) injected: Vec<SecretString>,
}

impl Outgoing {
    /// Takes the secrets of this request, and those of the account, out of whatever is kept of the exchange.
    pub fn redactor(&self, keys: &Keys) -> Redactor {
        Redactor::new(keys, &self.injected)
    }

    /// Whether one of these stands in it in the clear, or by accident: a record that leaves them out would tell which.
    pub fn shows(&self, private: &PrivateFields) -> bool {
        let redactor = Redactor::new(&Keys::none().with_private(private), &[]);
        let headers = self.headers.iter().map(|(_, value)| value.as_bytes());
        let parts = [self.url.as_bytes(), &self.body];
        headers.chain(parts).any(|part| redactor.finds(part))
    }

    /// Whether a secret was put in.
    pub fn carries_secret(&self) -> bool {
        !self.injected.is_empty()
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("url", &address)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Longest address, header block and body that are sent.
pub(crate) const LONGEST_URL: usize = 16 << 10;
const MOST_HEADERS: usize = 64;
const LONGEST_BODY: usize = 4 << 20;

/// Turns a plugin's request into what is sent, if the running operation may send it.
///
/// # Errors
/// The rule that it breaks.
pub fn admit(
    manifest: &Manifest,
    grant: &Grant,
    running: Running<'_>,
    request: &HttpRequest,
    keys: &Keys,
) -> Result<Outgoing, Refusal> {
    if request.headers.len() > MOST_HEADERS {
        return refuse("the request has too many headers");
    }
    let url = strict_url(&request.url).or_else(|rule| refuse(format!("the address {rule}")))?;
    let bases = origins_of(manifest, grant)?;
    let calls = calls_of(manifest, running)?;
    let mut reason = "no origin of the running operation covers the address";
    for call in calls {
        match admits(call, &bases, &url, request) {
            Ok(base) => return assemble::outgoing(manifest, running, call, &base, request, keys),
            Err(Mismatch::Elsewhere) => {}
            Err(Mismatch::Here(rule)) => reason = rule,
        }
    }
    refuse(format!("{} may not send this: {reason}", running.name))
}

/// The slots whose secrets a request asks the host to put in, each once.
pub fn secrets_of(request: &HttpRequest) -> BTreeSet<&str> {
    let body: Vec<&Value> = match &request.body {
        Body::Form(fields) => fields.iter().map(|(_, value)| value).collect(),
        Body::Pieces(pieces) => pieces.iter().collect(),
        Body::Empty | Body::Bytes(_) => Vec::new(),
    };
    let beside = request.query.iter().chain(&request.headers).map(|(_, value)| value);
    beside
        .chain(body)
        .filter_map(|value| match value {
            Value::Secret(secret) => Some(secret.slot.as_str()),
            Value::Text(_) => None,
        })
        .collect()
}

fn calls_of<'a>(manifest: &'a Manifest, running: Running<'_>) -> Result<&'a [Call], Refusal> {
    manifest
        .operations
        .iter()
        .find(|ability| ability.operation == running.name)
        .map(|ability| ability.calls.as_slice())
        .ok_or_else(|| Refusal(format!("the manifest has no operation {}", running.name)))
}

/// Why a call does not cover a request: it goes elsewhere, or there but not like that.
enum Mismatch {
    Elsewhere,
    Here(&'static str),
}

fn admits(
    call: &Call,
    bases: &[(String, String)],
    url: &Url,
    request: &HttpRequest,
) -> Result<Base, Mismatch> {
    let base = covering(call, bases, url)?;
    if call.method != request.method {
        return Err(Mismatch::Here("the method is another"));
    }
    if let Some((name, wanted)) = &call.field {
        let unusual = request.headers.iter().any(|(header, value)| {
            header.eq_ignore_ascii_case("content-type") && !plain_content(value)
        });
        if unusual {
            return Err(Mismatch::Here("the content type hides the pinned field"));
        }
        if !pinned(&field_values(url, request, name), wanted) {
            return Err(Mismatch::Here("the pinned field has another value"));
        }
    }
    Ok(base)
}

/// The base of a call's origin, if the address is one that the call reaches.
fn covering(call: &Call, bases: &[(String, String)], url: &Url) -> Result<Base, Mismatch> {
    let (_, text) =
        bases.iter().find(|(name, _)| *name == call.origin).ok_or(Mismatch::Elsewhere)?;
    let base = Base::parse(text).map_err(|_| Mismatch::Elsewhere)?;
    let rest = base.rest_of(url).ok_or(Mismatch::Elsewhere)?;
    // A manifest writes paths from the root or from its base: with a base that has a path, both are read.
    if path_matches(&call.path, url.path()) || path_matches(&call.path, rest) {
        Ok(base)
    } else {
        Err(Mismatch::Here("the path is another"))
    }
}

/// Charsets in which a field's name is written as in ASCII, so that the peer reads the field that was checked.
const PLAIN_CHARSETS: [&str; 5] = ["utf-8", "gbk", "gb2312", "gb18030", "iso-8859-1"];

/// Where one address serves all, a body in another form than the pinned one could be read differently by the peer.
fn plain_content(value: &Value) -> bool {
    let Value::Text(text) = value else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let kinds = ["application/x-www-form-urlencoded", "application/json"];
    parts.next().is_some_and(|kind| kinds.contains(&kind))
        && parts.all(|part| {
            part.strip_prefix("charset=").is_some_and(|name| PLAIN_CHARSETS.contains(&name))
        })
}

/// A field's one value, and the one that was pinned.
fn pinned(values: &[Option<String>], wanted: &str) -> bool {
    matches!(values, [Some(value)] if value == wanted)
}

/// Every value of a field in query and form; none for one that is a secret.
fn field_values(url: &Url, request: &HttpRequest, name: &str) -> Vec<Option<String>> {
    let mut values: Vec<Option<String>> = Vec::new();
    let mut pairs = |bytes: &[u8]| {
        for (key, value) in url::form_urlencoded::parse(bytes) {
            if key.eq_ignore_ascii_case(name) {
                values.push(Some(value.into_owned()));
            }
        }
    };
    pairs(url.query().unwrap_or_default().as_bytes());
    if let Body::Bytes(bytes) = &request.body {
        pairs(bytes);
    }
    let form: &[(String, Value)] = match &request.body {
        Body::Form(form) => form,
        _ => &[],
    };
    for (key, value) in request.query.iter().chain(form) {
        if key.eq_ignore_ascii_case(name) {
            values.push(match value {
                Value::Text(text) => Some(text.clone()),
                Value::Secret(_) => None,
            });
        }
    }
    // Pieces are assembled by the host, but could spell the field out all the same.
    if let Body::Pieces(pieces) = &request.body {
        let text: Vec<&str> = pieces
            .iter()
            .map(|piece| match piece {
                Value::Text(text) => text.as_str(),
                Value::Secret(_) => "?",
            })
            .collect();
        for (key, value) in url::form_urlencoded::parse(text.concat().as_bytes()) {
            if key.eq_ignore_ascii_case(name) {
                values.push(Some(value.into_owned()));
            }
        }
    }
    values
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
