//! Migrations: the same on every engine, and none that the binary does not carry.

use crate::{SourceFile, assert_none, files};

const SQLITE: &str = "migrations/sqlite/";
const POSTGRES: &str = "migrations/postgres/";
const ENGINE: &str = "host/server/src/store/engine";

/// A migration without its comments.
fn code(file: &SourceFile) -> String {
    let lines = file.text.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Its words, in the spelling of PostgreSQL. A generated column that is added to a table can be but virtual on SQLite, and
/// but stored on PostgreSQL.
fn words(file: &SourceFile) -> Vec<String> {
    let spelled = code(file).replace("BLOB", "BYTEA").replace("VIRTUAL", "STORED");
    spelled.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_engines_have_the_same_tables() {
    let files = files();
    let of = |folder: &str| -> Vec<&SourceFile> {
        files.iter().filter(|file| file.is_in(&[folder])).collect()
    };
    let (sqlite, postgres) = (of(SQLITE), of(POSTGRES));
    assert!(!sqlite.is_empty(), "no migrations were found");
    let mut broken = Vec::new();
    for file in &sqlite {
        let path = file.path.replace(SQLITE, POSTGRES);
        match postgres.iter().find(|other| other.path == path) {
            None => broken.push(format!("{path} is missing")),
            Some(other) if words(file) != words(other) => {
                broken.push(format!("{path} says something else than {}", file.path));
            }
            Some(_) => {}
        }
        if code(file).contains("BYTEA") {
            broken.push(format!("{}: bytes are a BLOB there", file.path));
        }
    }
    for file in &postgres {
        let path = file.path.replace(POSTGRES, SQLITE);
        if !sqlite.iter().any(|other| other.path == path) {
            broken.push(format!("{path} is missing"));
        }
        if code(file).contains("BLOB") {
            broken.push(format!("{}: bytes are BYTEA there", file.path));
        }
    }
    assert_none(&broken, "write each migration for both engines, BYTEA standing for BLOB:");
}

#[test]
fn the_binary_carries_every_migration() {
    let files = files();
    let engine: String =
        files.iter().filter(|file| file.is_in(&[ENGINE])).map(|file| file.text.as_str()).collect();
    let migrations = files.iter().filter(|file| file.is_in(&[SQLITE, POSTGRES]));
    let missing: Vec<String> = migrations
        .filter_map(|file| file.path.rsplit('/').next()?.strip_suffix(".sql"))
        .filter(|name| !engine.contains(&format!("\"{name}\"")))
        .map(str::to_owned)
        .collect();
    assert_none(&missing, "list each migration in the store's engine:");
}
