//! A payer's card that the shop brought along, sealed to UnionPay.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::Fields;
use super::keys::Credentials;
use super::wire::Refused;
use crate::rsa::SigningKey;

/// Opens `accNo` and `customerInfo`. Gives the card's number as it may be shown; none: no card came.
///
/// # Errors
/// The field that cannot be opened, or holds something else than it should.
pub fn read(own: &Credentials, fields: &Fields) -> Result<Option<String>, Refused> {
    let (number, info) = (fields.get("accNo"), fields.get("customerInfo"));
    if number.is_none() && info.is_none() {
        return Ok(None);
    }
    let named = fields.get("encryptCertId");
    let sealing = own.sealing().into_iter().find(|sealing| named == Some(&sealing.serial));
    let key = &sealing.ok_or_else(|| Refused::field("encryptCertId"))?.key;
    if let Some(info) = info {
        check_info(key, info).ok_or_else(|| Refused::field("customerInfo"))?;
    }
    let Some(number) = number else { return Ok(None) };
    let number = opened(key, number).filter(|number| digits(number, 13..=19));
    let number = number.ok_or_else(|| Refused::field("accNo"))?;
    Ok(Some(format!("{}****{}", &number[..4], &number[number.len() - 4..])))
}

fn opened(key: &SigningKey, sealed: &str) -> Option<String> {
    String::from_utf8(key.open(sealed)?).ok()
}

fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `customerInfo`: base64 of `{encryptedInfo=..}`, and in that `name=value` pairs.
fn check_info(key: &SigningKey, info: &str) -> Option<()> {
    let text = String::from_utf8(STANDARD.decode(info).ok()?).ok()?;
    let sealed = text.strip_prefix("{encryptedInfo=")?.strip_suffix('}')?;
    for pair in opened(key, sealed)?.split('&') {
        let (name, value) = pair.split_once('=')?;
        let lengths = match name {
            "phoneNo" => 8..=15,
            "cvn2" => 3..=3,
            "expired" => 4..=4,
            _ => return None,
        };
        digits(value, lengths).then_some(())?;
    }
    Some(())
}
