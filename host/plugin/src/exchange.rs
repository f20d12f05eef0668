//! The record of one exchange: what a plugin built, what was sent, what came back and what it made of that, with
//! every secret taken out. What a payer's browser carries is recorded too, as signed and not sent. With the plugin's digest it is enough to run the calls again.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::contract::{Context, Fault, HttpResponse};
use crate::egress::Outgoing;
use crate::keys::KeyUse;
use crate::plugin::Plugin;
use crate::redact::Redactor;
use crate::state::LogLine;

/// Bytes of a body that are kept.
const LONGEST_BODY: usize = 64 << 10;
/// Lines of a plugin that are kept, and characters of each.
const MOST_LINES: usize = 20;
const LONGEST_LINE: usize = 500;

/// One request to a provider and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The plugin's id.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// The running operation, as the contract names it.
    pub operation: String,
    /// The call's clock, Unix milliseconds.
    pub now_ms: i64,
    /// The call's nonce.
    pub nonce: String,
    /// What was sent; none where the plugin signed something for the payer's browser to carry.
    pub request: Option<RecordedRequest>,
    /// What came back, if anything did.
    pub response: Option<RecordedResponse>,
    /// Why nothing came back.
    pub error: Option<String>,
    /// Each use of a key, of building and interpreting.
    pub audit: Vec<KeyUse>,
    /// The plugin's fault.
    pub fault: Option<Fault>,
    /// Why the plugin's call failed, if it did.
    pub trap: Option<String>,
    /// The first lines that the plugin logged.
    #[serde(default)]
    pub logs: Vec<LogLine>,
    /// How many it logged in all.
    #[serde(default)]
    pub logged: u64,
    /// Time in the plugin, building.
    pub build_us: u64,
    /// Time on the wire.
    pub send_us: u64,
    /// Time in the plugin, interpreting.
    pub interpret_us: u64,
}

/// A request without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// The method.
    pub method: String,
    /// The address.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: RecordedBody,
}

/// A response without secrets that it may have reflected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: RecordedBody,
}

/// A body: its text, or base64 where it is none, up to 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedBody {
    /// The text.
    pub content: String,
    /// Whether `content` is base64.
    pub base64: bool,
    /// How many bytes there were.
    pub length: u64,
}

impl Exchange {
    /// Starts a record with what is about to be sent.
    pub fn begin(
        plugin: &Plugin,
        operation: &str,
        context: &Context,
        request: &Outgoing,
        redactor: &Redactor,
    ) -> Self {
        let request = RecordedRequest {
            method: request.method.clone(),
            url: redactor.text(&request.url),
            headers: clean_headers(redactor, &request.headers),
            body: RecordedBody::of(redactor, &request.body),
        };
        Self { request: Some(request), ..Self::unsent(plugin, operation, context) }
    }

    /// Starts a record of an operation for which the host sends nothing: its uses of keys are kept all the same.
    pub fn unsent(plugin: &Plugin, operation: &str, context: &Context) -> Self {
        Self {
            plugin: plugin.manifest().id.clone(),
            version: plugin.manifest().version.clone(),
            digest: plugin.digest().to_owned(),
            operation: operation.to_owned(),
            now_ms: context.now_ms,
            nonce: context.nonce.clone(),
            request: None,
            response: None,
            error: None,
            audit: Vec::new(),
            fault: None,
            trap: None,
            logs: Vec::new(),
            logged: 0,
            build_us: 0,
            send_us: 0,
            interpret_us: 0,
        }
    }

    /// Leaves the body of the request out: a card is sealed in it, which is kept no longer than it takes to pay.
    pub fn withhold_request(&mut self) {
        if let Some(request) = &mut self.request {
            request.body.content.clear();
        }
    }

    /// Adds the answer.
    pub fn answered(&mut self, response: &HttpResponse, took: Duration, redactor: &Redactor) {
        self.send_us = micros(took);
        self.response = Some(RecordedResponse {
            status: response.status,
            headers: clean_headers(redactor, &response.headers),
            body: RecordedBody::of(redactor, &response.body),
        });
    }

    /// Notes the answer to a download: its body is a file of ours, and no part of the record.
    pub fn downloaded(&mut self, status: u16, length: u64, took: Duration) {
        self.send_us = micros(took);
        let body = RecordedBody { content: String::new(), base64: false, length };
        self.response = Some(RecordedResponse { status, headers: Vec::new(), body });
    }

    /// Adds an answer that no record may hold: its status and length.
    pub fn answered_with_a_secret(&mut self, response: &HttpResponse, took: Duration) {
        self.downloaded(response.status, response.body.len() as u64, took);
    }

    /// Adds what the plugin logged in a call, as far as there is room.
    pub fn heard(&mut self, lines: &[LogLine], redactor: &Redactor) {
        self.logged = self.logged.saturating_add(lines.len() as u64);
        let room = MOST_LINES.saturating_sub(self.logs.len());
        self.logs.extend(clean_lines(lines, redactor).take(room));
    }

    /// Notes that no answer came, and why.
    pub fn unanswered(&mut self, error: &str, took: Duration, redactor: &Redactor) {
        self.send_us = micros(took);
        self.error = Some(redactor.text(error));
    }

    /// Adds a fault of the plugin's, without what it may have reflected.
    pub fn faulted(&mut self, fault: &Fault, redactor: &Redactor) {
        let clean = |text: &Option<String>| text.as_deref().map(|text| redactor.text(text));
        self.fault = Some(Fault {
            code: redactor.text(&fault.code),
            message: redactor.text(&fault.message),
            provider_code: clean(&fault.provider_code),
            provider_message: clean(&fault.provider_message),
            outcome_known: fault.outcome_known,
            retry_after_ms: fault.retry_after_ms,
            extra: clean_headers(redactor, &fault.extra),
        });
    }
}

impl RecordedBody {
    fn of(redactor: &Redactor, body: &[u8]) -> Self {
        let mut clean = redactor.bytes(body);
        clean.truncate(LONGEST_BODY);
        let (content, base64) = match std::str::from_utf8(&clean) {
            Ok(text) => (text.to_owned(), false),
            // A cut through a character is still text.
            Err(error) if error.error_len().is_none() => {
                let text = &clean[..error.valid_up_to()];
                (String::from_utf8_lossy(text).into_owned(), false)
            }
            Err(_) => (STANDARD.encode(&clean), true),
        };
        Self { content, base64, length: body.len() as u64 }
    }
}

/// What a plugin logged in one call, for people: without secrets, so many lines of so many characters.
pub fn clean_lines(lines: &[LogLine], redactor: &Redactor) -> impl Iterator<Item = LogLine> {
    lines.iter().take(MOST_LINES).map(move |line| {
        // Redacted before it is cut: half a secret is no needle any more.
        let clean = redactor.text(&line.message);
        LogLine { level: line.level, message: clean.chars().take(LONGEST_LINE).collect() }
    })
}

fn clean_headers(redactor: &Redactor, headers: &[(String, String)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.clone(), redactor.text(value))).collect()
}

/// Microseconds, as exchanges count them.
pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use secrecy::SecretString;

    #[test]
    fn bodies_are_kept_without_secrets() {
        let redactor = Redactor::new(&Keys::none(), &[SecretString::from("hunter2hunter2")]);
        let body = RecordedBody::of(&redactor, b"key=hunter2hunter2&a=1");
        assert_eq!(body.content, "key=[redacted]&a=1");
        assert_eq!(body.length, 22);
        let binary = RecordedBody::of(&redactor, &[0xff, 0xfe, 0xfd, 0x00]);
        assert!(binary.base64);
        let long = "é".repeat(LONGEST_BODY);
        let kept = RecordedBody::of(&redactor, long.as_bytes());
        assert!(!kept.base64);
        assert!(kept.content.len() <= LONGEST_BODY);
    }
    #[test]
    fn lines_are_kept_without_secrets_and_the_rest_is_counted() {
        let redactor = Redactor::new(&Keys::none(), &[SecretString::from("hunter2hunter2")]);
        let line = |message: String| LogLine { level: crate::contract::Level::Info, message };
        let mut lines = vec![line(format!("{}hunter2hunter2", "x".repeat(LONGEST_LINE - 3)))];
        lines.extend((0..MOST_LINES).map(|n| line(format!("line {n}"))));
        let kept: Vec<_> = clean_lines(&lines, &redactor).collect();
        assert_eq!(kept.len(), MOST_LINES);
        assert_eq!(kept[0].message.chars().count(), LONGEST_LINE);
        assert!(kept[0].message.ends_with("x[re"), "{}", kept[0].message);
        assert_eq!(kept[1].message, "line 0");
    }
}
