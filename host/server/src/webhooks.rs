//! Signatures of what merchants are sent, by Standard Webhooks 1.0: HMAC-SHA256 over id, time and body.

use aws_lc_rs::hmac;
use base64::prelude::{BASE64_STANDARD, Engine};
use zeroize::Zeroizing;

use crate::chance::Chance;

const PREFIX: &str = "whsec_";
/// New secrets have so many bytes; the standard wants 24 to 64.
const BYTES: usize = 32;

/// What an endpoint knows its messages by. It has no form for logs.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A new one.
    pub fn new(chance: &Chance) -> Secret {
        Secret(Zeroizing::new(chance.bytes::<BYTES>().to_vec()))
    }

    /// One that was kept.
    pub fn kept(bytes: Zeroizing<Vec<u8>>) -> Secret {
        Secret(bytes)
    }

    /// As it is kept, before it is sealed.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As the merchant is told it, once.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&*self.0))
    }

    fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in [id, ".", &seconds.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.sign()))
    }
}

/// The headers of a message: its id, when it is sent in seconds since 1970, and a signature for each secret that is
/// live, the current one's first.
pub fn headers(
    id: &str,
    seconds: i64,
    body: &str,
    secrets: &[Secret],
) -> [(&'static str, String); 3] {
    let signatures: Vec<String> =
        secrets.iter().map(|secret| secret.sign(id, seconds, body)).collect();
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        let bytes = BASE64_STANDARD.decode(text.strip_prefix(PREFIX).unwrap()).unwrap();
        Secret::kept(Zeroizing::new(bytes))
    }

    /// The vector that the reference libraries of Standard Webhooks share.
    #[test]
    fn the_published_vector_is_reproduced() {
        let secrets = [secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
        let body = r#"{"test": 2432232314}"#;
        let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, &secrets);
        let wanted = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        assert_eq!(headers, wanted.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn each_live_secret_signs() {
        let chance = Chance::seeded(3);
        let secrets = [Secret::new(&chance), Secret::new(&chance)];
        let both = headers("evt_1", 1, "{}", &secrets)[2].1.clone();
        let alone = secrets.each_ref().map(|secret| secret.sign("evt_1", 1, "{}"));
        assert_eq!(both, alone.join(" "));
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn a_secret_is_told_as_the_standard_says() {
        let made = Secret::new(&Chance::seeded(3));
        assert_eq!(secret(&made.text()).bytes(), made.bytes());
        assert!((24..=64).contains(&made.bytes().len()));
    }
}
