//! Reading certificates: out of PEM, DER or base64, and the facts of each that a plugin may know.
//!
//! Provider root files hold certificates of curves and encodings that no strict reader takes. Such a certificate keeps
//! its place in the list, so that facts stay aligned, but it vouches for nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::asn1_rs::Any;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Longest text that certificates are read from, in bytes.
const LONGEST_TEXT: usize = 64 << 10;
/// Longest serial number, in bytes. RFC 5280 has 20; writing one in decimal takes the square of its length.
const LONGEST_SERIAL: usize = 32;

/// Public facts of one key, as `key.attribute` names them. Empty text where a key has no such fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub id: String,
    pub serial: String,
    pub serial_decimal: String,
    pub subject: String,
    pub issuer: String,
    pub signature_algorithm: String,
    pub not_after: String,
}

impl Facts {
    /// The fact of that name; none for a name that the contract does not have.
    pub fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "id" => &self.id,
            "serial" => &self.serial,
            "serial-decimal" => &self.serial_decimal,
            "subject" => &self.subject,
            "issuer" => &self.issuer,
            "signature-algorithm" => &self.signature_algorithm,
            "not-after" => &self.not_after,
            _ => return None,
        })
    }
}

/// The DER of each certificate in a text: PEM blocks in any line ending with anything between them, or base64 DER.
pub(crate) fn certificates_in(text: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    if text.len() > LONGEST_TEXT {
        return Err("is longer than 64 KiB");
    }
    // DER itself: a SEQUENCE with a long length.
    if text.starts_with(&[0x30, 0x82]) {
        return Ok(vec![text.to_vec()]);
    }
    let text = std::str::from_utf8(text).map_err(|_| "is neither PEM nor DER")?;
    let blocks = pem_blocks(text, "CERTIFICATE")?;
    if !blocks.is_empty() {
        return Ok(blocks);
    }
    match base64_text(text) {
        Some(der) if der.first() == Some(&0x30) => Ok(vec![der]),
        _ => Err("is neither a PEM nor a base64 certificate"),
    }
}

/// The bytes of each PEM block of that label.
pub(crate) fn pem_blocks(text: &str, label: &str) -> Result<Vec<Vec<u8>>, &'static str> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(&begin) {
        rest = &rest[at + begin.len()..];
        let stop = rest.find(&end).ok_or("holds a PEM block that does not end")?;
        blocks.push(base64_text(&rest[..stop]).ok_or("holds a PEM block that is not base64")?);
        rest = &rest[stop + end.len()..];
    }
    Ok(blocks)
}

/// Decodes base64 with white space anywhere in it.
pub(crate) fn base64_text(text: &str) -> Option<Vec<u8>> {
    let dense: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(dense.as_bytes()).ok()
}

/// Whether these bytes are one DER element from the first to the last: readers of keys take what they need and are silent
/// about what follows it.
pub(crate) fn is_one_element(der: &[u8]) -> bool {
    Any::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// Reads a certificate; none when it is not one that this host can read.
pub(crate) fn read(der: &[u8]) -> Option<X509Certificate<'_>> {
    let (rest, cert) = X509Certificate::from_der(der).ok()?;
    (rest.is_empty() && strip_zeros(cert.raw_serial()).len() <= LONGEST_SERIAL).then_some(cert)
}

/// The facts of a certificate. The id is its serial number in hexadecimal.
pub(crate) fn facts(cert: &X509Certificate<'_>) -> Facts {
    let serial = strip_zeros(cert.raw_serial());
    let hex = hex::encode_upper(serial);
    Facts {
        id: hex.clone(),
        serial: hex,
        serial_decimal: decimal(serial),
        subject: name_text(cert.subject()),
        issuer: name_text(cert.issuer()),
        signature_algorithm: cert.signature_algorithm.algorithm.to_id_string(),
        not_after: rfc3339(cert.validity().not_after),
    }
}

fn rfc3339(time: x509_parser::time::ASN1Time) -> String {
    let at = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

fn strip_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    &bytes[zeros.min(bytes.len().saturating_sub(1))..]
}

/// A big-endian number in decimal digits.
pub(crate) fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

/// A name with its parts in the reverse of their order in the certificate, `CN=..,OU=..,O=..,C=..`: RFC 4514's order,
/// without its escapes, because providers hash the text like that.
pub(crate) fn name_text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute_text).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

/// The common name, for matching `trust.names`.
pub(crate) fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name().next().map(value_text)
}

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.25" => "DC",
        "0.9.2342.19200300.100.1.1" => "UID",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        other => other,
    };
    format!("{short}={}", value_text(attribute))
}

fn value_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    if let Ok(text) = attribute.as_str() {
        return text.to_owned();
    }
    let value = attribute.attr_value();
    // BMPString (30) is UTF-16, TeletexString (20) Latin-1 in practice.
    match value.tag().0 {
        30 => {
            let units = value.data.chunks_exact(2);
            let units: Vec<u16> = units.map(|u| u16::from_be_bytes([u[0], u[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        20 => value.data.iter().map(|b| char::from(*b)).collect(),
        _ => format!("#{}", hex::encode(value.data)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[1, 0]), "256");
        assert_eq!(decimal(&[0xff; 8]), u64::MAX.to_string());
        assert_eq!(strip_zeros(&[0, 0, 1]), &[1]);
        assert_eq!(strip_zeros(&[0]), &[0]);
    }

    /// A certificate with another serial number, its lengths mended.
    fn with_serial(der: &[u8], serial: &[u8]) -> Vec<u8> {
        let old = usize::from(der[14]);
        let length = u8::try_from(serial.len()).unwrap();
        let mut new = [&der[..14], &[length], serial, &der[15 + old..]].concat();
        for at in [2, 6] {
            let whole = usize::from(u16::from_be_bytes([new[at], new[at + 1]]));
            let grown = u16::try_from(whole + serial.len() - old).unwrap();
            new[at..at + 2].copy_from_slice(&grown.to_be_bytes());
        }
        new
    }

    #[test]
    fn a_serial_number_without_end_is_not_read() {
        let pem = include_bytes!("../../tests/fixtures/chain-middle.cer");
        let der = &certificates_in(pem).unwrap()[0];
        let longest = with_serial(der, &[1; LONGEST_SERIAL]);
        assert!(facts(&read(&longest).unwrap()).serial_decimal.len() > 70);
        assert!(read(&with_serial(der, &[1; LONGEST_SERIAL + 1])).is_none());
    }

    #[test]
    fn a_text_without_end_is_not_read() {
        let long = [b"0\x82".as_slice(), &vec![0; LONGEST_TEXT]].concat();
        assert_eq!(certificates_in(&long), Err("is longer than 64 KiB"));
    }

    #[test]
    fn text_that_is_no_certificate_is_refused() {
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAA", "AAAA"] {
            assert!(certificates_in(text.as_bytes()).is_err(), "{text}");
        }
    }
}
