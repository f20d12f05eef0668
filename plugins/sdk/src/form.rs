//! Strict `application/x-www-form-urlencoded`: what is signed must be read in one way only, so a repeated name, a bad
//! escape or text that is not UTF-8 is refused before any signature is looked at.

use std::fmt;

/// Pairs of a form, or members of an object, at most: three times as many as any provider sends. Whoever posts to us may write a
/// million of them, and each costs as much as an honest one.
pub const MOST_PAIRS: usize = 256;

/// Why form text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormError {
    /// More than [`MOST_PAIRS`].
    TooMany,
    /// A `%` without two hexadecimal digits after it.
    BadEscape,
    /// Decoded bytes that are not UTF-8.
    NotUtf8,
    /// A pair without a name.
    NoName,
    /// The same name twice: a signer and a reader could each take another one.
    Duplicate(String),
}

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "more than {MOST_PAIRS} pairs"),
            Self::BadEscape => f.write_str("a % without two hexadecimal digits"),
            Self::NotUtf8 => f.write_str("bytes that are not UTF-8"),
            Self::NoName => f.write_str("a pair without a name"),
            Self::Duplicate(name) => write!(f, "`{name}` twice"),
        }
    }
}

impl std::error::Error for FormError {}

/// The pairs of a form, sorted by name in byte order, each name once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a query or a form body, decoding each part exactly once (`+` is a space).
    ///
    /// # Errors
    /// The first rule that the text breaks.
    pub fn parse(text: &[u8]) -> Result<Self, FormError> {
        if text.iter().filter(|&&byte| byte == b'&').count() >= MOST_PAIRS {
            return Err(FormError::TooMany);
        }
        let mut pairs = Vec::with_capacity(32);
        for pair in text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            if name.is_empty() {
                return Err(FormError::NoName);
            }
            pairs.push((name, decode(halves.next().unwrap_or_default())?));
        }
        pairs.sort_unstable();
        match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(FormError::Duplicate(pair[0].0.clone())),
            None => Ok(Self(pairs)),
        }
    }

    /// The value of a name, if the form has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// The value of a name, if the form has it and it is not empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The pairs in byte order of their names.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode(text: &[u8]) -> Result<String, FormError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let [high, low, after @ ..] = rest else {
                    return Err(FormError::BadEscape);
                };
                rest = after;
                hex(*high)? << 4 | hex(*low)?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| FormError::NotUtf8)
}

fn hex(digit: u8) -> Result<u8, FormError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(FormError::BadEscape),
    }
}

/// Appends a value, percent-encoded but for the unreserved characters of RFC 3986; a space is `%20`.
pub fn push_encoded(out: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|byte| !UNRESERVED[usize::from(byte)]) {
        let (plain, others) = rest.split_at(at);
        out.push_str(plain);
        let reserved = others.bytes().take_while(|byte| !UNRESERVED[usize::from(*byte)]);
        let mut length = 0;
        for byte in reserved {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
            length += 1;
        }
        rest = &others[length..];
    }
    out.push_str(rest);
}

/// Which bytes stay as they are: letters, digits and four marks, all of them ASCII.
const UNRESERVED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let mark = matches!(byte as u8, b'-' | b'_' | b'.' | b'~');
        table[byte] = (byte as u8).is_ascii_alphanumeric() || mark;
        byte += 1;
    }
    table
};

/// Encodes pairs in their order, as a query or a form body.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::with_capacity(1024);
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        push_encoded(&mut out, name);
        out.push('=');
        push_encoded(&mut out, value);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_in_one_way_only() {
        let form = Form::parse(b"b=1+2%2B3&a=%E4%BD%A0&c&d=a=b").unwrap();
        let pairs: Vec<_> = form.pairs().collect();
        assert_eq!(pairs, [("a", "\u{4f60}"), ("b", "1 2+3"), ("c", ""), ("d", "a=b")]);
        assert_eq!(form.get("c"), Some(""));
        assert_eq!(form.filled("c"), None);
        assert_eq!(form.get("e"), None);
    }

    #[test]
    fn decodes_once() {
        assert_eq!(Form::parse(b"a=%2541").unwrap().get("a"), Some("%41"));
    }

    #[test]
    fn refuses_more_pairs_than_anybody_sends() {
        let of =
            |count: usize| (0..count).map(|at| format!("n{at}=1")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(of(MOST_PAIRS).as_bytes()).is_ok());
        assert_eq!(Form::parse(of(MOST_PAIRS + 1).as_bytes()), Err(FormError::TooMany));
    }

    #[test]
    fn refuses_what_can_be_read_twice() {
        for (text, error) in [
            (&b"a=1&b=2&a=1"[..], FormError::Duplicate("a".into())),
            (b"a=1&%61=2", FormError::Duplicate("a".into())),
            (b"a=%", FormError::BadEscape),
            (b"a=%2", FormError::BadEscape),
            (b"a=%+1", FormError::BadEscape),
            (b"a=%ff", FormError::NotUtf8),
            (b"=1", FormError::NoName),
        ] {
            assert_eq!(Form::parse(text), Err(error), "{}", String::from_utf8_lossy(text));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(pairs in prop::collection::btree_map("\\PC{1,8}", "\\PC{0,16}", 0..8)) {
            let text = encode(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let form = Form::parse(text.as_bytes()).unwrap();
            let expected: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            prop_assert_eq!(form.pairs().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Form::parse(&text);
        }
    }
}
