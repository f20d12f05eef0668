//! Request bodies: JSON read strictly, and refused by the name of the field.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::Path;

use super::problem::Problem;

const NO_FIELD: &str = "is not a field of this request";

/// A body of JSON that reads as a `T` to the letter.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, Problem> {
        if !is_json(request.headers()) {
            return Err(no_json());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        read(&bytes).map(Body)
    }
}

/// Refuses what a body holds of a request that takes none: nothing, an object without a field, or what PHP writes for one
/// (`[]`) is as good.
pub fn nothing(headers: &HeaderMap, bytes: &[u8]) -> Result<(), Problem> {
    if bytes.is_empty() {
        return Ok(());
    }
    if !is_json(headers) {
        return Err(no_json());
    }
    if bytes.trim_ascii() == b"[]" {
        return Ok(());
    }
    let given: BTreeMap<String, IgnoredAny> = read(bytes)?;
    match given.into_keys().next() {
        Some(name) => Err(Problem::field(name, NO_FIELD)),
        None => Ok(()),
    }
}

fn no_json() -> Problem {
    Problem::new("unsupported-media-type", "the content type must be application/json")
}

/// Why a body could not be taken in whole.
pub fn unread(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new("body-too-large", "the body is larger than this gateway takes");
    }
    Problem::new("malformed-json", "the body broke off")
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let (kind, parameters) =
        kind.unwrap_or_default().split_once(';').unwrap_or((kind.unwrap_or_default(), ""));
    let parameters = parameters.trim().to_ascii_lowercase();
    kind.trim().eq_ignore_ascii_case("application/json")
        && matches!(&*parameters, "" | "charset=utf-8" | "charset=\"utf-8\"")
}

/// Reads a `T`: no unknown field, no field twice, no NUL in a text, nothing after the end, no number that is not whole where
/// money is.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A map keeps the last of two equal names without a word, so they are looked for first.
    read_as::<Sound>(bytes)?;
    read_as(bytes)
}

fn read_as<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| refused(error.path(), error.inner()))?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let place = format!("line {}, column {}", error.line(), error.column());
    Problem::new("malformed-json", format!("the body is not JSON from {place} on"))
}

fn refused(path: &Path, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    // Beyond the range of any number: the reader calls that a mistake of writing, but it has a field.
    let out_of_range = text == "number out of range";
    if error.classify() != Category::Data && !out_of_range {
        return malformed(error);
    }
    let path = match path.to_string() {
        root if root == "." => String::new(),
        path => path,
    };
    let child = |name: &str| {
        if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
    };
    let own = || {
        if path.is_empty() { "body".to_owned() } else { path.clone() }
    };
    if out_of_range {
        return Problem::field(own(), "is too large");
    }
    if let Some(name) = quoted(text, "missing field `") {
        return Problem::field(child(name), "is required");
    }
    if let Some(name) = quoted(text, "duplicate field `") {
        return Problem::field(child(name), "stands there twice");
    }
    if let Some(name) = quoted(text, "unknown field `") {
        // The path of a name that is no field ends in it already.
        let field = if path.ends_with(name) { own() } else { child(name) };
        return Problem::field(field, NO_FIELD);
    }
    // What was there instead is not repeated: it may have been a secret in the wrong place.
    match text.rsplit_once(", expected ") {
        Some((_, wanted)) => Problem::field(own(), format!("must be {}", in_plain_words(wanted))),
        None => Problem::field(own(), text),
    }
}

fn quoted<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    text.strip_prefix(before)?.split('`').next()
}

fn in_plain_words(wanted: &str) -> &str {
    match wanted {
        "i64" => "a whole number that fits 64 bits",
        "u32" => "a whole number from 0 to 4294967295",
        "a string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

/// Any JSON in which no object has a name twice and no text a NUL, which PostgreSQL's texts do not take.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sound, D::Error> {
        deserializer.deserialize_any(Sound)
    }
}

impl<'de> Visitor<'de> for Sound {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(self)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Sound, E> {
        if text.contains('\0') {
            Err(E::custom("must not hold the character NUL"))
        } else {
            Ok(self)
        }
    }
    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sound, A::Error> {
        while list.next_element::<Sound>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Sound, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = object.next_key::<String>()? {
            if name.contains('\0') {
                return Err(A::Error::custom("has a name that holds the character NUL"));
            }
            object.next_value::<Sound>()?;
            if let Some(twin) = names.replace(name) {
                return Err(A::Error::custom(format!("duplicate field `{twin}`")));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
