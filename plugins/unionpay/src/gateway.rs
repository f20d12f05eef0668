//! Requests: the fields that all have, and the signature over the digest of their sorted text.

use tollgate_sdk::contract::requests::{PageForm, Step};
use tollgate_sdk::contract::types::{Body, Context, Fault, HttpRequest, Value};
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256, sign_base64};
use tollgate_sdk::{Keyring, fault};

use crate::fields::{Fields, SIGNATURE};

/// The slot of the merchant's own key.
pub const MERCHANT_KEY: &str = "merchant-private-key";
/// The slot of the certificate to that key: requests name its serial number.
pub const MERCHANT_CERTIFICATE: &str = "merchant-certificate";
/// The version that is spoken here.
pub const VERSION: &str = "5.1.0";
/// Signed by certificate. Secrets shared with the provider are another method, which nobody may choose for us.
pub const SIGN_METHOD: &str = "01";

/// `bizType` of payments and of what follows from them.
pub const PAYMENTS: &str = "000201";
/// `accessType`: the merchant himself.
const DIRECT: &str = "0";

/// Checks that a message is about a transaction of the kind that is asked for here.
///
/// # Errors
/// `protocol`, with the field that is missing or says otherwise.
pub fn check_kind(fields: &Fields, sub_type: &str) -> Result<(), Fault> {
    for (name, ours) in [("txnSubType", sub_type), ("bizType", PAYMENTS), ("accessType", DIRECT)] {
        let theirs = fields.need(name)?;
        if theirs != ours {
            return Err(fault::protocol(format!("`{name}` is {theirs}, not {ours}")));
        }
    }
    Ok(())
}

/// Our reference as `orderId`.
///
/// # Errors
/// `invalid-request` for what is not 8 to 32 letters and digits: UnionPay takes no other.
pub fn order_id(reference: &str) -> Result<&str, Fault> {
    let fits = (8..=32).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match fits {
        true => Ok(reference),
        false => Err(fault::invalid_request("`orderId` is not 8 to 32 letters and digits")),
    }
}

/// The fields that each request has. `kind` is `txnType` and `txnSubType`.
///
/// # Errors
/// `config` for missing settings or keys.
pub fn fields<K: Keyring>(
    context: &Context,
    keys: &K,
    kind: (&str, &str),
    biz_type: &str,
) -> Result<Fields, Fault> {
    let serials = keys.attribute(MERCHANT_CERTIFICATE, "serial-decimal");
    let serial = serials.into_iter().next();
    let serial = serial.ok_or_else(|| fault::config("`merchant-certificate` is empty"))?;
    let mut fields = Fields::default();
    for (name, value) in [
        ("version", VERSION),
        ("encoding", "UTF-8"),
        ("signMethod", SIGN_METHOD),
        ("certId", &serial),
        ("txnType", kind.0),
        ("txnSubType", kind.1),
        ("bizType", biz_type),
        ("accessType", DIRECT),
        ("merId", context.required_setting("mer_id")?),
    ] {
        fields.put(name, value);
    }
    Ok(fields)
}

/// Signs the fields.
///
/// # Errors
/// `config` where the key is missing.
pub fn sign<K: Keyring>(keys: &K, mut fields: Fields) -> Result<Vec<(String, String)>, Fault> {
    let digest = fields.digest();
    let signature = sign_base64(keys, Pick::Slot(MERCHANT_KEY), RSA_PKCS1_SHA256, digest)?;
    fields.put(SIGNATURE, signature);
    Ok(fields.into_pairs())
}

/// A server's call.
///
/// # Errors
/// `config` for missing addresses or keys.
pub fn send<K: Keyring>(
    context: &Context,
    keys: &K,
    origin: &str,
    path: &str,
    fields: Fields,
) -> Result<Step, Fault> {
    let form = sign(keys, fields)?.into_iter().map(|(name, value)| (name, Value::Text(value)));
    let request = HttpRequest {
        method: "POST".to_owned(),
        url: format!("{}{path}", context.origin(origin)?),
        query: Vec::new(),
        headers: Vec::new(),
        body: Body::Form(form.collect()),
    };
    Ok(Step::Send((request, Vec::new())))
}

/// A form that the payer's browser posts.
///
/// # Errors
/// `config` for missing addresses or keys.
pub fn page<K: Keyring>(
    context: &Context,
    keys: &K,
    path: &str,
    fields: Fields,
) -> Result<PageForm, Fault> {
    Ok(PageForm {
        url: format!("{}{path}", context.origin("gateway")?),
        charset: "utf-8".to_owned(),
        fields: sign(keys, fields)?,
    })
}
