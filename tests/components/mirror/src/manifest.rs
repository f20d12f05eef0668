//! A manifest with a slot of each kind that holds a secret.

use tollgate_sdk::contract::provider::{Egress, Input, Manifest, Slot};

/// The slots, each with a signature of its own that is allowed and, where there is one, what it hashes in front of the
/// secret.
pub const SLOTS: [(&str, &str, &[&str]); 4] = [
    (
        "word",
        "secret",
        &["sign hmac-sha256", "sign md5 *&key={secret}", "derive md5-hex", "open aes-256-gcm"],
    ),
    ("hex", "secret-hex", &["sign hmac-sha256", "verify hmac-sha256"]),
    ("base64", "secret-base64", &["sign sha256 {secret}*", "seal aes-256-gcm"]),
    ("key", "private-key", &["sign rsa-pkcs1-sha256"]),
];

/// The manifest.
pub fn describe() -> Manifest {
    let mut manifest = tollgate_test_base::describe("mirror", &["memory", "header"]);
    manifest.slots = SLOTS.map(|(name, kind, uses)| slot(name, kind, uses)).into();
    manifest
}

fn slot(name: &str, kind: &str, uses: &[&str]) -> Slot {
    let leaves = Egress {
        origin: "gateway".to_owned(),
        place: "header authorization".to_owned(),
        filling: None,
    };
    Slot {
        input: Input {
            name: name.to_owned(),
            label: name.to_owned(),
            kind: kind.to_owned(),
            required: false,
            pattern: None,
            help: String::new(),
        },
        uses: uses.iter().map(|text| (*text).to_owned()).collect(),
        egress: if name == "word" { vec![leaves] } else { Vec::new() },
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}
