//! Reading kept bytes for their digest.

use std::io::Read;
use std::path::PathBuf;

use tokio::task::spawn_blocking;

use crate::files::digest::Hasher;
use crate::flows::{Flow, FlowError};

/// SHA-256 in hexadecimal.
pub(super) fn sha256_of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.finish()
}

/// A file's SHA-256 and its length.
pub(super) async fn sha256_of_file(path: PathBuf) -> Flow<(String, i64)> {
    let read = spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        let (mut hasher, mut bytes) = (Hasher::sha256(), 0i64);
        let mut piece = vec![0; 64 << 10];
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                return Ok::<_, FlowError>((hasher.finish(), bytes));
            }
            hasher.update(&piece[..length]);
            bytes += i64::try_from(length).unwrap_or(0);
        }
    });
    read.await.map_err(|error| FlowError::Internal(format!("reading a kept file: {error}")))?
}
