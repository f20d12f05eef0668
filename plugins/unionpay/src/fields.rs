//! Fields by name, the text of them that is signed, and the digest of that text over which the signature goes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::fault;
use tollgate_sdk::form::{Form, MOST_PAIRS};

/// The name of the field that signs the others.
pub const SIGNATURE: &str = "signature";

/// Fields, sorted by name in byte order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Puts a field, unless it is empty.
    pub fn put(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field's value, if it is there and not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A field without which nothing can be said.
    ///
    /// # Errors
    /// `protocol`, with its name.
    pub fn need(&self, name: &str) -> Result<&str, Fault> {
        self.filled(name).ok_or_else(|| fault::protocol(format!("`{name}` is missing")))
    }

    /// All of them.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }

    /// The text over which is signed: the SHA-256 of all fields but the signature, in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        let mut text = String::with_capacity(2048);
        for (name, value) in self.0.iter().filter(|(name, _)| *name != SIGNATURE) {
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(text.as_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// Adds a field that came.
    ///
    /// # Errors
    /// `protocol` if it came before: a signer and a reader could each take another one.
    fn add(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match self.0.insert(name.to_owned(), value.to_owned()) {
            None => Ok(()),
            Some(_) => Err(fault::protocol(format!("`{name}` twice"))),
        }
    }

    /// Reads a reply: `name=value&name=value`, nothing encoded, where a value may hold `=`, line ends, and groups in braces
    /// or brackets with `&` in them.
    ///
    /// # Errors
    /// `protocol` for what has another shape.
    pub fn of_reply(text: &str) -> Result<Self, Fault> {
        let mut fields = Self::default();
        let (mut depth, mut start) = (0_i32, 0);
        let mut pairs = Vec::new();
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'{' | b'[' => depth += 1,
                // One that closes nothing is a sign like any other.
                b'}' | b']' => depth = (depth - 1).max(0),
                b'&' if depth == 0 && pairs.len() == MOST_PAIRS => {
                    return Err(fault::protocol(format!("reply: more than {MOST_PAIRS} pairs")));
                }
                b'&' if depth == 0 => {
                    pairs.push(&text[start..at]);
                    start = at + 1;
                }
                _ => {}
            }
        }
        pairs.push(&text[start..]);
        for pair in pairs.into_iter().filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| fault::protocol("reply: a pair without `=`"))?;
            fields.add(name, value)?;
        }
        Ok(fields)
    }

    /// Reads a posted form.
    ///
    /// # Errors
    /// `protocol` for what is no form, or a name that stands there twice.
    pub fn of_form(body: &[u8]) -> Result<Self, Fault> {
        let form = Form::parse(body).map_err(|error| fault::protocol(error.to_string()))?;
        let mut fields = Self::default();
        for (name, value) in form.pairs() {
            fields.add(name, value)?;
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vector 5.8: a published request and its digest.
    #[test]
    fn a_published_request_has_its_digest() {
        let text = include_str!("../vectors/request.signed-text.txt").trim_end();
        let fields = Fields::of_reply(text).unwrap();
        let digest = "ed98378474101f21eae704450b15b9495ba5ed4b23afd59e6c9ce2ca9ce9419d";
        assert_eq!(fields.digest(), digest);
    }

    #[test]
    fn groups_and_signs_within_values_stay_whole() {
        let fields = Fields::of_reply("a={b=1&c=2}&d=x==&e=[&]&f=").unwrap();
        assert_eq!(fields.get("a"), Some("{b=1&c=2}"));
        assert_eq!(fields.get("d"), Some("x=="));
        assert_eq!((fields.get("e"), fields.get("f")), (Some("[&]"), Some("")));
        let fields = Fields::of_reply("a=x}]&b=1").unwrap();
        assert_eq!((fields.get("a"), fields.get("b")), (Some("x}]"), Some("1")));
        assert!(Fields::of_reply("a=1&a=2").is_err());
        assert!(Fields::of_reply("a").is_err());
        assert!(Fields::of_form(b"txnAmt=1&txnAmt=2").is_err());
    }
}
