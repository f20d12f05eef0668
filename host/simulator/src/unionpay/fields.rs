//! Fields, their signed text and digest, and numbers and times in UnionPay's shape.
use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

use crate::chance::Chance;
use crate::clock::in_china;

/// Fields by name, in byte order.
pub type Fields = BTreeMap<String, String>;

/// `yyyyMMddHHmmss` in China.
pub fn compact(at: Timestamp) -> String {
    in_china(at).strftime("%Y%m%d%H%M%S").to_string()
}

/// `MMddHHmmss` in China: without the year.
pub fn trace_time(at: Timestamp) -> String {
    in_china(at).strftime("%m%d%H%M%S").to_string()
}

/// A transaction's number: 21 digits that begin with its time.
pub fn query_id(chance: &Chance, at: Timestamp) -> String {
    format!("{}{}", in_china(at).strftime("%Y%m%d%H%M"), chance.digits(9))
}

/// What is signed: the SHA-256 of all fields but the signature, in lower-case hexadecimal.
pub fn signed_text(fields: &Fields) -> String {
    let pairs = fields.iter().filter(|(name, _)| *name != "signature");
    let text: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    hex::encode(digest(&SHA256, text.join("&").as_bytes()))
}

/// A reply: nothing in it is encoded.
pub fn reply_text(fields: &Fields) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_have_the_providers_shape() {
        let at: Timestamp = "2026-09-03T22:54:48Z".parse().unwrap_or_default();
        assert_eq!(
            (compact(at).as_str(), trace_time(at).as_str()),
            ("20260904065448", "0904065448")
        );
        let number = query_id(&Chance::new(7), at);
        assert!(number.starts_with("202609040654") && number.len() == 21, "{number}");
    }

    #[test]
    fn the_signed_text_leaves_out_the_signature_alone() {
        let fields = |more: &[(&str, &str)]| -> Fields {
            more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let signed = signed_text(&fields(&[("b", "2"), ("a", "1"), ("signature", "x")]));
        assert_eq!(signed, signed_text(&fields(&[("a", "1"), ("b", "2")])));
        assert_eq!(signed, hex::encode(digest(&SHA256, b"a=1&b=2")));
    }
}
