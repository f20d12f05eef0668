//! Everything that a component can ask of its keys, allowed or not.

use tollgate_sdk::contract::signing::{Key, Keyring, Part, Piece};

use crate::manifest::SLOTS;

/// What the host answered: kept alive, so that it is in memory when that is looked at.
#[derive(Default)]
pub struct Answers {
    bytes: Vec<Vec<u8>>,
    texts: Vec<String>,
    keys: Vec<Key>,
}

impl Answers {
    fn take<E: core::fmt::Debug>(&mut self, answer: Result<Vec<u8>, E>) {
        match answer {
            Ok(bytes) => self.bytes.push(bytes),
            Err(error) => self.texts.push(format!("{error:?}")),
        }
    }

    fn key<E: core::fmt::Debug>(&mut self, answer: Result<Key, E>) {
        match answer {
            Ok(key) => self.keys.push(key),
            Err(error) => self.texts.push(format!("{error:?}")),
        }
    }
}

/// Asks each key for its facts, signatures with and around its secret, openings and derivations.
pub fn everything(keys: &Keyring) -> Answers {
    let mut got = Answers::default();
    for (name, _, _) in SLOTS {
        match keys.slot(name) {
            Ok(key) => ask(name, &key, &mut got),
            Err(error) => got.texts.push(format!("{error:?}")),
        }
        got.key(keys.find(name, "0"));
        got.key(keys.certificate(name, b"no certificate"));
    }
    got
}

fn ask(name: &str, key: &Key, got: &mut Answers) {
    for fact in ["id", "serial", "subject", "raw", "secret", "der", "length"] {
        got.texts.extend(key.attribute(fact));
    }
    let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
    got.take(key.sign("hmac-sha256", &[text("mirrored text")]));
    got.take(key.sign("rsa-pkcs1-sha256", &[Piece::Secret]));
    got.take(key.sign("md5", &[text("mirrored=text&key="), Piece::Secret]));
    for algorithm in ["equal", "hmac-sha256"] {
        let held = key.verify(algorithm, &[Piece::Secret], b"guess");
        got.texts.push(format!("{held:?}"));
    }
    got.take(key.open("aes-256-gcm", &[0; 12], b"", &[0; 32]));
    // A call may sign, seal and derive sixteen times in all.
    if name == "word" {
        got.key(key.derive("md5-hex", b""));
        let derived = got.keys.last().map(|key| key.open("aes-256-gcm", &[0; 12], b"", &[0; 32]));
        derived.into_iter().for_each(|opened| got.take(opened));
    }
    if name == "base64" {
        let parts = [Part::Text(b"mirrored".to_vec()), Part::Private("card".to_owned())];
        got.take(key.seal("aes-256-gcm", &[1; 12], b"", &parts));
        got.take(key.seal("aes-256-gcm", &[1; 12], b"", &parts[..1]));
    }
}
