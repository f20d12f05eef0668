//! Secrets at rest: AES-256-GCM under a key that is not in the database; and marks, by which a text is known again.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::chance::Chance;

/// Why secrets cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file is missing, unreadable or not 32 bytes of hex.
    #[error("sealing key: {0}")]
    Key(String),
    /// What was sealed was altered, or under another key.
    #[error("the sealed secrets cannot be opened with this key")]
    Broken,
}

/// Seals and opens what must not lie in the database in the clear. While a key is replaced there are two: one seals, and
/// both open.
pub struct Sealer {
    seals: LessSafeKey,
    opens_too: Option<LessSafeKey>,
}

impl Sealer {
    /// From 32 bytes.
    pub fn new(key: &[u8]) -> Result<Sealer, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key)
            .map_err(|_| SealError::Key("must be 32 bytes, written as 64 hex digits".to_owned()))?;
        Ok(Sealer { seals: LessSafeKey::new(key), opens_too: None })
    }

    /// The same, which also opens what another one's key has sealed.
    pub fn and(self, also: Sealer) -> Sealer {
        Sealer { opens_too: Some(also.seals), ..self }
    }

    /// From a file of 64 hex digits, made on the first start and readable by its owner alone.
    pub fn from_file(path: &Path, chance: &Chance) -> Result<Sealer, SealError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = Zeroizing::new(hex::encode(Zeroizing::new(chance.bytes::<32>())));
                write_private(path, text.as_bytes())
                    .map_err(|error| SealError::Key(format!("{}: {error}", path.display())))?;
                text
            }
            Err(error) => return Err(SealError::Key(format!("{}: {error}", path.display()))),
        };
        let key = hex::decode(text.trim())
            .map_err(|_| SealError::Key(format!("{}: must be 64 hex digits", path.display())))?;
        Sealer::new(&Zeroizing::new(key))
    }

    /// Sealed for `owner`, whose id the sealed bytes are bound to.
    pub fn seal(&self, owner: &str, plain: &[u8], chance: &Chance) -> Result<Vec<u8>, SealError> {
        let nonce = chance.bytes::<NONCE_LEN>();
        let mut bytes = plain.to_vec();
        self.seals
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(owner.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| SealError::Broken)?;
        Ok([nonce.as_slice(), &bytes].concat())
    }

    /// What was sealed for `owner`.
    pub fn open(&self, owner: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let keys = std::iter::once(&self.seals).chain(&self.opens_too);
        let opened = keys.map(|key| open_with(key, owner, sealed)).find(Result::is_ok);
        opened.unwrap_or(Err(SealError::Broken))
    }

    /// The same under the key that seals now; none: it is under that one already.
    pub fn reseal(
        &self,
        owner: &str,
        sealed: &[u8],
        chance: &Chance,
    ) -> Result<Option<Vec<u8>>, SealError> {
        if open_with(&self.seals, owner, sealed).is_ok() {
            return Ok(None);
        }
        let plain = self.open(owner, sealed)?;
        self.seal(owner, &plain, chance).map(Some)
    }
}

/// What texts are known by: HMAC-SHA256 under a key of the installation's own, the same for all its gateways whatever becomes of
/// the key that seals. From a bare hash, a short secret within a text could be found by trying.
pub struct Marks(hmac::Key);

impl Marks {
    /// Under this key.
    pub fn new(key: &[u8]) -> Marks {
        Marks(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What the text is known by.
    pub fn of(&self, text: &[u8]) -> String {
        hex::encode(hmac::sign(&self.0, text))
    }
}

fn open_with(
    key: &LessSafeKey,
    owner: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, bytes) = sealed.split_at_checked(NONCE_LEN).ok_or(SealError::Broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Broken)?;
    let mut bytes = Zeroizing::new(bytes.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(owner.as_bytes()), &mut bytes)
        .map_err(|_| SealError::Broken)?
        .len();
    bytes.truncate(length);
    Ok(bytes)
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn opens_for_its_owner_and_unaltered_only() {
        let chance = Chance::seeded(1);
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("acc_1", b"secret", &chance).unwrap();
        assert_eq!(sealer.open("acc_1", &sealed).unwrap().as_slice(), b"secret");
        assert!(sealer.open("acc_2", &sealed).is_err());
        assert!(Sealer::new(&[8; 32]).unwrap().open("acc_1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open("acc_1", &altered).is_err(), "byte {at}");
        }
        assert!(sealer.open("acc_1", &sealed[..5]).is_err());
    }

    #[test]
    fn while_a_key_is_replaced_both_open_and_one_seals() {
        let chance = Chance::seeded(1);
        let (old, new) = (Sealer::new(&[7; 32]).unwrap(), Sealer::new(&[8; 32]).unwrap());
        let before = old.seal("acc_1", b"secret", &chance).unwrap();
        let both = Sealer::new(&[8; 32]).unwrap().and(Sealer::new(&[7; 32]).unwrap());
        assert_eq!(both.open("acc_1", &before).unwrap().as_slice(), b"secret");
        assert!(both.open("acc_2", &before).is_err());
        let after = both.reseal("acc_1", &before, &chance).unwrap().unwrap();
        assert_eq!(new.open("acc_1", &after).unwrap().as_slice(), b"secret");
        assert!(old.open("acc_1", &after).is_err());
        assert_eq!(both.reseal("acc_1", &after, &chance).unwrap(), None);
        assert!(new.reseal("acc_1", &before, &chance).is_err());
    }
}
