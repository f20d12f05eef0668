//! Rules on single files: headers, sizes, words.

use crate::{SourceFile, assert_none, files, is_this_test, paths};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 75;
/// A table of cases is data, and is best read in one piece.
const TEST_LINES_MAX: usize = 100;

/// What the root may hold: the parts of the product, and what tools look for there.
const TOP_LEVEL: [&str; 17] = [
    ".cargo",
    ".ci",
    ".gitattributes",
    ".gitignore",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "host",
    "migrations",
    "plugins",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "wit",
];

/// Words that stand for unfinished work, and what to do in their place.
const UNFINISHED: [(&str, &str); 7] = [
    ("todo!", "write it, or refuse with a named error"),
    ("unimplemented!", "write it, or refuse with a named error"),
    ("dbg!", "use a tracing event"),
    ("#[ignore", "a test runs or does not exist"),
    ("FIXME", "mend it"),
    ("// XXX", "say what is wrong, or mend it"),
    ("// TODO", "do it"),
];

#[test]
fn the_root_holds_only_what_belongs_there() {
    let mut entries: Vec<String> =
        paths().iter().filter_map(|path| path.split('/').next().map(str::to_owned)).collect();
    entries.dedup();
    entries.retain(|entry| entry != "examples" && !TOP_LEVEL.contains(&entry.as_str()));
    assert_none(&entries, "these belong into a folder of the layout in host/ARCHITECTURE.md:");
}

#[test]
fn every_rust_file_says_what_lives_there() {
    let silent = |file: &SourceFile| file.is_rust() && !file.text.starts_with("//! ");
    let broken: Vec<String> = files().into_iter().filter(silent).map(|file| file.path).collect();
    assert_none(&broken, "start these files with a `//!` line:");
}

#[test]
fn files_are_short() {
    let broken: Vec<String> = files()
        .iter()
        .filter(|file| file.is_rust() || file.path.ends_with(".mjs"))
        .filter(|file| file.text.lines().count() > FILE_LINES_MAX)
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    assert_none(&broken, &format!("split these files, {FILE_LINES_MAX} lines are the most:"));
}

#[test]
fn functions_are_short() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        let in_test = file.path.contains("tests");
        let max = if in_test { TEST_LINES_MAX } else { FUNCTION_LINES_MAX };
        let long = functions(&file.text).into_iter().filter(|(_, _, n)| *n > max);
        broken
            .extend(long.map(|(name, line, n)| format!("{}:{line} {name}: {n} lines", file.path)));
    }
    assert_none(
        &broken,
        &format!("split these functions, {FUNCTION_LINES_MAX} lines are the most:"),
    );
}

/// Name, first line and number of lines of each function of formatted source: the closing brace stands as far in as `fn`.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let is_end = |line: &&str| {
            line.trim_end() == closing || line.ends_with(';') && !line.contains("let")
        };
        let has_body = |line: &str| line.ends_with('{') || line.trim() == "{";
        let opening = lines[start..]
            .iter()
            .position(|line| has_body(line) || line.contains("{ ") || is_end(line));
        let Some(opening) = opening else { continue };
        if !has_body(lines[start + opening]) {
            continue;
        }
        let length = lines[start + opening..].iter().position(|line| line.trim_end() == closing);
        if let Some(length) = length {
            found.push((name.to_owned(), start + 1, opening + length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "async", "const", "unsafe", "extern", "\"C\""];
    let all_known = before.split_whitespace().all(|word| words.contains(&word));
    let end = after.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    (all_known && end > 0).then(|| &after[..end])
}

#[test]
fn a_function_is_measured_from_its_name_to_its_brace() {
    let text = "impl A {\n    fn one(\n        a: u8,\n    ) {\n        if a {\n        }\n    }\n    fn two(&self);\n}\npub async fn three() {\n}\n";
    let measured: Vec<_> =
        functions(text).into_iter().map(|(name, _, lines)| (name, lines)).collect();
    assert_eq!(measured, [("one".to_owned(), 6), ("three".to_owned(), 2)]);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| file.is_rust() && !is_this_test(file)) {
        for (word, advice) in UNFINISHED {
            broken.extend(hits(file, word).map(|hit| format!("{hit}: {word}: {advice}")));
        }
    }
    assert_none(&broken, "unfinished work:");
}

#[test]
fn nothing_names_this_machine_or_a_registry() {
    let folders = ["/work/", "/home/", "/root/", "/Users/"];
    let hosts =
        ["registry.npmjs.org", "static.crates.io", "index.crates.io", "pypi.org", "deb.debian.org"];
    let mut broken = Vec::new();
    for file in files().iter().filter(|file| !is_this_test(file)) {
        for word in folders.iter().chain(&hosts) {
            broken.extend(hits(file, word).map(|hit| format!("{hit}: {word}")));
        }
    }
    assert_none(&broken, "a checkout elsewhere has neither these folders nor these hosts:");
}

/// `path:line` of each line that holds a word.
pub fn hits<'a>(file: &'a SourceFile, word: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = file.text.lines().enumerate();
    lines
        .filter(move |(_, line)| line.contains(word))
        .map(|(at, _)| format!("{}:{}", file.path, at + 1))
}
