//! The payer's card where the shop brings it along: sealed by the host to UnionPay's certificate, so that this plugin writes
//! down where each field goes and never has one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tollgate_sdk::contract::provider::Input;
use tollgate_sdk::contract::signing::Part;
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::keys::RSA_PKCS1;
use tollgate_sdk::{Keyring, fault};

use crate::fields::Fields;

/// The slot of UnionPay's certificate for what is sealed: `acp_prod_enc.cer`.
pub const SEALING: &str = "unionpay-encryption";
/// The card's number: a field of its own.
const NUMBER: &str = "accNo";
/// What goes into `customerInfo` together, in this order.
const WITH_IT: [&str; 3] = ["phoneNo", "cvn2", "expired"];

/// What a payer's card is known by: private, and none of it required.
pub fn inputs() -> Vec<Input> {
    let input = |name: &str, label: &str, pattern: &str, help: &str| Input {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: "private".to_owned(),
        required: false,
        pattern: Some(pattern.to_owned()),
        help: help.to_owned(),
    };
    vec![
        input(NUMBER, "Card number", "[0-9]{13,19}", "13 to 19 digits"),
        input("expired", "Valid until", "[0-9]{2}(0[1-9]|1[0-2])", "Year and month, YYMM"),
        input("cvn2", "Security code", "[0-9]{3}", "The three digits on the card's back"),
        input("phoneNo", "Phone", "[0-9]{8,15}", "The phone that the bank knows"),
    ]
}

/// Adds what of the card came with this call, by its names: `accNo`, and `customerInfo` with the rest in `encryptedInfo`, both
/// under the certificate that `encryptCertId` names.
///
/// # Errors
/// `config` where the account has no certificate to seal to.
pub fn add<K: Keyring>(fields: &mut Fields, keys: &K, names: &[String]) -> Result<(), Fault> {
    if names.is_empty() {
        return Ok(());
    }
    let serials = keys.attribute(SEALING, "serial-decimal");
    let serial = serials.into_iter().find(|serial| !serial.is_empty());
    let empty =
        || fault::config(format!("`{SEALING}` is empty: there is nothing to seal a card to"));
    fields.put("encryptCertId", serial.ok_or_else(empty)?);
    let seal = |parts: &[Part]| Ok(STANDARD.encode(keys.seal(SEALING, RSA_PKCS1, parts)?));
    let came = |name: &str| names.iter().any(|given| given == name);
    if came(NUMBER) {
        fields.put(NUMBER, seal(&[Part::Private(NUMBER.to_owned())])?);
    }
    let mut parts = Vec::new();
    for name in WITH_IT.into_iter().filter(|name| came(name)) {
        let between = if parts.is_empty() { "" } else { "&" };
        parts.push(Part::Text(format!("{between}{name}=").into_bytes()));
        parts.push(Part::Private(name.to_owned()));
    }
    if !parts.is_empty() {
        let sealed = seal(&parts)?;
        fields.put("customerInfo", STANDARD.encode(format!("{{encryptedInfo={sealed}}}")));
    }
    Ok(())
}
