//! Secrets on their way out: where one may go, and the forms it takes there.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{Refusal, refuse};
use crate::contract::SecretRef;

/// A place in a request, as `egress.place` writes it: `header NAME`, `query KEY`, `form KEY` or `body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Header(&'a str),
    Query(&'a str),
    Form(&'a str),
    Body,
}

impl<'a> Place<'a> {
    /// Reads a place; none when it is not one.
    pub fn parse(text: &'a str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "body" => Some(Place::Body),
            Some(("header", name)) if !name.is_empty() => Some(Place::Header(name)),
            Some(("query", name)) if !name.is_empty() => Some(Place::Query(name)),
            Some(("form", name)) if !name.is_empty() => Some(Place::Form(name)),
            _ => None,
        }
    }

    /// Whether that text names this place. Header names have no case.
    pub fn is(self, text: &str) -> bool {
        match (self, Place::parse(text)) {
            (Place::Header(own), Some(Place::Header(other))) => own.eq_ignore_ascii_case(other),
            (own, Some(other)) => own == other,
            (_, None) => false,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header(name) => write!(f, "header {name:?}"),
            Place::Query(name) => write!(f, "query {name:?}"),
            Place::Form(name) => write!(f, "form {name:?}"),
            Place::Body => f.write_str("the body"),
        }
    }
}

/// The secret in the form that the plugin asked for. `json` is for between the quotes of a JSON string.
pub(crate) fn resolve(reference: &SecretRef, secret: &SecretString) -> Result<String, Refusal> {
    let secret = secret.expose_secret();
    Ok(match (reference.form.as_str(), &reference.user) {
        ("raw", None) => secret.to_owned(),
        ("bearer", None) => format!("Bearer {secret}"),
        ("basic", Some(user)) if !user.contains(':') => {
            format!("Basic {}", STANDARD.encode(format!("{user}:{secret}")))
        }
        ("urlencoded", None) => utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
        ("json", None) => {
            let quoted = serde_json::Value::from(secret).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        (form, _) => return refuse(format!("a secret has no form {form:?} like that")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_exact() {
        let form = |form: &str, user: Option<&str>| {
            let reference =
                SecretRef { slot: "s".into(), form: form.into(), user: user.map(str::to_owned) };
            resolve(&reference, &SecretString::from("a\"b c"))
        };
        assert_eq!(form("raw", None).unwrap(), "a\"b c");
        assert_eq!(form("bearer", None).unwrap(), "Bearer a\"b c");
        assert_eq!(form("basic", Some("id")).unwrap(), "Basic aWQ6YSJiIGM=");
        assert_eq!(form("urlencoded", None).unwrap(), "a%22b%20c");
        assert_eq!(form("json", None).unwrap(), "a\\\"b c");
        assert!(form("basic", None).is_err());
        assert!(form("basic", Some("a:b")).is_err());
        assert!(form("raw", Some("id")).is_err());
        assert!(form("hex", None).is_err());
    }

    #[test]
    fn places_are_read_or_refused() {
        assert!(Place::Header("authorization").is("header Authorization"));
        assert!(!Place::Header("authorization").is("form authorization"));
        assert!(!Place::Form("Key").is("form key"));
        assert!(Place::Body.is("body"));
        for text in ["", "header", "header ", "cookie x", "body x"] {
            assert!(Place::parse(text).is_none(), "{text}");
        }
    }
}
