//! Lines of a bill that comes in pieces, and the cells of a line by the header's names. Memory stays flat: one piece
//! and one line are held. A line that cannot be read is reported by its number and never loses the rest of the file.

use std::borrow::Cow;

use crate::bills::BillSource;

/// Bytes asked for at a time: large enough that a crossing costs nothing, small enough to stay flat.
const PIECE: u32 = 256 * 1024;
/// Beyond this a line is not one of a bill.
const LONGEST_LINE: usize = 64 * 1024;

/// Reads lines (ended by LF or CRLF) from a source.
pub struct Lines<'a, S> {
    source: &'a S,
    buffer: Vec<u8>,
    start: usize,
    /// Everything before it in `buffer` is known to hold no line end.
    searched: usize,
    number: u64,
    ended: bool,
}

/// A line, or why it cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its text, without the line end.
    Text(&'a str),
    /// The reason.
    Bad(&'static str),
}

impl<'a, S: BillSource> Lines<'a, S> {
    /// Starts before the first line.
    pub fn new(source: &'a S) -> Self {
        Self { source, buffer: Vec::new(), start: 0, searched: 0, number: 0, ended: false }
    }

    /// The next line and its number, the first being 1; none at the end of the file.
    ///
    /// # Errors
    /// What the source says when it cannot be read.
    pub fn next_line(&mut self) -> Result<Option<(u64, Line<'_>)>, String> {
        let mut skipped = false;
        let end = loop {
            if let Some(at) = find_line_end(&self.buffer[self.searched..]) {
                break self.searched + at;
            }
            self.searched = self.buffer.len();
            if self.ended {
                if self.start == self.buffer.len() && !skipped {
                    return Ok(None);
                }
                break self.buffer.len();
            }
            if self.buffer.len() - self.start > LONGEST_LINE {
                skipped = true;
                self.start = self.buffer.len();
            }
            self.fill()?;
        };
        let line = &self.buffer[self.start..end];
        let is_too_long = skipped || line.len() > LONGEST_LINE;
        self.start = (end + 1).min(self.buffer.len());
        self.searched = self.start;
        self.number += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = match std::str::from_utf8(line) {
            _ if is_too_long => Line::Bad("a line of more than 64 KiB"),
            Ok(text) => Line::Text(text),
            Err(_) => Line::Bad("bytes that are no text"),
        };
        Ok(Some((self.number, line)))
    }

    fn fill(&mut self) -> Result<(), String> {
        let piece = self.source.read(PIECE)?;
        self.ended = piece.is_empty();
        if self.start == self.buffer.len() {
            self.buffer = piece;
        } else {
            self.buffer.drain(..self.start);
            self.buffer.extend_from_slice(&piece);
        }
        self.searched -= self.start;
        self.start = 0;
        Ok(())
    }
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// Splits a line at commas into `cells`. Quotes count only where they enclose a whole cell (RFC 4180); text that a
/// provider left unquoted stays as it is.
pub fn split<'a>(line: &'a str, cells: &mut Vec<Cow<'a, str>>) {
    cells.clear();
    if !line.contains('"') {
        cells.extend(line.split(',').map(Cow::Borrowed));
        return;
    }
    let mut rest = line;
    loop {
        let (cell, after) = match quoted(rest) {
            Some((cell, after)) => (Cow::Owned(cell), after),
            None => match rest.find(',') {
                Some(at) => (Cow::Borrowed(&rest[..at]), &rest[at..]),
                None => (Cow::Borrowed(rest), ""),
            },
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return,
        }
    }
}

/// A quoted cell at the start of `text` and what follows it, if its closing quote ends the cell.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut cell = String::new();
    loop {
        let at = rest.find('"')?;
        cell.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.bytes().next() {
            Some(b'"') => {
                cell.push('"');
                rest = &rest[1..];
            }
            None | Some(b',') => return Some((cell, rest)),
            Some(_) => return None,
        }
    }
}

/// Which cell holds which column, by the names of a header line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header(Vec<String>);

impl Header {
    /// Reads a header's cells; names lose white space around them, and full-width brackets become plain ones.
    pub fn of(cells: &[Cow<'_, str>]) -> Self {
        let plain = |c| match c {
            '\u{ff08}' => '(',
            '\u{ff09}' => ')',
            other => other,
        };
        let name = |cell: &Cow<'_, str>| clean(cell).chars().map(plain).collect();
        Self(cells.iter().map(name).collect())
    }

    /// Where the column of this name is (plain brackets).
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|column| column == name)
    }

    /// How many columns there are.
    pub fn width(&self) -> usize {
        self.0.len()
    }
}

/// A cell without the tabs, spaces and byte order mark that providers put around values.
pub fn clean(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::harness::MemorySource;
    use proptest::prelude::*;

    fn all(text: &[u8], piece: usize) -> Vec<(u64, Option<String>)> {
        let source = MemorySource::new(text.to_vec(), piece);
        let mut lines = Lines::new(&source);
        let mut out = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            out.push((
                number,
                match line {
                    Line::Text(text) => Some(text.to_owned()),
                    Line::Bad(_) => None,
                },
            ));
        }
        out
    }

    #[test]
    fn a_bad_line_loses_nothing_else() {
        let mut text = b"a\r\n\xff\xfe\nb\n".to_vec();
        text.extend(std::iter::repeat_n(b'x', 3 * LONGEST_LINE));
        text.extend(b"\nlast");
        for piece in [1000, 1_000_000] {
            let lines = all(&text, piece);
            let expected =
                [Some("a".to_owned()), None, Some("b".to_owned()), None, Some("last".to_owned())];
            assert_eq!(lines.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
            assert_eq!(lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn quotes_count_where_they_enclose_a_cell() {
        for (line, expected) in [
            ("a,b\t,", vec!["a", "b\t", ""]),
            ("\"a,b\",c", vec!["a,b", "c"]),
            ("\"a\"\"b\",c", vec!["a\"b", "c"]),
            ("5\" pipe,c", vec!["5\" pipe", "c"]),
            ("\"open,c", vec!["\"open", "c"]),
            ("\"a\"b,c", vec!["\"a\"b", "c"]),
        ] {
            let mut cells = Vec::new();
            split(line, &mut cells);
            assert_eq!(cells, expected, "{line}");
        }
    }

    #[test]
    fn header_names_are_found_in_either_width() {
        let mut cells = Vec::new();
        split("\u{feff}id ,amount\u{ff08}yuan\u{ff09},fee(yuan)\t", &mut cells);
        let header = Header::of(&cells);
        assert_eq!(header.position("id"), Some(0));
        assert_eq!(header.position("amount(yuan)"), Some(1));
        assert_eq!(header.position("fee(yuan)"), Some(2));
        assert_eq!(header.position("other"), None);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab\n\r,\"]{0,200}", piece in 1usize..20) {
            let mut expected: Vec<&str> = text.split('\n').collect();
            if expected.last() == Some(&"") {
                expected.pop();
            }
            let expected: Vec<_> = expected
                .into_iter()
                .map(|line| Some(line.strip_suffix('\r').unwrap_or(line).to_owned()))
                .collect();
            let lines: Vec<_> = all(text.as_bytes(), piece).into_iter().map(|(_, l)| l).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
