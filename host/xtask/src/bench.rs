//! `cargo xtask bench`: starts the measuring programs `bench-NAME` and shows what they print.

use serde_json::Value;

use crate::NoSuch;
use crate::plugins;
use crate::process::{lines, program_failed};
use crate::workspace::{Workspace, cargo};

/// What the name of a measuring program starts with.
const PREFIX: &str = "bench-";

/// What is measured is what users run: our own crates optimised and without the checks of a debug build. What they stand on is
/// built as every command builds it, so that it need not be built again.
const AS_USERS_RUN_IT: [&str; 4] = [
    "profile.dev.opt-level=3",
    "profile.dev.debug-assertions=false",
    "profile.dev.overflow-checks=false",
    "profile.dev.package.\"*\".overflow-checks=true",
];

/// Runs one bench or all. False where a figure missed its goal.
pub fn run(name: Option<&str>, as_json: bool) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    let mut names = workspace.binaries(PREFIX);
    if let Some(name) = name {
        if !names.iter().any(|known| known == name) {
            let known = names.join(", ");
            return Err(NoSuch(format!("no bench {name}: there are {known}")).into());
        }
        names = vec![name.to_owned()];
    }
    if names.is_empty() {
        return Err(NoSuch("there is no bench".into()).into());
    }
    let folders = plugins::build(&workspace)?;
    let mut all_hold = true;
    for name in names {
        let program = format!("{PREFIX}{name}");
        let mut build = cargo();
        build.args(["build", "--workspace", "--bin", &program]);
        build.args(AS_USERS_RUN_IT.iter().flat_map(|setting| ["--config", setting]));
        let built = workspace.artifacts(&mut build)?;
        let path = built.get(&program).ok_or_else(|| NoSuch(format!("{program} was not built")))?;
        let mut bench = std::process::Command::new(path);
        bench.env("TOLLGATE_PLUGINS", &folders.plugins);
        bench.env("TOLLGATE_TEST_PLUGINS", &folders.test_plugins);
        let status = lines(&program, bench.current_dir(&workspace.root), |line| {
            all_hold &= show(line, as_json);
        })?;
        if !status.success() {
            return Err(program_failed(&program, status));
        }
    }
    Ok(all_hold)
}

/// Shows one figure as it came or as a row of a table; false where it misses its goal.
fn show(line: &str, as_json: bool) -> bool {
    let Ok(figure) = serde_json::from_str::<Value>(line) else {
        eprintln!("{line}");
        return true;
    };
    let holds = figure["holds"] != false;
    if as_json {
        println!("{figure}");
    } else {
        println!("{}", row(&figure));
    }
    holds
}

fn row(figure: &Value) -> String {
    let text = |name: &str| match &figure[name] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let verdict = match &figure["holds"] {
        Value::Bool(true) => "holds",
        Value::Bool(false) => "MISSED",
        _ => "",
    };
    let (name, value, unit, goal) = (text("name"), text("value"), text("unit"), text("goal"));
    format!("{name:48} {value:>14} {unit:16} {goal:>16}  {verdict}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_goal_and_whether_it_holds() {
        let figure = serde_json::json!({
            "name": "crossing", "value": 21.5, "unit": "us", "goal": "<= 25", "holds": true,
        });
        let words: Vec<String> = row(&figure).split_whitespace().map(str::to_owned).collect();
        assert_eq!(words, ["crossing", "21.5", "us", "<=", "25", "holds"]);
        assert!(show(&figure.to_string(), true));
        assert!(!show(r#"{"name":"crossing","value":30,"holds":false}"#, true));
        assert!(show(r#"{"name":"fsync","value":30,"holds":null}"#, true));
    }
}
