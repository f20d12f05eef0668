//! `cargo xtask test`: the suites, each with its runner's own output, and one line of sums at the end.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use serde_json::json;

use crate::NoSuch;
use crate::mutation::{self, Copy, Verdict};
use crate::plugins;
use crate::prepare;
use crate::process;
use crate::workspace::{Workspace, cargo};

/// The suites in the order in which they run: what fails fastest comes first.
const SUITES: [Suite; 9] = [
    Suite { name: "lint", run: lint },
    Suite { name: "unit", run: unit },
    Suite { name: "flow", run: flow },
    Suite { name: "providers", run: providers },
    Suite { name: "security", run: security },
    Suite { name: "simulation", run: simulation },
    Suite { name: "crash", run: crash },
    Suite { name: "interop", run: interop },
    Suite { name: MUTATION, run: mutation },
];

/// It builds the gateway anew for each mutation, so it runs only where it is named.
const MUTATION: &str = "mutation";

struct Suite {
    name: &'static str,
    run: fn(&mut Runner) -> anyhow::Result<Counts>,
}

/// How tests ended.
#[derive(Clone, Copy, Default)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    fn total(self) -> u64 {
        self.passed + self.failed + self.skipped
    }
}

/// Which seeds the simulation plays; none: as many as it usually does, from its first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeds {
    /// How many.
    pub seeds: Option<u64>,
    /// The first one.
    pub from: Option<u64>,
}

/// What the suites share: the checkout, what was built for them, and where their output goes.
struct Runner {
    workspace: Workspace,
    seeds: Seeds,
    variables: Option<Vec<(&'static str, PathBuf)>>,
    to_stderr: bool,
}

/// Runs the named suites, or all.
pub fn run(names: &[String], seeds: Seeds, as_json: bool) -> anyhow::Result<bool> {
    let all: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        let known = all.join(", ");
        return Err(NoSuch(format!("no suite {unknown}: there are {known}")).into());
    }
    let chosen = |suite: &&Suite| match names {
        [] => suite.name != MUTATION,
        _ => names.iter().any(|name| name == suite.name),
    };
    let workspace = Workspace::load()?;
    let mut runner = Runner { workspace, seeds, variables: None, to_stderr: as_json };
    let mut sum = Counts::default();
    let mut suites = serde_json::Map::new();
    for suite in SUITES.iter().filter(chosen) {
        runner.say(&format!("== {}", suite.name));
        let counts = (suite.run)(&mut runner).with_context(|| format!("suite {}", suite.name))?;
        if counts.total() == 0 {
            return Err(NoSuch(format!("suite {} ran no test", suite.name)).into());
        }
        sum.add(counts);
        suites.insert(
            suite.name.into(),
            json!({ "passed": counts.passed, "failed": counts.failed, "skipped": counts.skipped }),
        );
    }
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let ok = sum.failed == 0 && !(strict && sum.skipped > 0);
    if strict && sum.skipped > 0 {
        runner.say("xtask: with CI=true a skipped test is a failure");
    }
    let Counts { passed, failed, skipped } = sum;
    runner.say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if as_json {
        println!(
            "{}",
            json!({ "ok": ok, "passed": passed, "failed": failed, "skipped": skipped, "suites": suites })
        );
    }
    Ok(ok)
}

/// Format, lints, the tidy test, and what dependencies may be: the last by cargo-deny where it is installed; what the tidy
/// test reads in `Cargo.lock` covers it elsewhere.
fn lint(runner: &mut Runner) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    counts.add(runner.check("cargo fmt", &["fmt", "--all", "--check"])?);
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    counts.add(runner.check("cargo clippy", &clippy)?);
    counts.add(runner.cargo_test(&["--package", "xtask", "--test", "tidy"])?);
    if prepare::answers("cargo-deny", &["--version"]) {
        let deny = ["deny", "check", "bans", "licenses", "sources"];
        counts.add(runner.check("cargo deny", &deny)?);
    }
    Ok(counts)
}

/// The tests of libraries and programs, those of single packages, and the examples in documents. They run over the whole
/// workspace, because choosing packages would choose features of what they stand on, and build all of that again.
fn unit(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    let tests = runner.workspace.integration_tests(&["tollgate-tests", "xtask"]);
    let mut own = vec!["--workspace", "--no-fail-fast", "--lib", "--bins"];
    own.extend(tests.iter().flat_map(|name| ["--test", name]));
    let mut counts = runner.cargo_test(&own)?;
    counts.add(runner.cargo_test(&["--workspace", "--no-fail-fast", "--doc"])?);
    Ok(counts)
}

/// The integration binary: a gateway over real sockets, files and components, and a simulated provider on the other side;
/// once on each database engine.
fn flow(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.on_both_engines("flow")
}

/// What is one provider's own: its products, messages, keys and bills, over HTTP and through its compiled component.
fn providers(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    runner.integration_test("sqlite", "providers", &[])
}

/// Plugins that misbehave, keys that must not show up anywhere, files that somebody altered.
fn security(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    runner.cargo_test(&["--workspace", "--test", "security", "--no-fail-fast"])
}

/// Two replicas, a scripted provider and every fault there is, in one process and from seeds.
fn simulation(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    let Seeds { seeds, from } = runner.seeds;
    let set = [("TOLLGATE_SEEDS", seeds), ("TOLLGATE_FIRST_SEED", from)];
    let set = set.into_iter().filter_map(|(name, number)| Some((name, number?.to_string())));
    let mut command = cargo();
    command.args(["test", "--workspace", "--test", "simulation", "--no-fail-fast"]);
    command.current_dir(&runner.workspace.root).envs(set);
    runner.count("cargo test", &mut command, cargo_counts)
}

/// The gateway's program killed, stopped and starved: its process is another's, so each test has its own.
fn crash(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.on_both_engines("crash")
}

/// The provider's own kit, as witness for simulator and plugin.
fn interop(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    if let Err(missing) = prepare::interop(&runner.workspace) {
        runner.say(&format!("xtask: {missing:#}"));
        return Ok(Counts { skipped: 1, ..Counts::default() });
    }
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .current_dir(runner.workspace.root.join("tests/interop"));
    runner.count("node --test", &mut node, node_counts)
}

/// A mechanism taken out of a copy of the checkout, one after another: the simulation must notice each.
fn mutation(runner: &mut Runner) -> anyhow::Result<Counts> {
    runner.prepare_programs()?;
    let variables = runner.variables.clone().unwrap_or_default();
    let copy = Copy::make(&runner.workspace, variables)?;
    let mut counts = Counts::default();
    let mut note = |name: &str, passed: bool, words: &str| {
        runner.say(&format!("test mutation {name} ... {words}"));
        counts.add(Counts { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 });
    };
    let sound = copy.passes_unchanged()?;
    note("nothing", sound, if sound { "ok" } else { "FAILED: the simulation fails by itself" });
    for patch in mutation::patches(&runner.workspace)? {
        let name = patch.file_stem().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        match copy.judge(&patch) {
            Ok(Verdict::Caught) => note(&name, true, "ok, it was noticed"),
            Ok(Verdict::Survived) => note(&name, false, "FAILED: nobody noticed"),
            Err(error) => note(&name, false, &format!("FAILED: {error:#}")),
        }
    }
    Ok(counts)
}

impl Runner {
    fn say(&self, line: &str) {
        if self.to_stderr { eprintln!("{line}") } else { println!("{line}") }
    }

    /// Builds plugins and programs, once, and tells tests where they are.
    fn prepare_programs(&mut self) -> anyhow::Result<()> {
        if self.variables.is_some() {
            return Ok(());
        }
        let folders = plugins::build(&self.workspace)?;
        let programs = self.workspace.build_programs()?;
        let program = |name: &str| {
            programs
                .get(name)
                .cloned()
                .with_context(|| format!("the workspace has no program {name}"))
        };
        self.variables = Some(vec![
            ("TOLLGATE_PLUGINS", folders.plugins),
            ("TOLLGATE_TEST_PLUGINS", folders.test_plugins),
            ("TOLLGATE_BIN", program("tollgate")?),
            ("TOLLGATE_SIMULATOR_BIN", program("tollgate-simulator")?),
        ]);
        Ok(())
    }

    /// A tool that has no tests to count: it passes or fails as one.
    fn check(&self, what: &str, arguments: &[&str]) -> anyhow::Result<Counts> {
        let mut command = cargo();
        command.args(arguments).current_dir(&self.workspace.root);
        let status = process::lines(what, &mut command, |line| self.say(line))?;
        let word = if status.success() { "ok" } else { "FAILED" };
        self.say(&format!("{what}: {word}"));
        let failed = u64::from(!status.success());
        Ok(Counts { passed: 1 - failed, failed, skipped: 0 })
    }

    /// Runs an integration binary on SQLite, without what only a server can do, and on PostgreSQL.
    fn on_both_engines(&mut self, name: &str) -> anyhow::Result<Counts> {
        self.prepare_programs()?;
        self.say("-- on sqlite");
        let mut counts = self.integration_test("sqlite", name, &["--skip", "postgres::"])?;
        match prepare::postgres() {
            Ok(()) => {
                self.say("-- on postgres");
                counts.add(self.integration_test("postgres", name, &[])?);
            }
            Err(missing) => {
                self.say(&format!("xtask: {missing:#}"));
                counts.skipped += 1;
            }
        }
        Ok(counts)
    }

    /// Runs an integration binary. Its tests wait for gateways, providers and databases more than they work: three at once
    /// for two processors keep these busy.
    fn integration_test(&self, engine: &str, name: &str, more: &[&str]) -> anyhow::Result<Counts> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let at_once = format!("--test-threads={}", processors + processors / 2);
        let suite = ["--workspace", "--test", name, "--no-fail-fast", "--", &at_once];
        self.cargo_test_on(engine, &[&suite[..], more].concat())
    }

    fn cargo_test(&self, arguments: &[&str]) -> anyhow::Result<Counts> {
        self.cargo_test_on("sqlite", arguments)
    }

    /// Runs tests on a database engine.
    fn cargo_test_on(&self, engine: &str, arguments: &[&str]) -> anyhow::Result<Counts> {
        let mut command = cargo();
        command.env("TOLLGATE_TEST_DATABASE", engine);
        command.arg("test").args(arguments).current_dir(&self.workspace.root);
        self.count("cargo test", &mut command, cargo_counts)
    }

    /// Runs a test runner, shows its output and adds up what its closing lines say. One that fails without saying that a
    /// test failed, because nothing could be built, counts as one failure.
    fn count(
        &self,
        what: &str,
        command: &mut Command,
        read: fn(&str) -> Option<Counts>,
    ) -> anyhow::Result<Counts> {
        if let Some(variables) = &self.variables {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        }
        let mut counts = Counts::default();
        let status = process::lines(what, command, |line| {
            self.say(line);
            counts.add(read(line).unwrap_or_default());
        })?;
        if !status.success() && counts.failed == 0 {
            self.say(&format!("{what}: FAILED"));
            counts.failed = 1;
        }
        Ok(counts)
    }
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
fn cargo_counts(line: &str) -> Option<Counts> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        let part = counts.split("; ").find_map(|part| part.strip_suffix(word))?;
        part.trim().parse().ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

/// `ℹ pass 5`, `ℹ fail 0`, `ℹ skipped 0`, each on a line of its own; what was cancelled has failed.
fn node_counts(line: &str) -> Option<Counts> {
    let (word, number) = line.strip_prefix("ℹ ")?.split_once(' ')?;
    let number = number.trim().parse().ok()?;
    let none = Counts::default();
    match word {
        "pass" => Some(Counts { passed: number, ..none }),
        "fail" | "cancelled" => Some(Counts { failed: number, ..none }),
        "skipped" | "todo" => Some(Counts { skipped: number, ..none }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(counts: Option<Counts>) -> Option<(u64, u64, u64)> {
        counts.map(|counts| (counts.passed, counts.failed, counts.skipped))
    }

    #[test]
    fn the_closing_line_of_cargo_is_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 4 ignored; 0 measured; 9 filtered out; \
                    finished in 0.01s";
        assert_eq!(parts(cargo_counts(line)), Some((12, 3, 4)));
        assert_eq!(parts(cargo_counts("test money::adds ... ok")), None);
        assert_eq!(parts(cargo_counts("running 12 tests")), None);
    }

    #[test]
    fn the_closing_lines_of_node_are_read() {
        assert_eq!(parts(node_counts("ℹ pass 7")), Some((7, 0, 0)));
        assert_eq!(parts(node_counts("ℹ fail 1")), Some((0, 1, 0)));
        assert_eq!(parts(node_counts("ℹ cancelled 2")), Some((0, 2, 0)));
        assert_eq!(parts(node_counts("ℹ skipped 1")), Some((0, 0, 1)));
        assert_eq!(parts(node_counts("ℹ tests 9")), None);
        assert_eq!(parts(node_counts("ℹ duration_ms 12.5")), None);
        assert_eq!(parts(node_counts("✔ a test named pass 7")), None);
    }
}
