//! Putting a request together: query and form encoded, secrets put in, headers and lengths checked afterwards.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;

use super::origin::Base;
use super::secret::{Place, resolve};
use super::{LONGEST_BODY, LONGEST_URL, Outgoing, Refusal, Running, refuse};
use crate::contract::{Body, Call, HttpRequest, Manifest, Value};
use crate::keys::Keys;

/// What RFC 3986 leaves as it is; all else is encoded, a space as %20, which every decoder reads alike.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Headers that are the host's or the connection's business.
const FORBIDDEN: [&str; 27] = [
    "host",
    "cookie",
    "set-cookie",
    "forwarded",
    "via",
    "x-real-ip",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "range",
    "referer",
    "origin",
    "accept-encoding",
    "http2-settings",
    "max-forwards",
    "priority",
    // Frameworks that take them run another method or path than the one that was checked.
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Takes what a request says and makes what is sent.
struct Assembler<'a> {
    manifest: &'a Manifest,
    running: Running<'a>,
    origin: &'a str,
    /// Secrets go over TLS, or to a simulator on this machine.
    closed: bool,
    keys: &'a Keys,
    injected: Vec<SecretString>,
}

pub(super) fn outgoing(
    manifest: &Manifest,
    running: Running<'_>,
    call: &Call,
    base: &Base,
    request: &HttpRequest,
    keys: &Keys,
) -> Result<Outgoing, Refusal> {
    let loopback = base.is_loopback();
    let mut assembler = Assembler {
        manifest,
        running,
        origin: &call.origin,
        closed: base.scheme == "https" || loopback,
        keys,
        injected: Vec::new(),
    };
    let mut headers = assembler.headers(&request.headers)?;
    let url = assembler.url(&request.url, &request.query)?;
    let body = assembler.body(&request.body)?;
    let typed = headers.iter().any(|(name, _)| name == "content-type");
    if matches!(request.body, Body::Form(_)) && !typed {
        let form = "application/x-www-form-urlencoded;charset=utf-8";
        headers.push(("content-type".into(), form.into()));
    }
    Ok(Outgoing {
        method: request.method.clone(),
        url,
        headers,
        body,
        origin: call.origin.clone(),
        loopback,
        fills: running.filling.map(str::to_owned),
        injected: assembler.injected,
    })
}

impl Assembler<'_> {
    fn value(&mut self, value: &Value, place: Place<'_>) -> Result<String, Refusal> {
        let reference = match value {
            Value::Text(text) => return Ok(text.clone()),
            Value::Secret(reference) => reference,
        };
        if !self.closed {
            return refuse("a secret goes over TLS only");
        }
        let slot = self.manifest.slots.iter().find(|slot| slot.input.name == reference.slot);
        let allowed = slot.is_some_and(|slot| {
            slot.egress.iter().any(|egress| {
                egress.origin == self.origin
                    && place.is(&egress.place)
                    && match egress.filling.as_deref() {
                        None => true,
                        some => some == self.running.filling,
                    }
            })
        });
        if !allowed {
            return refuse(format!(
                "slot {} may not go into {place} at {}",
                reference.slot, self.origin
            ));
        }
        let Some(secret) = self.keys.sendable(&reference.slot) else {
            return refuse(format!("slot {} holds nothing to send", reference.slot));
        };
        let text = resolve(reference, secret)?;
        self.injected.push(secret.clone());
        self.injected.push(SecretString::from(text.as_str()));
        Ok(text)
    }

    fn headers(&mut self, given: &[(String, Value)]) -> Result<Vec<(String, String)>, Refusal> {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(given.len() + 1);
        for (name, value) in given {
            let name = name.to_ascii_lowercase();
            if !header_allowed(&name) {
                return refuse(format!("header {name:?} is not a plugin's to set"));
            }
            if headers.iter().any(|(other, _)| *other == name) {
                return refuse(format!("header {name} is set twice"));
            }
            let text = self.value(value, Place::Header(&name))?;
            // Checked after assembly: a secret could hold a line break as well.
            if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
                return refuse(format!("header {name} holds characters that none may hold"));
            }
            headers.push((name, text));
        }
        Ok(headers)
    }

    fn url(&mut self, url: &str, query: &[(String, Value)]) -> Result<String, Refusal> {
        let mut whole = url.to_owned();
        for (name, value) in query {
            let text = self.value(value, Place::Query(name))?;
            whole.push(if whole.contains('?') { '&' } else { '?' });
            whole.push_str(&encoded_pair(name, &text));
        }
        if whole.len() > LONGEST_URL {
            return refuse("the address is too long");
        }
        Ok(whole)
    }

    fn body(&mut self, body: &Body) -> Result<Vec<u8>, Refusal> {
        let bytes = match body {
            Body::Empty => Vec::new(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Form(fields) => {
                let mut pairs = Vec::with_capacity(fields.len());
                for (name, value) in fields {
                    let text = self.value(value, Place::Form(name))?;
                    pairs.push(encoded_pair(name, &text));
                }
                pairs.join("&").into_bytes()
            }
            Body::Pieces(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    text.push_str(&self.value(piece, Place::Body)?);
                }
                text.into_bytes()
            }
        };
        if bytes.len() > LONGEST_BODY {
            return refuse("the body is too long");
        }
        Ok(bytes)
    }
}

fn encoded_pair(name: &str, value: &str) -> String {
    format!("{}={}", utf8_percent_encode(name, ENCODED), utf8_percent_encode(value, ENCODED))
}

fn header_allowed(name: &str) -> bool {
    let token = !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    token
        && !FORBIDDEN.contains(&name)
        && !name.starts_with("x-forwarded")
        && !name.starts_with("proxy-")
        && !name.starts_with("sec-")
}
