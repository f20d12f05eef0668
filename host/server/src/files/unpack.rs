//! Unpacking a piece of a bill: base64, zlib, gzip, then zip, each no further than the limits go.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};

use super::digest::Stated;
use super::{FileError, FileLimits, zipped};

/// Bytes that are moved at a time.
const PIECE: usize = 64 << 10;

/// Bytes that may come out of however little.
const FREE_OF_RATIO: u64 = 1 << 20;

/// A piece as it came, and what is to be done with it.
pub struct Packed<'a> {
    /// Where it lies.
    pub path: &'a Path,
    /// What the plugin calls it.
    pub name: &'a str,
    /// `base64`, `zlib`, `gzip`, `zip`, in the order in which they are undone.
    pub unpack: &'a [String],
    /// Algorithm and hexadecimal, of the bytes before a zip is opened.
    pub digest: Option<(&'a str, &'a str)>,
    /// What names in a zip are written in, where the zip does not say.
    pub charset: &'a str,
}

/// A file of text, unpacked. It has no name on the disk, and is gone when it is closed.
#[derive(Debug)]
pub struct Member {
    /// Its name: in the zip, or the piece's.
    pub name: String,
    /// Its bytes, from the start.
    pub file: File,
    /// How many.
    pub bytes: u64,
}

/// Unpacks the pieces of one bill.
pub struct Unpacker {
    limits: FileLimits,
    scratch: PathBuf,
    spent: u64,
}

impl Unpacker {
    /// With a folder for what is unpacked.
    pub fn new(limits: FileLimits, scratch: &Path) -> Unpacker {
        Unpacker { limits, scratch: scratch.to_owned(), spent: 0 }
    }

    /// Unpacks a piece into the files that it holds. Blocks.
    ///
    /// # Errors
    /// `Bad` with the reason, for people.
    pub fn open(&mut self, packed: &Packed<'_>) -> Result<Vec<Member>, FileError> {
        let (streamed, is_zip) = match packed.unpack.split_last() {
            Some((last, before)) if last == "zip" => (before, true),
            _ => (packed.unpack, false),
        };
        let plain = self.plain(packed, streamed)?;
        if is_zip {
            return zipped::members(self, plain, packed.charset);
        }
        Ok(vec![plain])
    }

    /// Undoes everything but a zip, and checks the digest of what comes out.
    fn plain(&mut self, packed: &Packed<'_>, steps: &[String]) -> Result<Member, FileError> {
        let raw = File::open(packed.path).map_err(FileError::Disk)?;
        let size = raw.metadata().map_err(FileError::Disk)?.len();
        let mut stated = match packed.digest {
            Some((algorithm, hex)) => Some(Stated::new(algorithm, hex)?),
            None => None,
        };
        let mut source: Box<dyn Read> = Box::new(BufReader::with_capacity(PIECE, raw));
        for step in steps {
            let inner = BufReader::with_capacity(PIECE, source);
            source = match step.as_str() {
                "base64" => Box::new(DecoderReader::new(WithoutSpace(inner), &STANDARD)),
                "zlib" => Box::new(ZlibDecoder::new(inner)),
                "gzip" => Box::new(MultiGzDecoder::new(inner)),
                other => {
                    return Err(FileError::bad(format!("the plugin wants to unpack {other:?}")));
                }
            };
        }
        let mut note = |bytes: &[u8]| {
            if let Some(stated) = &mut stated {
                stated.update(bytes);
            }
        };
        let what = steps.last().map_or("the file", String::as_str);
        let member = if steps.is_empty() {
            drain(source, &mut note).map_err(FileError::Disk)?;
            let file = File::open(packed.path).map_err(FileError::Disk)?;
            Member { name: packed.name.to_owned(), file, bytes: size }
        } else {
            self.copy(packed.name, what, source, size, &mut note)?
        };
        if let Some(stated) = stated {
            stated.check()?;
        }
        Ok(member)
    }

    /// Copies what comes out of `source`, of which `packed` bytes went in, as long as limits allow it.
    pub(super) fn copy(
        &mut self,
        name: &str,
        what: &str,
        mut source: impl Read,
        packed: u64,
        note: &mut dyn FnMut(&[u8]),
    ) -> Result<Member, FileError> {
        let mut file = tempfile::tempfile_in(&self.scratch).map_err(FileError::Disk)?;
        let most = packed.saturating_mul(self.limits.ratio).max(FREE_OF_RATIO);
        let mut bytes = 0u64;
        let mut piece = vec![0; PIECE];
        loop {
            let length = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(FileError::bad(format!("{what} cannot be unpacked: {error}")));
                }
            };
            bytes += length as u64;
            self.spent += length as u64;
            if bytes > most {
                let ratio = self.limits.ratio;
                return Err(FileError::bad(format!(
                    "{what} unpacks to more than {ratio} times its size"
                )));
            }
            if self.spent > self.limits.unpacked_bytes {
                let most = self.limits.unpacked_bytes;
                return Err(FileError::bad(format!("the bill unpacks to more than {most} bytes")));
            }
            note(&piece[..length]);
            file.write_all(&piece[..length]).map_err(FileError::Disk)?;
        }
        file.seek(SeekFrom::Start(0)).map_err(FileError::Disk)?;
        Ok(Member { name: name.to_owned(), file, bytes })
    }

    pub(super) fn limits(&self) -> FileLimits {
        self.limits
    }
}

fn drain(mut source: impl Read, note: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => note(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Base64 is broken into lines by some.
struct WithoutSpace<R>(R);

impl<R: Read> Read for WithoutSpace<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.0.read(into)?;
            let mut kept = 0;
            for at in 0..length {
                if !into[at].is_ascii_whitespace() {
                    into[kept] = into[at];
                    kept += 1;
                }
            }
            if kept > 0 || length == 0 {
                return Ok(kept);
            }
        }
    }
}
