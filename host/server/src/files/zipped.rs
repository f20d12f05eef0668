//! Opening a zip that came from outside: few files, plain names, nothing hidden, nothing that explodes.

use std::io::{Read, Seek, SeekFrom};

use encoding_rs::{Encoding, UTF_8};
use zip::{HasZipMetadata, ZipArchive};

use super::FileError;
use super::unpack::{Member, Unpacker};

/// Bit 11 of an entry's flags: its name is UTF-8 (PKWARE APPNOTE 4.4.4).
const NAME_IS_UTF8: u16 = 1 << 11;

/// The record that ends a zip, and how long it is with the longest comment (APPNOTE 4.3.16).
const END: &[u8; 4] = b"PK\x05\x06";
const LONGEST_END: u64 = 22 + 65_535;

/// Unpacks each entry.
pub(super) fn members(
    unpacker: &mut Unpacker,
    mut plain: Member,
    charset: &str,
) -> Result<Vec<Member>, FileError> {
    check_end(&mut plain, unpacker.limits().entries)?;
    let bad = |error| FileError::bad(format!("not a zip that can be read: {error}"));
    let mut archive = ZipArchive::new(plain.file).map_err(bad)?;
    // The library may have found another end than the one that was looked at.
    if archive.len() > unpacker.limits().entries {
        let most = unpacker.limits().entries;
        return Err(FileError::bad(format!("the zip has more than {most} files")));
    }
    if archive.is_empty() {
        return Err(FileError::bad("the zip is empty"));
    }
    let mut names: Vec<String> = Vec::with_capacity(archive.len());
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(bad)?;
        if entry.encrypted() {
            return Err(FileError::bad("the zip has an encrypted file"));
        }
        let is_utf8 = entry.get_metadata().flags.as_u16() & NAME_IS_UTF8 != 0;
        let name = name(entry.name_raw(), is_utf8, charset)?;
        if entry.is_dir() || entry.is_symlink() {
            return Err(FileError::bad(format!("the zip's {name:?} is no file")));
        }
        if names.contains(&name) {
            return Err(FileError::bad(format!("the zip has {name:?} twice")));
        }
        names.push(name);
    }
    let mut members = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let entry = archive.by_index(at).map_err(bad)?;
        // What the entry says of itself may be more than there is.
        let packed = entry.compressed_size().min(plain.bytes);
        let what = format!("{name:?}");
        members.push(unpacker.copy(name, &what, entry, packed, &mut |_| {})?);
    }
    Ok(members)
}

/// Looks at the end before the library reads a list of entries that may be made to fill the memory.
fn check_end(plain: &mut Member, most: usize) -> Result<(), FileError> {
    let mut head = [0; 64];
    let got = plain.file.read(&mut head).map_err(FileError::Disk)?;
    let from = plain.bytes.saturating_sub(LONGEST_END);
    plain.file.seek(SeekFrom::Start(from)).map_err(FileError::Disk)?;
    let mut tail = Vec::new();
    plain.file.by_ref().take(LONGEST_END).read_to_end(&mut tail).map_err(FileError::Disk)?;
    plain.file.seek(SeekFrom::Start(0)).map_err(FileError::Disk)?;
    let Some(end) = tail.windows(END.len()).rposition(|bytes| bytes == END) else {
        let is_page = head[..got].trim_ascii_start().first() == Some(&b'<');
        let why = if is_page { "a web page came in its place" } else { "its end is missing" };
        return Err(FileError::bad(format!("not a zip: {why}")));
    };
    let count = match tail.get(end + 10..end + 12) {
        Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
        _ => return Err(FileError::bad("not a zip: its end is cut off")),
    };
    if count > most {
        return Err(FileError::bad(format!("the zip has more than {most} files")));
    }
    Ok(())
}

/// An entry's name as people read it. It is never used as a path, and one that could be misused as one is a sign of
/// somebody's bad intention: the whole file is refused.
fn name(raw: &[u8], is_utf8: bool, charset: &str) -> Result<String, FileError> {
    let encoding = match Encoding::for_label(charset.as_bytes()) {
        Some(encoding) if !is_utf8 => encoding,
        _ => UTF_8,
    };
    let (name, _) = encoding.decode_without_bom_handling(raw);
    let is_fit = !name.is_empty()
        && name.chars().count() <= 255
        && !name.contains(['/', '\\', ':'])
        && !matches!(name.as_ref(), "." | "..")
        && !name.chars().any(char::is_control);
    if is_fit {
        return Ok(name.into_owned());
    }
    let shown: String = name.chars().take(80).collect();
    Err(FileError::bad(format!("the zip names a file {shown:?}, which is no plain name")))
}
