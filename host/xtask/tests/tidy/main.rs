//! What no compiler checks: how files look, which part may name which, and what the product may stand on.
//!
//! Each rule reads the files that git knows or would take, and lists everything that breaks it with a word on what to do.

#![allow(clippy::unwrap_used)]

mod boundaries;
mod dependencies;
mod migrations;
mod promises;
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the checkout with its text. Files that are not UTF-8 (keys, archives) have none and are not here.
struct SourceFile {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The paths that git tracks, or would if they were added.
fn paths() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files failed: the tidy test reads a checkout");
    let paths = String::from_utf8(output.stdout).unwrap();
    let paths: Vec<String> = paths.split_terminator('\0').map(str::to_owned).collect();
    assert!(!paths.is_empty(), "git knows no files");
    paths
}

fn files() -> Vec<SourceFile> {
    let root = root();
    let read = |path: String| {
        let text = std::fs::read_to_string(root.join(&path)).ok()?;
        Some(SourceFile { path, text })
    };
    paths().into_iter().filter_map(read).collect()
}

/// The rules themselves name what they forbid.
fn is_this_test(file: &SourceFile) -> bool {
    file.path.starts_with("host/xtask/tests/tidy/")
}

fn assert_none(broken: &[String], advice: &str) {
    assert!(broken.is_empty(), "{advice}\n  {}", broken.join("\n  "));
}
