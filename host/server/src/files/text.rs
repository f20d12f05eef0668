//! Decoding a bill's text while a plugin reads it.
//!
//! Bytes that are not of the charset become U+FFFD and their lines are noted: the row may be sound all the same, since
//! most columns are free text, and a line must never lose the rest of the file. The note lies beside the bill's bad
//! lines. So many of them that it must be another charset refuse the file.

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use encoding_rs::{Decoder, DecoderResult, Encoding};
use tollgate_plugin::BillSource;

use super::unpack::Member;
use super::{FileError, FileLimits};

const PIECE: usize = 64 << 10;

/// A few damaged lines are damage; more of them are another charset.
const MOST_DAMAGED: usize = 1000;

/// The lines that had bytes which are not of the charset.
#[derive(Clone, Default)]
pub struct Damage(Arc<Mutex<Vec<u64>>>);

impl Damage {
    /// Their numbers, counted from 1.
    pub fn lines(&self) -> Vec<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes a line. False: there are too many.
    fn note(&self, line: u64) -> bool {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.last() != Some(&line) {
            lines.push(line);
        }
        lines.len() <= MOST_DAMAGED
    }
}

/// A file as a plugin reads it.
pub struct TextSource {
    file: File,
    charset: String,
    /// None: bytes as they are.
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    /// How much of `raw` is decoded.
    used: usize,
    ready: Vec<u8>,
    /// How much of `ready` is handed out.
    given: usize,
    ended: bool,
    line: u64,
    line_bytes: usize,
    longest: usize,
    damage: Damage,
}

impl TextSource {
    /// Of a bill kind's charset: a label such as `gbk` or `utf-8` (WHATWG Encoding), or `bytes`. A byte order mark of
    /// UTF-8 outranks the label, and is taken off.
    ///
    /// # Errors
    /// `Bad` for a charset that we do not know.
    pub fn new(
        member: Member,
        charset: &str,
        limits: &FileLimits,
    ) -> Result<TextSource, FileError> {
        let decoder = match charset {
            "bytes" => None,
            label => match Encoding::for_label(label.as_bytes()) {
                Some(encoding) => Some(encoding.new_decoder()),
                None => return Err(FileError::bad(format!("unknown charset {label:?}"))),
            },
        };
        Ok(TextSource {
            file: member.file,
            charset: charset.to_owned(),
            decoder,
            raw: Vec::new(),
            used: 0,
            ready: Vec::with_capacity(PIECE),
            given: 0,
            ended: false,
            line: 1,
            line_bytes: 0,
            longest: limits.line_bytes,
            damage: Damage::default(),
        })
    }

    /// Where damaged lines are noted; to be kept by who hands the source away.
    pub fn damage(&self) -> Damage {
        self.damage.clone()
    }

    /// Makes more text ready, unless the file has ended.
    fn fill(&mut self) -> Result<(), String> {
        self.ready.clear();
        self.given = 0;
        while self.ready.is_empty() && !self.ended {
            if self.used == self.raw.len() {
                self.raw.resize(PIECE, 0);
                let length =
                    self.file.read(&mut self.raw).map_err(|error| format!("the disk: {error}"))?;
                self.raw.truncate(length);
                self.used = 0;
            }
            let is_last = self.raw.is_empty();
            match self.decoder.take() {
                Some(mut decoder) => {
                    let decoded = self.decode(&mut decoder, is_last);
                    self.decoder = Some(decoder);
                    decoded?;
                }
                None => {
                    self.ready.extend_from_slice(&self.raw);
                    self.used = self.raw.len();
                    self.ended = is_last;
                }
            }
        }
        Ok(())
    }

    /// Decodes what was read, as far as there is room.
    fn decode(&mut self, decoder: &mut Decoder, is_last: bool) -> Result<(), String> {
        let mut text = [0; 8 << 10];
        loop {
            let source = &self.raw[self.used..];
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(source, &mut text, is_last);
            self.used += read;
            self.count(&text[..written])?;
            self.ready.extend_from_slice(&text[..written]);
            match result {
                DecoderResult::OutputFull => {}
                DecoderResult::InputEmpty => {
                    self.ended = is_last;
                    return Ok(());
                }
                DecoderResult::Malformed(_, _) => {
                    self.ready.extend_from_slice("\u{fffd}".as_bytes());
                    if !self.damage.note(self.line) {
                        return Err(format!("the file is not {}", self.charset));
                    }
                }
            }
        }
    }

    fn count(&mut self, text: &[u8]) -> Result<(), String> {
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            self.line_bytes += piece.len();
            if self.line_bytes > self.longest {
                return Err(format!("line {} is longer than {} bytes", self.line, self.longest));
            }
            if piece.ends_with(b"\n") {
                self.line += 1;
                self.line_bytes = 0;
            }
        }
        Ok(())
    }
}

impl BillSource for TextSource {
    fn read(&mut self, max: u32) -> Result<Vec<u8>, String> {
        if self.given == self.ready.len() {
            self.fill()?;
        }
        let most = usize::try_from(max).unwrap_or(usize::MAX).max(1);
        let end = self.ready.len().min(self.given.saturating_add(most));
        let piece = self.ready[self.given..end].to_vec();
        self.given = end;
        Ok(piece)
    }
}
