//! The raw text of an object's members. A signature inside JSON covers the bytes as they came, so they are cut out
//! and never written anew: order, white space and `\/` escapes matter.

use std::fmt;

use crate::form::MOST_PAIRS;

/// Why text was refused as an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    /// Not one object, or cut off within it.
    Malformed,
    /// More members at the top than [`MOST_PAIRS`].
    TooMany,
    /// A member's name with an escape in it: nobody needs one, and it could hide a repeat.
    EscapedName,
    /// The same name twice at the top.
    Duplicate(String),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a JSON object"),
            Self::TooMany => write!(f, "more than {MOST_PAIRS} members"),
            Self::EscapedName => f.write_str("a member name with an escape"),
            Self::Duplicate(name) => write!(f, "`{name}` twice"),
        }
    }
}

impl std::error::Error for JsonError {}

/// The members of one JSON object at the top, each value as the raw text it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Members<'a> {
    /// Splits an object. Values are cut by brackets and strings, not checked: whoever reads one parses it.
    ///
    /// # Errors
    /// If the text is not one object, or a name is escaped or repeated.
    pub fn of(text: &'a str) -> Result<Self, JsonError> {
        let mut scan = Scan { text, at: 0 };
        let mut members: Vec<(&str, &str)> = Vec::with_capacity(4);
        scan.expect(b'{')?;
        if scan.peek() == Some(b'}') {
            scan.at += 1;
        } else {
            loop {
                if members.len() == MOST_PAIRS {
                    return Err(JsonError::TooMany);
                }
                let name = scan.name()?;
                scan.expect(b':')?;
                members.push((name, scan.value()?));
                match scan.next() {
                    Some(b',') => {}
                    Some(b'}') => break,
                    _ => return Err(JsonError::Malformed),
                }
            }
        }
        if scan.peek().is_some() {
            return Err(JsonError::Malformed);
        }
        members.sort_unstable_by_key(|(name, _)| *name);
        match members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(JsonError::Duplicate(pair[0].0.to_owned())),
            None => Ok(Self(members)),
        }
    }

    /// The raw value of a member.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let at = self.0.binary_search_by_key(&name, |(key, _)| *key).ok()?;
        Some(self.0[at].1)
    }

    /// The value of a member that is a string, its escapes resolved.
    pub fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// The names, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is not white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), JsonError> {
        if self.next() == Some(wanted) { Ok(()) } else { Err(JsonError::Malformed) }
    }

    fn name(&mut self) -> Result<&'a str, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(JsonError::Malformed);
        }
        let raw = self.quoted()?;
        let name = &raw[1..raw.len() - 1];
        if name.contains('\\') { Err(JsonError::EscapedName) } else { Ok(name) }
    }

    /// A string with its quotes, starting at one.
    fn quoted(&mut self) -> Result<&'a str, JsonError> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'\\') => self.at += 2,
                Some(b'"') => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at]);
                }
                Some(_) => self.at += 1,
                None => return Err(JsonError::Malformed),
            }
        }
    }

    fn value(&mut self) -> Result<&'a str, JsonError> {
        match self.peek().ok_or(JsonError::Malformed)? {
            b'"' => self.quoted(),
            b'{' | b'[' => self.nested(),
            _ => self.word(),
        }
    }

    fn nested(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.quoted()?;
                    continue;
                }
                Some(b'{' | b'[') => depth += 1,
                Some(b'}' | b']') => depth -= 1,
                Some(_) => {}
                None => return Err(JsonError::Malformed),
            }
            self.at += 1;
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    fn word(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        while self.text.as_bytes().get(self.at).is_some_and(is_word) {
            self.at += 1;
        }
        if self.at == start { Err(JsonError::Malformed) } else { Ok(&self.text[start..self.at]) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cuts_raw_text() {
        let text = r#" { "a_response" : {"x":"}\"{","sign":"inner","u":"http:\/\/a", "l":[1,{}] } ,"sign":"outer","n":-1.5e3,"t":true,"e":{}} "#;
        let members = Members::of(text).unwrap();
        assert_eq!(
            members.raw("a_response"),
            Some(r#"{"x":"}\"{","sign":"inner","u":"http:\/\/a", "l":[1,{}] }"#)
        );
        assert_eq!(members.string("sign").unwrap(), "outer");
        assert_eq!(members.raw("n"), Some("-1.5e3"));
        assert_eq!(members.raw("e"), Some("{}"));
        assert_eq!(members.raw("x"), None);
        assert_eq!(members.string("t"), None);
        assert_eq!(Members::of("{}").unwrap().names().count(), 0);
    }

    #[test]
    fn refuses_what_is_not_one_plain_object() {
        for (text, error) in [
            ("", JsonError::Malformed),
            ("[]", JsonError::Malformed),
            ("{\"a\":1", JsonError::Malformed),
            ("{\"a\":1}x", JsonError::Malformed),
            ("{\"a\":}", JsonError::Malformed),
            ("{\"a\":1,}", JsonError::Malformed),
            ("{\"a\":\"x\\", JsonError::Malformed),
            ("{\"a\":{\"b\":1}", JsonError::Malformed),
            ("{\"a\":1,\"a\":2}", JsonError::Duplicate("a".into())),
            ("{\"\\u0061\":1}", JsonError::EscapedName),
        ] {
            assert_eq!(Members::of(text), Err(error), "{text}");
        }
    }

    #[test]
    fn refuses_more_members_than_anybody_sends() {
        let of = |count: usize| {
            let members: Vec<_> = (0..count).map(|at| format!("\"n{at}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert!(Members::of(&of(MOST_PAIRS)).is_ok());
        assert_eq!(Members::of(&of(MOST_PAIRS + 1)), Err(JsonError::TooMany));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}\\[\\]\",:\\\\a1 \u{4f60}]{0,40}") {
            let _ = Members::of(&text);
        }

        #[test]
        fn finds_what_was_written(value in "\\PC{0,20}", other in "\\PC{0,20}") {
            let inner = serde_json::json!({ "v": value, "sign": other }).to_string();
            let text = format!("{{\"r\":{inner},\"sign\":{}}}", serde_json::json!(value));
            let members = Members::of(&text).unwrap();
            prop_assert_eq!(members.raw("r"), Some(inner.as_str()));
            prop_assert_eq!(members.string("sign"), Some(value));
        }
    }
}
