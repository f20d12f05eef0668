//! Bill files: from the bytes that a provider sent to text that a plugin reads, under limits and in constant memory.
//!
//! A piece is kept as it came, unpacked to unnamed temporary files that vanish with their handle ([`unpack`]), its
//! digest checked ([`digest`]), and decoded while it is read ([`text`]). Nothing is ever written under a name that
//! came out of a file.

pub mod digest;
pub mod text;
pub mod unpack;
mod zipped;

#[cfg(test)]
mod tests;

/// What a bill may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Bytes of one download.
    pub download_bytes: u64,
    /// Bytes of all files of a bill, unpacked.
    pub unpacked_bytes: u64,
    /// How many bytes one packed byte may become, after the first MiB.
    pub ratio: u64,
    /// Files in a zip.
    pub entries: usize,
    /// Bytes of a line of text.
    pub line_bytes: usize,
}

impl FileLimits {
    /// Room for a bill of ten million rows: 1 GiB as it comes, 2 GiB unpacked, 200:1, 64 files, lines of 64 KiB.
    pub const USUAL: FileLimits = FileLimits {
        download_bytes: 1 << 30,
        unpacked_bytes: 2 << 30,
        ratio: 200,
        entries: 64,
        line_bytes: 64 << 10,
    };
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What came is not what was promised, or more than a bill may be. For people, and final.
    #[error("{0}")]
    Bad(String),
    /// Our own disk.
    #[error("the disk: {0}")]
    Disk(std::io::Error),
}

impl FileError {
    pub(crate) fn bad(reason: impl Into<String>) -> FileError {
        FileError::Bad(reason.into())
    }
}
