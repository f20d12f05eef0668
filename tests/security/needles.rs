//! Finds secret bytes wherever they are: whole or in parts of 24 bytes, raw, in hexadecimal of either case, in base64 of
//! either alphabet, wherever the text that they are encoded in begins.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Bytes of a secret that are looked for at a time: few enough to find a part of it, too many to be there by chance.
const PART: usize = 24;
const HEAD: usize = 8;

/// Looks for secrets.
pub struct Needles {
    by_head: HashMap<[u8; HEAD], Vec<(String, Vec<u8>)>>,
}

impl Needles {
    /// Looks for these, each under a name that a failing test tells instead of the secret.
    pub fn of(secrets: &[(&str, Vec<u8>)]) -> Needles {
        let mut needles = Needles { by_head: HashMap::new() };
        for (name, secret) in secrets {
            assert!(secret.len() >= 12, "{name} is too short to be looked for");
            for part in secret.chunks(PART).filter(|part| part.len() >= 12) {
                needles.add(name, "raw", part.to_vec());
                needles.add(name, "hex", hex::encode(part).into_bytes());
                needles.add(name, "HEX", hex::encode_upper(part).into_bytes());
                for shift in 0..3 {
                    let [standard, url] = base64_within(part, shift);
                    needles.add(name, "base64", standard);
                    needles.add(name, "base64url", url);
                }
            }
        }
        needles
    }

    fn add(&mut self, name: &str, form: &str, needle: Vec<u8>) {
        let head: [u8; HEAD] = needle[..HEAD].try_into().unwrap();
        let place = self.by_head.entry(head).or_default();
        place.push((format!("{name} in {form}"), needle));
    }

    /// The name and form of the first secret in these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<&str> {
        let windows = bytes.windows(HEAD).enumerate();
        windows.into_iter().find_map(|(at, head)| {
            let head: &[u8; HEAD] = head.try_into().unwrap();
            let found = self.by_head.get(head)?;
            let found = found.iter().find(|(_, needle)| bytes[at..].starts_with(needle))?;
            Some(found.0.as_str())
        })
    }

    /// Fails if a secret is in these bytes.
    #[track_caller]
    pub fn absent(&self, place: &str, bytes: impl AsRef<[u8]>) {
        if let Some(found) = self.find(bytes.as_ref()) {
            panic!("{place} holds {found}");
        }
    }
}

/// Base64 of a part behind `shift` other bytes, as far as it depends on the part alone.
fn base64_within(part: &[u8], shift: usize) -> [Vec<u8>; 2] {
    let mut padded = vec![0; shift];
    padded.extend_from_slice(part);
    let (from, to) = ([0, 2, 3][shift], padded.len() / 3 * 4);
    [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
        .map(|text| text.as_bytes()[from..to].to_vec())
}

/// The secret numbers of an RSA private key in PKCS#8: exponent, primes, and what is made from them. The modulus is
/// public.
pub fn of_private_key(base64: &str) -> Vec<(&'static str, Vec<u8>)> {
    let der = STANDARD.decode(base64).unwrap();
    // PrivateKeyInfo { version, algorithm, OCTET STRING { RSAPrivateKey { version, n, e, d, p, q, dp, dq, qinv } } }
    let info = elements(content(&der));
    let numbers = elements(content(info[2]));
    let names = ["d", "p", "q", "dp", "dq", "qinv"];
    let secret = |(name, number): (&&'static str, &&[u8])| (*name, number.to_vec());
    names.iter().zip(&numbers[3..]).map(secret).collect()
}

/// The content of the first element.
fn content(der: &[u8]) -> &[u8] {
    elements(der)[0]
}

/// The contents of DER elements that follow each other.
fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [_, length, rest @ ..] = der {
        let (length, rest) = match length {
            0..0x80 => (usize::from(*length), rest),
            long => {
                let (digits, rest) = rest.split_at(usize::from(long & 0x7f));
                let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                (length, rest)
            }
        };
        let (content, rest) = rest.split_at(length);
        found.push(content);
        der = rest;
    }
    found
}

#[test]
fn a_secret_is_found_in_every_form_and_place() {
    let secret: Vec<u8> = (0..70).map(|n: u8| n.wrapping_mul(151) ^ 0x5c).collect();
    let needles = Needles::of(&[("canary", secret.clone())]);
    let part = &secret[24..];
    let forms: [Vec<u8>; 6] = [
        secret.clone(),
        part.to_vec(),
        hex::encode(part).into(),
        hex::encode_upper(&secret).into(),
        STANDARD.encode([b"k=", part].concat()).into(),
        URL_SAFE_NO_PAD.encode([b"key=", secret.as_slice()].concat()).into(),
    ];
    for form in forms {
        let text = [b"before ", form.as_slice(), b" after"].concat();
        assert!(needles.find(&text).is_some(), "{text:?}");
    }
    assert_eq!(needles.find(&secret[1..20]), None);
    needles.absent("an empty place", b"");
}
