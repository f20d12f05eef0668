//! A zip writer that streams: entry names are raw bytes, sizes follow each entry's data.
//!
//! Providers name entries in GBK without saying so, which common writers refuse to do.
use std::io::{self, Write};

use flate2::{Compression, Crc, write::DeflateEncoder};

/// Sizes and checksum come after the data.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const DEFLATED: u16 = 8;
/// 1980-01-01, the first day that the format can tell.
const DOS_DATE: u16 = 0x21;

#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    crc: u32,
    packed: u32,
    unpacked: u32,
    offset: u32,
}

/// Writes one archive into `out`, front to back.
#[derive(Debug)]
pub struct ZipStream<W: Write> {
    out: Counter<W>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Counter<W: Write> {
    out: W,
    written: u64,
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Where an entry's plain bytes go.
pub struct EntryWriter<'a, W: Write> {
    deflate: DeflateEncoder<&'a mut Counter<W>>,
    crc: Crc,
    unpacked: u64,
}

impl<W: Write> Write for EntryWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.deflate.write(bytes)?;
        self.crc.update(&bytes[..count]);
        self.unpacked += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.deflate.flush()
    }
}

impl<W: Write> ZipStream<W> {
    /// An archive without entries.
    pub fn new(out: W) -> ZipStream<W> {
        ZipStream { out: Counter { out, written: 0 }, entries: Vec::new() }
    }

    /// Writes one entry; `fill` gives its plain bytes.
    pub fn entry(
        &mut self,
        name: &[u8],
        fill: impl FnOnce(&mut EntryWriter<'_, W>) -> io::Result<()>,
    ) -> io::Result<()> {
        let offset = small(self.out.written)?;
        let mut head = Vec::new();
        head.extend_from_slice(b"PK\x03\x04");
        common(&mut head, (0, 0, 0), name.len())?;
        head.extend_from_slice(&0_u16.to_le_bytes());
        head.extend_from_slice(name);
        self.out.write_all(&head)?;
        let start = self.out.written;
        let (crc, unpacked) = deflate(&mut self.out, fill)?;
        let packed = small(self.out.written - start)?;
        let mut tail = b"PK\x07\x08".to_vec();
        for number in [crc, packed, unpacked] {
            tail.extend_from_slice(&number.to_le_bytes());
        }
        self.out.write_all(&tail)?;
        self.entries.push(Entry { name: name.to_vec(), crc, packed, unpacked, offset });
        Ok(())
    }

    /// Writes the directory and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        let start = self.out.written;
        for entry in &self.entries {
            let mut head = b"PK\x01\x02".to_vec();
            head.extend_from_slice(&20_u16.to_le_bytes());
            common(&mut head, (entry.crc, entry.packed, entry.unpacked), entry.name.len())?;
            // No extra field, comment, disk or attributes.
            head.extend_from_slice(&[0; 12]);
            head.extend_from_slice(&entry.offset.to_le_bytes());
            head.extend_from_slice(&entry.name);
            self.out.write_all(&head)?;
        }
        let length = small(self.out.written - start)?;
        let count = u16::try_from(self.entries.len()).map_err(io::Error::other)?;
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend_from_slice(&count.to_le_bytes());
        end.extend_from_slice(&count.to_le_bytes());
        end.extend_from_slice(&length.to_le_bytes());
        end.extend_from_slice(&small(start)?.to_le_bytes());
        end.extend_from_slice(&[0, 0]);
        self.out.write_all(&end)?;
        self.out.flush()?;
        Ok(self.out.out)
    }
}

/// Packs what `fill` gives; tells the checksum and the plain size.
fn deflate<W: Write>(
    out: &mut Counter<W>,
    fill: impl FnOnce(&mut EntryWriter<'_, W>) -> io::Result<()>,
) -> io::Result<(u32, u32)> {
    let deflate = DeflateEncoder::new(out, Compression::fast());
    let mut writer = EntryWriter { deflate, crc: Crc::new(), unpacked: 0 };
    fill(&mut writer)?;
    let EntryWriter { deflate, crc, unpacked } = writer;
    deflate.finish()?;
    Ok((crc.sum(), small(unpacked)?))
}

/// The part that an entry's head and its directory line share, up to the name's length.
fn common(head: &mut Vec<u8>, sums: (u32, u32, u32), name_length: usize) -> io::Result<()> {
    for number in [20, FLAG_DESCRIPTOR, DEFLATED, 0, DOS_DATE] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    for number in [sums.0, sums.1, sums.2] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    let length = u16::try_from(name_length).map_err(io::Error::other)?;
    head.extend_from_slice(&length.to_le_bytes());
    Ok(())
}

fn small(size: u64) -> io::Result<u32> {
    u32::try_from(size).map_err(|_| io::Error::other("the archive is over 4 GiB"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn a_common_reader_reads_what_is_written() {
        let mut archive = ZipStream::new(Vec::new());
        let name = [b'a', 0xd2, 0xb5]; // GBK, not UTF-8
        archive.entry(&name, |out| out.write_all(&vec![b'x'; 100_000])).unwrap();
        archive.entry(b"empty", |_| Ok(())).unwrap();
        let bytes = archive.finish().unwrap();
        let mut read = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(read.len(), 2);
        let mut first = read.by_index(0).unwrap();
        assert_eq!(first.name_raw(), name);
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 100_000);
        drop(first);
        assert_eq!(read.by_index(1).unwrap().size(), 0);
    }
}
