//! What a slot may be used for: the words of `slot.uses`, and the patterns that pin where a secret stands in a
//! keyed hash.
//!
//! A use is `VERB ALGORITHM` or `VERB ALGORITHM PATTERN`. In a pattern `*` stands for any text that is not empty and
//! `{secret}` for the slot's own bytes, so `sign md5 *&key={secret}` allows the secret once, last, after `&key=`.

use crate::contract::Piece;

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Sign,
    Verify,
    Open,
    Seal,
    Derive,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Verb::Sign => "sign",
            Verb::Verify => "verify",
            Verb::Open => "open",
            Verb::Seal => "seal",
            Verb::Derive => "derive",
        }
    }
}

/// The algorithms that the host speaks, by the names of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    RsaPkcs1Sha256,
    RsaPkcs1Sha1,
    HmacSha256,
    HmacSha1,
    Equal,
    Md5,
    Sha256,
    Aes256Gcm,
    RsaOaepSha1,
    RsaOaepSha256,
    RsaPkcs1,
    Md5Hex,
}

const NAMES: [(Algorithm, &str); 12] = [
    (Algorithm::RsaPkcs1Sha256, "rsa-pkcs1-sha256"),
    (Algorithm::RsaPkcs1Sha1, "rsa-pkcs1-sha1"),
    (Algorithm::HmacSha256, "hmac-sha256"),
    (Algorithm::HmacSha1, "hmac-sha1"),
    (Algorithm::Equal, "equal"),
    (Algorithm::Md5, "md5"),
    (Algorithm::Sha256, "sha256"),
    (Algorithm::Aes256Gcm, "aes-256-gcm"),
    (Algorithm::RsaOaepSha1, "rsa-oaep-sha1"),
    (Algorithm::RsaOaepSha256, "rsa-oaep-sha256"),
    (Algorithm::RsaPkcs1, "rsa-pkcs1"),
    (Algorithm::Md5Hex, "md5-hex"),
];

impl Algorithm {
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, n)| *n == name).map(|(a, _)| *a)
    }

    /// Whether the algorithm exists for that verb. SHA-1 is for verifying what a provider still signs with it.
    fn serves(self, verb: Verb) -> bool {
        match self {
            Algorithm::RsaPkcs1Sha256
            | Algorithm::HmacSha256
            | Algorithm::HmacSha1
            | Algorithm::Md5
            | Algorithm::Sha256 => matches!(verb, Verb::Sign | Verb::Verify),
            Algorithm::RsaPkcs1Sha1 | Algorithm::Equal => verb == Verb::Verify,
            Algorithm::Aes256Gcm => matches!(verb, Verb::Open | Verb::Seal),
            Algorithm::RsaOaepSha1 | Algorithm::RsaOaepSha256 | Algorithm::RsaPkcs1 => {
                verb == Verb::Seal
            }
            Algorithm::Md5Hex => verb == Verb::Derive,
        }
    }

    /// What must hold the key: symmetric secrets, or a key pair's halves.
    pub fn is_symmetric(self) -> bool {
        !matches!(
            self,
            Algorithm::RsaPkcs1Sha256
                | Algorithm::RsaPkcs1Sha1
                | Algorithm::RsaOaepSha1
                | Algorithm::RsaOaepSha256
                | Algorithm::RsaPkcs1
        )
    }
}

/// One entry of `slot.uses`.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub verb: Verb,
    pub algorithm: Algorithm,
    pattern: Option<Pattern>,
}

impl Use {
    /// Reads `VERB ALGORITHM [PATTERN]`; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(3, ' ');
        let verb = match words.next() {
            Some("sign") => Verb::Sign,
            Some("verify") => Verb::Verify,
            Some("open") => Verb::Open,
            Some("seal") => Verb::Seal,
            Some("derive") => Verb::Derive,
            _ => return Err(format!("{text:?} does not start with a known verb")),
        };
        let algorithm = words
            .next()
            .and_then(Algorithm::parse)
            .ok_or_else(|| format!("{text:?} names no known algorithm"))?;
        if !algorithm.serves(verb) {
            return Err(format!("{text:?}: the algorithm does not {}", verb.name()));
        }
        let pattern = words.next().map(Pattern::parse).transpose()?;
        match (algorithm, &pattern) {
            (Algorithm::Md5 | Algorithm::Sha256, None) => {
                Err(format!("{text:?} must pin where the secret stands"))
            }
            (
                Algorithm::Md5 | Algorithm::Sha256 | Algorithm::HmacSha256 | Algorithm::HmacSha1,
                _,
            )
            | (_, None) => Ok(Self { verb, algorithm, pattern }),
            (_, Some(_)) => Err(format!("{text:?}: this algorithm takes no pattern")),
        }
    }

    /// Whether these pieces have the shape that the use pins.
    pub fn admits(&self, pieces: &[Piece]) -> bool {
        match (&self.pattern, self.algorithm) {
            (Some(pattern), _) => pattern.admits(pieces),
            (None, Algorithm::Equal) => matches!(pieces, [Piece::Secret]),
            (None, _) => pieces.iter().all(|p| matches!(p, Piece::Text(_))),
        }
    }
}

/// The text around the one secret, each side a list of literals between stars.
#[derive(Debug, Clone)]
struct Pattern {
    before: Vec<String>,
    after: Vec<String>,
}

/// Bytes besides the secret that a plain keyed hash must cover: fewer would leave a hash of nearly the secret alone,
/// to be guessed offline.
const LEAST_TEXT: usize = 8;

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        let mut sides = text.split("{secret}");
        match (sides.next(), sides.next(), sides.next()) {
            (Some(before), Some(after), None) if before.contains('*') || after.contains('*') => {
                let literals = |side: &str| side.split('*').map(str::to_owned).collect();
                Ok(Self { before: literals(before), after: literals(after) })
            }
            _ => Err(format!("{text:?} must hold {{secret}} exactly once and a * beside it")),
        }
    }

    fn admits(&self, pieces: &[Piece]) -> bool {
        let mut sides = [Vec::new(), Vec::new()];
        let mut secrets = 0;
        for piece in pieces {
            match piece {
                Piece::Text(bytes) if secrets == 0 => sides[0].extend_from_slice(bytes),
                Piece::Text(bytes) => sides[1].extend_from_slice(bytes),
                Piece::Secret => secrets += 1,
            }
        }
        secrets == 1
            && sides[0].len() + sides[1].len() >= LEAST_TEXT
            && glob(&self.before, &sides[0])
            && glob(&self.after, &sides[1])
    }
}

/// Matches text against literals with at least one byte between neighbours.
fn glob(literals: &[String], text: &[u8]) -> bool {
    let Some((first, rest)) = literals.split_first() else {
        return text.is_empty();
    };
    let Some(mut text) = text.strip_prefix(first.as_bytes()) else {
        return false;
    };
    let Some((last, middle)) = rest.split_last() else {
        return text.is_empty();
    };
    for literal in middle {
        let found = (1..=text.len()).find(|at| text[*at..].starts_with(literal.as_bytes()));
        match found {
            Some(at) => text = &text[at + literal.len()..],
            None => return false,
        }
    }
    text.len() > last.len() && text.ends_with(last.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Piece {
        Piece::Text(s.as_bytes().to_vec())
    }

    #[test]
    fn uses_are_read_or_refused() {
        let good = [
            "sign rsa-pkcs1-sha256",
            "verify rsa-pkcs1-sha1",
            "verify equal",
            "sign md5 *&key={secret}",
            "verify hmac-sha256 *&key={secret}",
            "sign sha256 {secret}&*",
            "open aes-256-gcm",
            "seal rsa-oaep-sha1",
            "seal rsa-pkcs1",
            "derive md5-hex",
        ];
        for use_ in good {
            assert!(Use::parse(use_).is_ok(), "{use_}");
        }
        let bad = [
            "",
            "sign",
            "SIGN rsa-pkcs1-sha256",
            "sign rsa-pkcs1-sha1",
            "sign equal",
            "sign md5",
            "sign md5 {secret}",
            "sign md5 *{secret}{secret}",
            "sign md5 *&key=",
            "sign rsa-pkcs1-sha256 *{secret}",
            "open hmac-sha256",
            "open rsa-pkcs1",
            "sign none",
        ];
        for use_ in bad {
            assert!(Use::parse(use_).is_err(), "{use_}");
        }
    }

    #[test]
    fn a_pattern_pins_the_secret() {
        let use_ = Use::parse("sign md5 *&key={secret}").unwrap();
        assert!(use_.admits(&[text("a=1&b=22"), text("&key="), Piece::Secret]));
        let refused: [&[Piece]; 6] = [
            &[text("a=1&b=22&key=")],
            &[text("&key="), Piece::Secret],
            &[text("a=1&b=22"), Piece::Secret],
            &[text("a=1&b=22&key="), Piece::Secret, text("x")],
            &[text("a=1&b=22&key="), Piece::Secret, Piece::Secret],
            &[Piece::Secret, text("a=1&b=22&key=")],
        ];
        for pieces in refused {
            assert!(!use_.admits(pieces), "{pieces:?}");
        }
    }

    #[test]
    fn without_a_pattern_no_secret_is_hashed() {
        let use_ = Use::parse("sign hmac-sha256").unwrap();
        assert!(use_.admits(&[text("abc")]));
        assert!(!use_.admits(&[text("abc"), Piece::Secret]));
        let equal = Use::parse("verify equal").unwrap();
        assert!(equal.admits(&[Piece::Secret]));
        assert!(!equal.admits(&[text("a")]));
        assert!(!equal.admits(&[text("a"), Piece::Secret]));
    }

    #[test]
    fn stars_stand_for_something() {
        let literals = |s: &str| s.split('*').map(str::to_owned).collect::<Vec<_>>();
        assert!(glob(&literals("a*b*c"), b"aXbYc"));
        assert!(!glob(&literals("a*b*c"), b"abYc"));
        assert!(!glob(&literals("a*b*c"), b"aXbc"));
        assert!(glob(&literals("abc"), b"abc"));
        assert!(!glob(&literals("abc"), b"abcd"));
        assert!(glob(&literals("*"), b"x"));
        assert!(!glob(&literals("*"), b""));
    }
}
