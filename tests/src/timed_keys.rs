//! Keys in memory for a plugin's native code in a measuring program.
#![allow(clippy::result_large_err, reason = "the contract's fault is as large as it is")]

use std::cell::Cell;
use std::time::{Duration, Instant};

use tollgate_sdk::Keyring;
use tollgate_sdk::contract::signing::{Part, Piece};
use tollgate_sdk::contract::types::Fault;
use tollgate_sdk::harness::MemoryKeys;
use tollgate_sdk::keys::Pick;

/// Keys in memory that tell how long their operations took.
pub struct TimedKeys {
    keys: MemoryKeys,
    took: Cell<Duration>,
}

impl TimedKeys {
    /// These keys.
    pub fn new(keys: MemoryKeys) -> TimedKeys {
        TimedKeys { keys, took: Cell::default() }
    }

    /// The time since this was last asked.
    pub fn took(&self) -> Duration {
        self.took.take()
    }

    fn timed<T>(&self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        self.took.set(self.took.get() + started.elapsed());
        done
    }
}

impl Keyring for TimedKeys {
    fn attribute(&self, slot: &str, name: &str) -> Vec<String> {
        self.keys.attribute(slot, name)
    }

    fn is_filled(&self, slot: &str) -> bool {
        self.keys.is_filled(slot)
    }

    fn sign(&self, key: Pick<'_>, algorithm: &str, data: &[Piece]) -> Result<Vec<u8>, Fault> {
        self.timed(|| self.keys.sign(key, algorithm, data))
    }

    fn verify(
        &self,
        key: Pick<'_>,
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        self.timed(|| self.keys.verify(key, algorithm, data, signature))
    }

    fn verify_by(
        &self,
        slot: &str,
        certificate: &[u8],
        algorithm: &str,
        data: &[Piece],
        signature: &[u8],
    ) -> Result<bool, Fault> {
        self.timed(|| self.keys.verify_by(slot, certificate, algorithm, data, signature))
    }

    fn open(
        &self,
        slot: &str,
        algorithm: &str,
        nonce: &[u8],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, Fault> {
        self.timed(|| self.keys.open(slot, algorithm, nonce, aad, sealed))
    }

    fn seal(&self, slot: &str, algorithm: &str, parts: &[Part]) -> Result<Vec<u8>, Fault> {
        self.timed(|| self.keys.seal(slot, algorithm, parts))
    }
}
