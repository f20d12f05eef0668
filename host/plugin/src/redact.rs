//! Takes secrets out of what is kept: each in its raw, base64, hexadecimal and percent-encoded form, wherever it
//! stands in a text.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::contract::HttpResponse;
use crate::keys::Keys;

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// Shorter texts are words of any message, and too weak to be secrets.
const SHORTEST: usize = 6;

/// Some writers leave the four unreserved marks as they are.
const LAZY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A form of a secret, wiped when it is freed. It is made at its full length, because what a buffer grows out of is not wiped.
type Needle = Zeroizing<Vec<u8>>;

/// Finds the secrets of one account in everything that is kept of its exchanges.
pub struct Redactor {
    /// What its keys are known by.
    of_keys: Arc<Needles>,
    /// What was put into one request, if anything was.
    injected: Option<Needles>,
}

/// The forms of secrets, the longest first: a part must not be taken out before the whole.
pub(crate) struct Needles {
    all: Vec<Needle>,
    /// A bit for each pair of first bytes: whether a needle starts so.
    starts: Vec<u64>,
}

impl Redactor {
    /// A redactor of an account's keys and of what was put into one request.
    pub fn new(keys: &Keys, injected: &[SecretString]) -> Self {
        let mut needles = Vec::new();
        for secret in injected {
            add_forms(&mut needles, secret.expose_secret().as_bytes());
        }
        let injected = (!needles.is_empty()).then(|| Needles::new(needles));
        Self { of_keys: keys.needles(), injected }
    }

    /// The bytes without any secret in them.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut clean = Vec::with_capacity(bytes.len());
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            match self.needle_at(&bytes[at..]) {
                Some(length) => {
                    clean.extend_from_slice(&bytes[from..at]);
                    clean.extend_from_slice(MARK.as_bytes());
                    at += length;
                    from = at;
                }
                None => at += 1,
            }
        }
        clean.extend_from_slice(&bytes[from..]);
        clean
    }

    /// The text without any secret in it.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// An answer that a plugin may read: what it reflects of the request's secrets is taken out.
    pub fn answer(&self, mut answer: HttpResponse) -> HttpResponse {
        for (_, value) in &mut answer.headers {
            if self.finds(value.as_bytes()) {
                *value = self.text(value);
            }
        }
        if self.finds(&answer.body) {
            answer.body = self.bytes(&answer.body);
        }
        answer
    }

    /// Whether a secret stands anywhere in the bytes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        (0..bytes.len()).any(|at| self.needle_at(&bytes[at..]).is_some())
    }

    fn needle_at(&self, text: &[u8]) -> Option<usize> {
        let injected = self.injected.as_ref().and_then(|injected| injected.at(text));
        self.of_keys.at(text).max(injected)
    }
}

impl Needles {
    /// What the secrets of an account's keys are known by.
    pub(crate) fn of(keys: &Keys) -> Self {
        let mut needles = Vec::new();
        keys.each_secret(|secret| add_forms(&mut needles, secret));
        Self::new(needles)
    }

    fn new(mut all: Vec<Needle>) -> Self {
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.as_slice().cmp(b)));
        all.dedup();
        let mut starts = vec![0; (1 << 16) / 64];
        for needle in &all {
            let (word, bit) = start(needle);
            starts[word] |= bit;
        }
        Self { all, starts }
    }

    /// The length of the longest one that a text starts with.
    fn at(&self, text: &[u8]) -> Option<usize> {
        if text.len() < SHORTEST {
            return None;
        }
        let (word, bit) = start(text);
        if self.starts[word] & bit == 0 {
            return None;
        }
        self.all.iter().find(|needle| text.starts_with(needle)).map(|needle| needle.len())
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Where the bit of a text's first two bytes is.
fn start(text: &[u8]) -> (usize, u64) {
    let pair = usize::from(text[0]) << 8 | usize::from(text[1]);
    (pair / 64, 1 << (pair % 64))
}

fn add_forms(needles: &mut Vec<Needle>, secret: &[u8]) {
    let mut add = |form: Needle| {
        if form.len() >= SHORTEST {
            needles.push(form);
        }
    };
    add(Zeroizing::new(secret.to_vec()));
    add(Zeroizing::new(hex::encode(secret).into_bytes()));
    add(Zeroizing::new(hex::encode_upper(secret).into_bytes()));
    for shift in 0..3 {
        shifted_base64(secret, shift).into_iter().for_each(&mut add);
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        add(percent_encoded(text, NON_ALPHANUMERIC, "%20"));
        add(percent_encoded(text, LAZY, "%20"));
        add(percent_encoded(text, LAZY, "+"));
        add(json_quoted(text));
    }
}

/// Percent-encoded, with a space written like that.
fn percent_encoded(text: &str, set: &'static AsciiSet, space: &str) -> Needle {
    let mut form = Zeroizing::new(Vec::with_capacity(3 * text.len()));
    for piece in utf8_percent_encode(text, set) {
        let piece = if piece == "%20" { space } else { piece };
        form.extend_from_slice(piece.as_bytes());
    }
    form
}

/// As it stands between the quotes of a JSON string.
fn json_quoted(text: &str) -> Needle {
    // No byte takes more than `\u0000`.
    let mut quoted = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
    match serde_json::to_writer(&mut *quoted, text) {
        Ok(()) => Zeroizing::new(quoted[1..quoted.len() - 1].to_vec()),
        Err(_) => Needle::default(),
    }
}

/// Base64 of the secret behind `shift` other bytes, as far as it does not depend on its neighbours.
fn shifted_base64(secret: &[u8], shift: usize) -> [Needle; 2] {
    let mut padded = Zeroizing::new(Vec::with_capacity(shift + secret.len()));
    padded.resize(shift, 0);
    padded.extend_from_slice(secret);
    let whole = padded.len() / 3 * 4;
    let skip = [0, 2, 3][shift];
    // The last group of an incomplete three also holds bits of what follows.
    let cut = |text: String| {
        let text = Zeroizing::new(text);
        let kept = text.get(skip..whole).unwrap_or_default();
        Zeroizing::new(kept.as_bytes().to_vec())
    };
    [cut(STANDARD_NO_PAD.encode(&*padded)), cut(URL_SAFE_NO_PAD.encode(&*padded))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn redactor() -> Redactor {
        Redactor::new(&Keys::none(), &[SecretString::from("s3cr+t/key of 1?")])
    }

    #[test]
    fn every_form_is_found() {
        let secret = "s3cr+t/key of 1?";
        let forms = [
            secret.to_owned(),
            hex::encode(secret),
            hex::encode_upper(secret),
            STANDARD.encode(secret),
            STANDARD.encode(format!("id:{secret}")),
            STANDARD.encode(format!("id1:{secret}!!")),
            STANDARD.encode(format!("id12:{secret}!")),
            URL_SAFE_NO_PAD.encode(secret),
            "s3cr%2Bt%2Fkey%20of%201%3F".to_owned(),
            "s3cr%2Bt%2Fkey+of+1%3F".to_owned(),
        ];
        for form in forms {
            let text = format!("before {form} after");
            let clean = redactor().text(&text);
            assert!(clean.contains(MARK), "{form}: {clean}");
            assert!(clean.starts_with("before "), "{clean}");
            assert!(clean.ends_with(" after"), "{clean}");
            assert!(redactor().finds(text.as_bytes()), "{form}");
        }
    }

    #[test]
    fn all_else_is_left() {
        let text = "s3cr+t/key of 2? {\"a\":1}";
        assert_eq!(redactor().text(text), text);
        assert_eq!(redactor().bytes(&[0xff, 0, 1]), [0xff, 0, 1]);
        assert!(!redactor().finds(text.as_bytes()));
    }
}
