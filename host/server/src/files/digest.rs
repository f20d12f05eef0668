//! The digests that providers state of their bill files.

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512};
use md5::{Digest, Md5};

use super::FileError;

/// A digest in the making.
pub enum Hasher {
    /// MD5.
    Md5(Md5),
    /// SHA-1, SHA-256 or SHA-512.
    Sha(Context),
}

impl Hasher {
    /// By the provider's name of the algorithm: `SHA1`, `sha-256`…
    ///
    /// # Errors
    /// `Bad` for an algorithm that we do not have: a digest that is not checked would be worth nothing.
    pub fn named(algorithm: &str) -> Result<Hasher, FileError> {
        let plain = algorithm.to_ascii_lowercase().replace('-', "");
        match plain.as_str() {
            "md5" => Ok(Hasher::Md5(Md5::new())),
            "sha1" => Ok(Hasher::Sha(Context::new(&SHA1_FOR_LEGACY_USE_ONLY))),
            "sha256" => Ok(Hasher::sha256()),
            "sha512" => Ok(Hasher::Sha(Context::new(&SHA512))),
            _ => Err(FileError::bad(format!("unknown digest {algorithm:?}"))),
        }
    }

    /// What we note of every piece.
    pub fn sha256() -> Hasher {
        Hasher::Sha(Context::new(&SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Md5(md5) => md5.update(bytes),
            Hasher::Sha(sha) => sha.update(bytes),
        }
    }

    /// The digest in lower-case hexadecimal.
    pub fn finish(self) -> String {
        match self {
            Hasher::Md5(md5) => hex::encode(md5.finalize()),
            Hasher::Sha(sha) => hex::encode(sha.finish()),
        }
    }
}

/// A digest that the provider stated, and what the bytes make of it.
pub struct Stated<'a> {
    hasher: Hasher,
    hex: &'a str,
}

impl<'a> Stated<'a> {
    /// Of algorithm and hexadecimal.
    ///
    /// # Errors
    /// As [`Hasher::named`].
    pub fn new(algorithm: &str, hex: &'a str) -> Result<Stated<'a>, FileError> {
        Ok(Stated { hasher: Hasher::named(algorithm)?, hex })
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Compares.
    ///
    /// # Errors
    /// `Bad` if it is another one.
    pub fn check(self) -> Result<(), FileError> {
        let counted = self.hasher.finish();
        if counted.eq_ignore_ascii_case(self.hex.trim()) {
            return Ok(());
        }
        let stated: String = self.hex.chars().take(128).collect();
        Err(FileError::bad(format!("the file's digest is {counted}, the provider states {stated}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_abc_are_those_of_the_standards() {
        let rows = [
            ("MD5", "900150983cd24fb0d6963f7d28e17f72"),
            ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("SHA-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "sha512",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ];
        for (algorithm, hex) in rows {
            let upper = hex.to_uppercase();
            let mut stated = Stated::new(algorithm, &upper).unwrap();
            stated.update(b"ab");
            stated.update(b"c");
            stated.check().unwrap();
            assert!(Stated::new(algorithm, hex).unwrap().check().is_err(), "{algorithm}");
        }
        assert!(Hasher::named("crc32").is_err());
    }
}
