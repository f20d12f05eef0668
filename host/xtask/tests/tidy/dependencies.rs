//! What the product stands on: sources, licences and bans, read from `Cargo.lock` and what cargo knows of each package.
//! `deny.toml` says the same for those who have cargo-deny.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::{assert_none, root};

/// The registry that packages come from, as `Cargo.lock` writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Packages that must not be there, and why.
const BANNED: [(&str, &str); 4] = [
    ("rsa", "its private-key operations leak timing; aws-lc-rs does RSA"),
    ("openssl", "rustls and aws-lc-rs do it without a system library"),
    ("openssl-sys", "rustls and aws-lc-rs do it without a system library"),
    ("native-tls", "rustls does TLS on every system alike"),
];

/// Licences under which code may be part of the product.
const LICENCES: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn packages_come_from_the_registry_and_none_is_banned() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut broken = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line =
                package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            line.map(|rest| rest.trim_end_matches('"'))
        };
        let name = value("name").unwrap();
        if let Some(source) = value("source").filter(|source| *source != REGISTRY) {
            broken.push(format!("{name}: comes from {source}"));
        }
        broken.extend(
            BANNED
                .iter()
                .filter(|(banned, _)| *banned == name)
                .map(|(name, why)| format!("{name}: {why}")),
        );
    }
    assert_none(&broken, "Cargo.lock:");
}

#[test]
fn every_licence_is_an_allowed_one() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", &platform()])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "cargo names {} packages only", packages.len());
    let broken: BTreeSet<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(allowed))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert_none(&broken.into_iter().collect::<Vec<_>>(), "licences that the product cannot carry:");
}

fn platform() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(output.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

/// Whether an SPDX expression can be met with allowed licences. `/` is how old manifests write OR.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let met = any(&mut rest);
    met && rest.is_empty()
}

fn any(words: &mut &[&str]) -> bool {
    let mut met = all(words);
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        met |= all(words);
    }
    met
}

fn all(words: &mut &[&str]) -> bool {
    let mut met = one(words);
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        met &= one(words);
    }
    met
}

fn one(words: &mut &[&str]) -> bool {
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if *first == "(" {
        let met = any(words);
        *words = words.strip_prefix(&[")"]).unwrap_or_default();
        return met;
    }
    if let ["WITH", exception, rest @ ..] = *words {
        *words = rest;
        return LICENCES.contains(&format!("{first} WITH {exception}").as_str());
    }
    LICENCES.contains(first)
}

#[test]
fn licence_expressions_are_read() {
    let yes = [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-2.0) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ];
    let no = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "GPL-2.0 WITH Classpath-exception-2.0",
        "MIT ISC",
    ];
    assert_none(
        &yes.iter().filter(|it| !allowed(it)).map(|it| it.to_string()).collect::<Vec<_>>(),
        "met:",
    );
    assert_none(
        &no.iter().filter(|it| allowed(it)).map(|it| it.to_string()).collect::<Vec<_>>(),
        "not met:",
    );
}
