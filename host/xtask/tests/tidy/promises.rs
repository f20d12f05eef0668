//! What the pages of guarantees and faults name as proof is there, and a mutation can be made.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{SourceFile, assert_none, files, root};

/// Pages that name tests as proof.
const PAGES: [&str; 2] = ["host/GUARANTEES.md", "tests/FAULTS.md"];

#[test]
fn every_proof_that_is_named_is_there() {
    let files = files();
    let tests: BTreeSet<&str> =
        files.iter().filter(|file| file.is_rust()).flat_map(tests).collect();
    let plan = files.iter().find(|file| file.path == "tests/simulation/plan.rs").unwrap();
    let mut broken = Vec::new();
    for page in PAGES {
        let page = files.iter().find(|file| file.path == page).unwrap();
        let named = proofs(page);
        assert!(named.len() > 10, "{} names no proofs", page.path);
        for name in named {
            let there = match name.strip_prefix("plan.") {
                Some(rate) => plan.text.contains(&format!("pub {rate}: ")),
                None if name.ends_with(".patch") => {
                    files.iter().any(|file| file.path == format!("tests/mutations/{name}"))
                }
                None => tests.contains(name),
            };
            if !there {
                broken.push(format!("{}: {name}", page.path));
            }
        }
    }
    assert_none(&broken, "a promise without its proof is none; name the test that shows it:");
}

#[test]
fn every_mutation_follows_the_code() {
    let files = files();
    let is_mutation = |file: &&SourceFile| {
        file.path.starts_with("tests/mutations/") && file.path.ends_with(".patch")
    };
    let patches: Vec<&str> =
        files.iter().filter(is_mutation).map(|file| file.path.as_str()).collect();
    assert!(patches.len() > 3, "the mutations were not found");
    let applies = |patch: &&str| {
        let mut git = Command::new("git");
        git.args(["apply", "--check", patch]).current_dir(root());
        git.status().unwrap().success()
    };
    let broken: Vec<String> =
        patches.iter().filter(|patch| !applies(patch)).map(|patch| (*patch).to_owned()).collect();
    assert_none(&broken, "a mutation that does not apply proves nothing; make it anew:");
}

/// Functions right below a test's attribute.
fn tests(file: &SourceFile) -> Vec<&str> {
    let mut names = Vec::new();
    let mut below = false;
    for line in file.text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            below = true;
        } else if let Some((_, name)) = line.split_once("fn ").filter(|_| below) {
            names.extend(name.split(['(', '<']).next());
            below = false;
        }
    }
    names
}

/// What stands between backticks and reads like a test, a rate of the simulation's plan, or a mutation.
fn proofs(page: &SourceFile) -> Vec<&str> {
    let spans = page.text.split('`').skip(1).step_by(2);
    spans
        .filter(|span| {
            let word = span.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte)
            });
            word && (span.starts_with("plan.")
                || span.ends_with(".patch")
                || span.matches('_').count() >= 3)
        })
        .collect()
}
