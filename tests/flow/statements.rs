//! Every statement of the store is one text for both engines: here is whether this one understands it.

use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, AssertSqlSafe, Executor, SqlSafeStr};
use tollgate_tests::World;

/// The sources of the store, without what is one engine's own.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("engine") {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The constants of a source that are statements, by name.
fn statements(source: &str) -> Vec<(String, String)> {
    let constants = source.split("const ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once(": &str =")?;
        let text = rest.trim_start().strip_prefix('"')?;
        let text = text.split_once("\";")?.0;
        let lines: Vec<_> = text.split("\\\n").map(str::trim_start).collect();
        Some((name.to_owned(), lines.concat()))
    });
    let verbs = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
    constants.filter(|(_, text)| verbs.iter().any(|verb| text.starts_with(verb))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_the_store_is_understood() {
    let world = World::start().await;
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/src/store"), &mut files);
    let mut db: AnyConnection = world.db().await;
    let (mut count, mut refused) = (0, Vec::new());
    for file in files {
        for (name, text) in statements(&std::fs::read_to_string(&file).unwrap()) {
            count += 1;
            if let Err(error) = db.prepare(AssertSqlSafe(text).into_sql_str()).await {
                refused.push(format!("{} {name}: {error}", file.display()));
            }
        }
    }
    assert!(count > 80, "{count} statements were found");
    assert_eq!(refused, Vec::<String>::new());
}
