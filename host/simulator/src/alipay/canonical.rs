//! Forms, charsets and the strings that Alipay and its merchants sign.
use encoding_rs::{Encoding, GBK, UTF_8};

use crate::ledger::Opening;

/// A form field: its name and its value's bytes, decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, always ASCII in this protocol.
    pub name: String,
    /// Value in the charset of the message.
    pub value: Vec<u8>,
}

/// Charset of a message: it decides the bytes that are signed and url-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// `utf-8`
    Utf8,
    /// `gbk` or `gb2312`
    Gbk,
}

impl Charset {
    /// Reads the `charset` parameter, in any case.
    pub fn named(name: &str) -> Option<Charset> {
        match name.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Charset::Utf8),
            "gbk" | "gb2312" => Some(Charset::Gbk),
            _ => None,
        }
    }

    /// The charset in which a merchant spoke and wants to be told.
    pub fn of(opening: &Opening) -> Charset {
        opening.echo("charset").and_then(Charset::named).unwrap_or(Charset::Utf8)
    }

    /// The name that messages carry.
    pub fn name(self) -> &'static str {
        match self {
            Charset::Utf8 => "utf-8",
            Charset::Gbk => "gbk",
        }
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Charset::Utf8 => UTF_8,
            Charset::Gbk => GBK,
        }
    }

    /// Text to bytes; a character that the charset does not have becomes `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        let (bytes, _, unmappable) = self.encoding().encode(text);
        if !unmappable {
            return bytes.into_owned();
        }
        let mut out = Vec::with_capacity(text.len());
        let mut buffer = [0; 4];
        for character in text.chars() {
            let (bytes, _, missing) = self.encoding().encode(character.encode_utf8(&mut buffer));
            out.extend_from_slice(if missing { b"?" } else { &bytes });
        }
        out
    }

    /// Bytes to text, or `None` when they are not in this charset.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = self.encoding().decode_without_bom_handling_and_without_replacement(bytes)?;
        Some(text.into_owned())
    }
}

/// Reads `application/x-www-form-urlencoded` bytes: each name and value decoded exactly once.
pub fn read_form(raw: &[u8]) -> Vec<Field> {
    raw.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let split = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(split + 1..).unwrap_or_default();
            let name = percent_decode(&pair[..split]);
            Field {
                name: String::from_utf8_lossy(&name).into_owned(),
                value: percent_decode(value),
            }
        })
        .collect()
}

fn percent_decode(raw: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// Writes fields as a form body, spaces as `+`.
pub fn write_form(fields: &[Field]) -> String {
    let encode = |bytes: &[u8]| url::form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pairs: Vec<String> = fields
        .iter()
        .map(|field| format!("{}={}", encode(field.name.as_bytes()), encode(&field.value)))
        .collect();
    pairs.join("&")
}

/// The string to sign: fields without `dropped` names and empty values, sorted by name, joined.
pub fn text_to_sign(fields: &[Field], dropped: &[&str]) -> Vec<u8> {
    let mut kept: Vec<&Field> = fields
        .iter()
        .filter(|field| !field.value.is_empty() && !dropped.contains(&field.name.as_str()))
        .collect();
    kept.sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
    let mut text = Vec::new();
    for field in kept {
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(field.name.as_bytes());
        text.push(b'=');
        text.extend_from_slice(&field.value);
    }
    text
}

/// What a merchant signs: everything but the signature, `sign_type` included.
pub fn request_text(fields: &[Field]) -> Vec<u8> {
    text_to_sign(fields, &["sign"])
}

/// What Alipay signs in returns and trade notifications ("V1"): `sign_type` left out as well.
pub fn notice_text(fields: &[Field]) -> Vec<u8> {
    text_to_sign(fields, &["sign", "sign_type"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_decoded_exactly_once() {
        let fields = read_form(b"a=1%2B1&b=x+y%20z&c=%2525&d&=e&a=2");
        let shown: Vec<(&str, &[u8])> =
            fields.iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect();
        let expected: [(&str, &[u8]); 6] =
            [("a", b"1+1"), ("b", b"x y z"), ("c", b"%25"), ("d", b""), ("", b"e"), ("a", b"2")];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_form_survives_writing_and_reading() {
        let fields = vec![
            Field { name: "subject".to_owned(), value: Charset::Gbk.encode("红茶 + 1%&=") },
            Field { name: "empty".to_owned(), value: Vec::new() },
        ];
        assert_eq!(read_form(write_form(&fields).as_bytes()), fields);
    }

    #[test]
    fn characters_outside_gbk_become_question_marks() {
        assert_eq!(Charset::Gbk.encode("茶😀a"), [0xb2, 0xe8, b'?', b'a']);
        assert_eq!(Charset::Gbk.decode(&[0xb2, 0xe8]).as_deref(), Some("茶"));
        assert_eq!(Charset::Utf8.decode(&[0xb2, 0xe8]), None);
    }
}
