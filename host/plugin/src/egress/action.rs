//! What a payer may be sent to. A redirect or a form that the plugin signed is a call to the provider like any other,
//! made by the payer's browser, so the same table of calls decides.

use url::Url;

use super::origin::{Base, origins_of, strict_url};
use super::{Grant, LONGEST_URL, Mismatch, Refusal, Running, calls_of, covering, pinned, refuse};
use crate::contract::{Call, Manifest, NextAction, PageForm};

/// Longest text that a payer's screen or app is handed.
const LONGEST_TEXT: usize = 16 << 10;
/// What a QR code holds in binary mode at most.
const LONGEST_QR: usize = 2953;
const MOST_FIELDS: usize = 200;

/// Admits what a plugin wants a payer to do next.
///
/// # Errors
/// The rule that it breaks: an address that neither a call of the running operation nor a browser origin covers, a
/// scheme that runs code, a text that is too long or holds control characters.
pub fn admit_action(
    manifest: &Manifest,
    grant: &Grant,
    running: Running<'_>,
    action: &NextAction,
) -> Result<(), Refusal> {
    match action {
        NextAction::None => Ok(()),
        NextAction::Redirect(url) => admit_address(manifest, grant, running, "GET", url, &[]),
        NextAction::PostForm(form) => {
            check_form(form)?;
            admit_address(manifest, grant, running, "POST", &form.url, &form.fields)
        }
        NextAction::QrCode(text) => check_text("the QR code", text, LONGEST_QR, false),
        NextAction::DeepLink(link) => check_link(link),
        NextAction::Instructions(text) => check_text("the instructions", text, LONGEST_TEXT, true),
        NextAction::ClientParameters(text) => {
            check_text("the client parameters", text, LONGEST_TEXT, true)
        }
    }
}

fn check_form(form: &PageForm) -> Result<(), Refusal> {
    let length: usize = form.fields.iter().map(|(n, v)| n.len() + v.len()).sum();
    if form.fields.len() > MOST_FIELDS || length > 4 * LONGEST_TEXT {
        return refuse("the form is too large");
    }
    let charset_held = !form.charset.is_empty()
        && form.charset.len() <= 20
        && form.charset.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if charset_held { Ok(()) } else { refuse("the form's charset is no name of one") }
}

fn check_text(what: &str, text: &str, longest: usize, lines: bool) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > longest {
        return refuse(format!("{what} is empty or too long"));
    }
    if text.chars().any(|c| c.is_control() && !(lines && c == '\n')) {
        return refuse(format!("{what} holds control characters"));
    }
    Ok(())
}

fn check_link(link: &str) -> Result<(), Refusal> {
    check_text("the link", link, LONGEST_TEXT, false)?;
    let url = Url::parse(link).or_else(|_| refuse("the link is no address"))?;
    // These run in the page that shows them.
    let harmful = ["javascript", "data", "vbscript", "blob", "file", "about"];
    if harmful.contains(&url.scheme()) {
        return refuse("the link has a scheme that no payer is sent to");
    }
    Ok(())
}

fn admit_address(
    manifest: &Manifest,
    grant: &Grant,
    running: Running<'_>,
    method: &str,
    text: &str,
    fields: &[(String, String)],
) -> Result<(), Refusal> {
    if text.len() > LONGEST_URL {
        return refuse("the payer's address is too long");
    }
    let url = strict_url(text).or_else(|rule| refuse(format!("the payer's address {rule}")))?;
    let bases = origins_of(manifest, grant)?;
    if url.scheme() != "https" && !grant.simulator {
        return refuse("a payer is sent to https only");
    }
    let calls = calls_of(manifest, running)?;
    let mut reason = "no origin of the running operation covers it";
    for call in calls {
        match admits(call, &bases, method, &url, fields) {
            Ok(()) => return Ok(()),
            Err(Mismatch::Elsewhere) => {}
            Err(Mismatch::Here(rule)) => reason = rule,
        }
    }
    // An origin for browsers is open as a whole: no call may name one.
    let open = manifest.origins.iter().any(|origin| {
        origin.purpose == "browser"
            && bases.iter().any(|(name, base)| {
                *name == origin.name
                    && Base::parse(base).is_ok_and(|base| base.rest_of(&url).is_some())
            })
    });
    if open {
        return Ok(());
    }
    refuse(format!("{} may not send a payer there: {reason}", running.name))
}

fn admits(
    call: &Call,
    bases: &[(String, String)],
    method: &str,
    url: &Url,
    fields: &[(String, String)],
) -> Result<(), Mismatch> {
    covering(call, bases, url)?;
    if call.method != method {
        return Err(Mismatch::Here("the method is another"));
    }
    let Some((name, wanted)) = &call.field else {
        return Ok(());
    };
    let values: Vec<Option<String>> = url
        .query_pairs()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| Some(value.into_owned()))
        .chain(
            fields
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| Some(value.clone())),
        )
        .collect();
    if pinned(&values, wanted) {
        Ok(())
    } else {
        Err(Mismatch::Here("the pinned field has another value"))
    }
}
