//! Files as providers and attackers make them.

use std::io::{Cursor, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::GBK;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tempfile::TempDir;
use tollgate_plugin::BillSource;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::text::TextSource;
use super::unpack::{Member, Packed, Unpacker};
use super::{FileError, FileLimits};

const SMALL: FileLimits = FileLimits {
    download_bytes: 1 << 20,
    unpacked_bytes: 8 << 20,
    ratio: 200,
    entries: 4,
    line_bytes: 64,
};

fn open(
    bytes: &[u8],
    unpack: &[&str],
    digest: Option<(&str, &str)>,
    charset: &str,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let scratch = TempDir::new().unwrap();
    let path = scratch.path().join("piece");
    std::fs::write(&path, bytes).unwrap();
    let unpack: Vec<String> = unpack.iter().map(|step| (*step).to_owned()).collect();
    let packed = Packed { path: &path, name: "bill", unpack: &unpack, digest, charset };
    let members = Unpacker::new(SMALL, scratch.path()).open(&packed).map_err(|error| match error {
        FileError::Bad(reason) => reason,
        FileError::Disk(error) => panic!("{error}"),
    });
    let left = std::fs::read_dir(scratch.path()).unwrap().count();
    assert_eq!(left, 1, "nothing but the piece stays on the disk");
    Ok(members?.into_iter().map(content).collect())
}

fn content(mut member: Member) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    member.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, member.bytes);
    (member.name, bytes)
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A zip whose only file has this name, byte for byte, in both places, without the flag of UTF-8.
fn zip_named(name: &[u8], bytes: &[u8]) -> Vec<u8> {
    let stand_in = "x".repeat(name.len());
    let mut zip = zip(&[(&stand_in, bytes)]);
    let places: Vec<usize> = zip
        .windows(stand_in.len())
        .enumerate()
        .filter(|(_, window)| *window == stand_in.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(places.len(), 2);
    for at in places {
        zip[at..at + name.len()].copy_from_slice(name);
    }
    zip
}

fn refused(found: Result<Vec<(String, Vec<u8>)>, String>, words: &str) {
    let reason = found.unwrap_err();
    assert!(reason.contains(words), "{reason}");
}

#[test]
fn each_step_is_undone_in_its_order() {
    let text = b"line 1\nline 2\n".as_slice();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(text).unwrap();
    let zlib = zlib.finish().unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut packed_zip = ZlibEncoder::new(Vec::new(), Compression::default());
    packed_zip.write_all(&zip(&[("a.csv", text)])).unwrap();
    let mut base64 = STANDARD.encode(packed_zip.finish().unwrap());
    base64.insert_str(10, "\r\n");

    let whole = vec![("bill".to_owned(), text.to_vec())];
    assert_eq!(open(text, &[], None, "gbk"), Ok(whole.clone()));
    assert_eq!(open(&zlib, &["zlib"], None, "gbk"), Ok(whole.clone()));
    assert_eq!(open(&gzip, &["gzip"], None, "gbk"), Ok(whole.clone()));
    let member = vec![("a.csv".to_owned(), text.to_vec())];
    assert_eq!(open(base64.as_bytes(), &["base64", "zlib", "zip"], None, "gbk"), Ok(member));
    refused(open(text, &["rar"], None, "gbk"), "unpack \"rar\"");
    refused(open(&zip(&[]), &["zip", "gzip"], None, "gbk"), "unpack \"zip\"");
}

#[test]
fn what_is_cut_or_damaged_is_refused() {
    let text: Vec<u8> = (0..5_000u32).flat_map(|n| n.to_le_bytes()).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&text).unwrap();
    let gzip = gzip.finish().unwrap();
    refused(open(&gzip[..gzip.len() / 2], &["gzip"], None, "gbk"), "cannot be unpacked");
    refused(open(&gzip[..gzip.len() - 2], &["gzip"], None, "gbk"), "cannot be unpacked");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&text).unwrap();
    let zlib = zlib.finish().unwrap();
    refused(open(&zlib[..zlib.len() / 2], &["zlib"], None, "gbk"), "cannot be unpacked");
    refused(open(&zlib[..zlib.len() - 1], &["zlib"], None, "gbk"), "cannot be unpacked");
    refused(open(b"!!!", &["base64"], None, "gbk"), "cannot be unpacked");
    let whole = zip(&[("a.csv", &text)]);
    refused(open(&whole[..whole.len() / 2], &["zip"], None, "gbk"), "its end is missing");
    refused(open(&whole[whole.len() / 2..], &["zip"], None, "gbk"), "");
    refused(open(b"", &["zip"], None, "gbk"), "not a zip");
    refused(open(&zip(&[]), &["zip"], None, "gbk"), "the zip is empty");
    let mut damaged = whole.clone();
    damaged[60] ^= 0x55;
    refused(open(&damaged, &["zip"], None, "gbk"), "cannot be unpacked");
    let page = b"\r\n<!DOCTYPE html><html>Sign in</html>";
    refused(open(page, &["zip"], None, "gbk"), "a web page came in its place");
}

#[test]
fn a_digest_is_of_the_bytes_before_a_zip_is_opened() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"abc").unwrap();
    let gzip = gzip.finish().unwrap();
    let sha1 = "A9993E364706816ABA3E25717850C26C9CD0D89D";
    assert!(open(&gzip, &["gzip"], Some(("SHA1", sha1)), "gbk").is_ok());
    assert!(open(b"abc", &[], Some(("SHA1", sha1)), "gbk").is_ok());
    refused(open(b"abd", &[], Some(("SHA1", sha1)), "gbk"), "the provider states A9993E");
    refused(open(b"abc", &[], Some(("crc32", sha1)), "gbk"), "unknown digest");
}

#[test]
fn names_in_gbk_are_read_without_the_flag() {
    let (name, _, _) = GBK.encode("2088_20261121_业务明细(汇总).csv");
    let found = open(&zip_named(&name, b"1"), &["zip"], None, "gbk").unwrap();
    assert_eq!(found[0].0, "2088_20261121_业务明细(汇总).csv");
    // Two characters of GBK that would be sound UTF-8 as well.
    let (name, _, _) = GBK.encode("联通");
    assert_eq!(open(&zip_named(&name, b"1"), &["zip"], None, "gbk").unwrap()[0].0, "联通");
    let flagged = zip(&[("业务明细.csv", b"1")]);
    assert_eq!(open(&flagged, &["zip"], None, "gbk").unwrap()[0].0, "业务明细.csv");
}

#[test]
fn names_that_could_climb_are_refused() {
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\boot.ini",
        "C:\\x.csv",
        "a/b.csv",
        "..",
        "a\nb",
        "dir/",
    ] {
        refused(open(&zip_named(name.as_bytes(), b"1"), &["zip"], None, "gbk"), "zip");
    }
}

#[test]
fn what_is_no_plain_file_is_refused() {
    let mut linked = ZipWriter::new(Cursor::new(Vec::new()));
    linked.add_symlink("a.csv", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    refused(open(&linked.finish().unwrap().into_inner(), &["zip"], None, "gbk"), "is no file");
    let mut encrypted = zip(&[("a.csv", b"secret")]);
    let entry = encrypted.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    encrypted[entry + 8] |= 1;
    encrypted[6] |= 1;
    refused(open(&encrypted, &["zip"], None, "gbk"), "encrypted");
    let five: Vec<(String, &[u8])> =
        (0..5).map(|n| (format!("{n}.csv"), b"1".as_slice())).collect();
    let five: Vec<(&str, &[u8])> =
        five.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    refused(open(&zip(&five), &["zip"], None, "gbk"), "more than 4 files");
    assert_eq!(open(&zip(&five[..4]), &["zip"], None, "gbk").unwrap().len(), 4);
}

#[test]
fn bombs_are_stopped_by_ratio_and_by_size() {
    let zeros = vec![0u8; 4 << 20];
    refused(open(&zip(&[("a.csv", &zeros)]), &["zip"], None, "gbk"), "more than 200 times");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&zeros).unwrap();
    refused(open(&gzip.finish().unwrap(), &["gzip"], None, "gbk"), "more than 200 times");
    // Up to a MiB even nothing but zeros is fine: a short day's bill packs well.
    assert!(open(&zip(&[("a.csv", &zeros[..1 << 20])]), &["zip"], None, "gbk").is_ok());
    // Half random, so that the ratio holds: the sum does not.
    let mut state = 1u64;
    let noise: Vec<u8> = (0..3 << 20)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .collect();
    let three = [("a", noise.as_slice()), ("b", noise.as_slice()), ("c", noise.as_slice())];
    refused(open(&zip(&three), &["zip"], None, "gbk"), "more than 8388608 bytes");
    assert!(open(&zip(&three[..2]), &["zip"], None, "gbk").is_ok());
}

#[test]
fn what_a_zip_says_of_itself_is_not_believed() {
    // An entry that claims to be packed into gigabytes, so that it may unpack to far more.
    let mut bomb = zip(&[("a.csv", &vec![0u8; 4 << 20])]);
    let entry = bomb.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    bomb[entry + 20..entry + 24].copy_from_slice(&0xf000_0000u32.to_le_bytes());
    refused(open(&bomb, &["zip"], None, "gbk"), "more than 200 times");
}

/// All text that a plugin would read, asking for so many bytes at a time, and the damaged lines.
fn read(bytes: &[u8], charset: &str, max: u32) -> Result<(Vec<u8>, Vec<u64>), String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let member = Member { name: "bill".to_owned(), file, bytes: bytes.len() as u64 };
    let mut source = TextSource::new(member, charset, &SMALL).map_err(|error| error.to_string())?;
    let damage = source.damage();
    let mut text = Vec::new();
    loop {
        let piece = source.read(max)?;
        assert!(piece.len() <= max as usize);
        if piece.is_empty() {
            assert!(source.read(max)?.is_empty(), "the end stays the end");
            return Ok((text, damage.lines()));
        }
        text.extend_from_slice(&piece);
    }
}

#[test]
fn text_is_decoded_whatever_the_pieces() {
    let text: String = (0..9_000).map(|n| format!("{n},交易,津水€\r\n")).collect();
    let (gbk, _, _) = GBK.encode(&text);
    for max in [1, 7, 4_096, 1 << 20] {
        assert_eq!(read(&gbk, "gbk", max), Ok((text.clone().into_bytes(), vec![])), "{max}");
    }
    assert_eq!(read(&gbk, "gb18030", 4_096).unwrap().0, text.as_bytes());
    let marked = [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
    assert_eq!(read(&marked, "utf-8", 4_096).unwrap().0, text.as_bytes());
    assert_eq!(
        read(&marked, "gbk", 4_096).unwrap().0,
        text.as_bytes(),
        "the mark outranks the label"
    );
    assert_eq!(read(&gbk, "bytes", 4_096).unwrap().0, gbk.as_ref());
    assert_eq!(read(b"", "gbk", 4_096), Ok((vec![], vec![])));
    assert!(read(b"", "klingon", 4_096).unwrap_err().contains("unknown charset"));
}

#[test]
fn a_damaged_line_is_noted_and_loses_nothing_else() {
    let (text, lines) = read(b"good\nb\xffd\n\xff\xff\ngood", "gbk", 3).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), "good\nb\u{fffd}d\n\u{fffd}\u{fffd}\ngood");
    assert_eq!(lines, [2, 3]);
    let (text, lines) = read(b"cut\n\xd6", "gbk", 3).unwrap();
    assert_eq!((String::from_utf8(text).unwrap(), lines), ("cut\n\u{fffd}".to_owned(), vec![2]));
    let damaged: Vec<u8> = b"\xff\n".repeat(1_001);
    assert_eq!(read(&damaged, "gbk", 4_096), Err("the file is not gbk".to_owned()));
}

#[test]
fn a_line_without_an_end_is_refused() {
    let lines = format!("{}\n{}\n", "a".repeat(63), "b".repeat(63));
    assert!(read(lines.as_bytes(), "utf-8", 4_096).is_ok());
    let endless = format!("a\n{}", "b".repeat(100_000));
    assert_eq!(
        read(endless.as_bytes(), "utf-8", 4_096),
        Err("line 2 is longer than 64 bytes".to_owned())
    );
}
