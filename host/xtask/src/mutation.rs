//! The suite `mutation`: a mechanism is taken out of a copy of the checkout, and the simulation must notice.
//!
//! Each `tests/mutations/NAME.patch` takes one away. The copy builds in a folder of its own, with the dependencies that
//! are built already, so that no mutated code can find its way into the checkout's own builds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::process;
use crate::workspace::{Workspace, cargo};

/// The seeds within which each mutation must be caught: those of the normal run.
const SEEDS: &str = "2000";
/// The seeds that the copy must pass before anything is taken out.
const SEEDS_UNCHANGED: &str = "20";

/// A copy of the checkout that builds apart.
pub struct Copy {
    root: PathBuf,
    target: PathBuf,
    variables: Vec<(&'static str, PathBuf)>,
}

/// What became of a mutated copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The simulation failed, as it must.
    Caught,
    /// It passed: nobody would notice.
    Survived,
}

/// The patches, in the order of their names.
pub fn patches(workspace: &Workspace) -> anyhow::Result<Vec<PathBuf>> {
    let folder = workspace.root.join("tests/mutations");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut patches = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "patch") {
            patches.push(path);
        }
    }
    patches.sort();
    Ok(patches)
}

impl Copy {
    /// Copies what git knows of the checkout, with links to the dependencies that are built.
    pub fn make(
        workspace: &Workspace,
        variables: Vec<(&'static str, PathBuf)>,
    ) -> anyhow::Result<Copy> {
        let folder = workspace.target.join("mutation");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        }
        let copy = Copy { root: folder.join("checkout"), target: folder.join("target"), variables };
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .current_dir(&workspace.root)
            .output()
            .context("git ls-files")?;
        if !listed.status.success() {
            bail!("git ls-files failed: the suite mutation wants a checkout");
        }
        for name in listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let name = std::str::from_utf8(name).context("a file's name")?;
            let (from, to) = (workspace.root.join(name), copy.root.join(name));
            if from.is_file() {
                std::fs::create_dir_all(to.parent().context("a file's folder")?)?;
                std::fs::copy(&from, &to).with_context(|| name.to_owned())?;
            }
        }
        copy.link_dependencies(workspace)?;
        Ok(copy)
    }

    /// Links each artifact that is no package of ours, and copies the little files by which cargo knows it. Cargo never
    /// writes to an artifact that is fresh, so links are as good as copies.
    fn link_dependencies(&self, workspace: &Workspace) -> anyhow::Result<()> {
        let own = workspace.crate_names();
        for folder in ["deps", "build", ".fingerprint"] {
            let from = workspace.target.join("debug").join(folder);
            let to = self.target.join("debug").join(folder);
            std::fs::create_dir_all(&to)?;
            for entry in std::fs::read_dir(&from).with_context(|| format!("{}", from.display()))? {
                let name = entry?.file_name();
                let Some(text) = name.to_str() else { continue };
                if !own.contains(&crate_of(text)) {
                    let how = if folder == ".fingerprint" { "-a" } else { "-al" };
                    let mut cp = Command::new("cp");
                    process::run("cp", cp.arg(how).arg(from.join(&name)).arg(&to))?;
                }
            }
        }
        Ok(())
    }

    /// Runs the simulation in the copy as it is.
    pub fn passes_unchanged(&self) -> anyhow::Result<bool> {
        self.simulation(SEEDS_UNCHANGED)
    }

    /// Takes the mechanism out, runs the simulation, and puts it back.
    pub fn judge(&self, patch: &Path) -> anyhow::Result<Verdict> {
        self.apply(patch, false)?;
        let built = self.build();
        let passed = if built? { self.simulation(SEEDS)? } else { bail!("it does not compile") };
        self.apply(patch, true)?;
        Ok(if passed { Verdict::Survived } else { Verdict::Caught })
    }

    fn apply(&self, patch: &Path, reverse: bool) -> anyhow::Result<()> {
        let mut git = Command::new("git");
        git.arg("apply").args(reverse.then_some("--reverse")).arg(patch).current_dir(&self.root);
        // The copy lies within the checkout's own folder and is not to be taken for a part of it.
        git.env("GIT_CEILING_DIRECTORIES", self.root.parent().context("the copy's folder")?);
        process::run("git apply", &mut git)
    }

    fn cargo(&self) -> Command {
        let mut command = cargo();
        command.args(["test", "--workspace", "--test", "simulation"]).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", &self.target);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn build(&self) -> anyhow::Result<bool> {
        Ok(self.cargo().arg("--no-run").status().context("cargo test")?.success())
    }

    fn simulation(&self, seeds: &str) -> anyhow::Result<bool> {
        let mut command = self.cargo();
        command.env("TOLLGATE_SEEDS", seeds);
        Ok(command.status().context("cargo test")?.success())
    }
}

/// The crate of an artifact: `libserde_json-0123.rlib` and `serde-json-0123` are both `serde_json`'s.
fn crate_of(artifact: &str) -> String {
    let stem = artifact.rsplit_once('-').map_or(artifact, |(stem, _)| stem).replace('-', "_");
    let library = [".rlib", ".rmeta", ".so"].iter().any(|ending| artifact.ends_with(ending));
    match stem.strip_prefix("lib") {
        Some(name) if library => name.to_owned(),
        _ => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_belongs_to_its_crate() {
        assert_eq!(crate_of("libserde_json-0123abc.rlib"), "serde_json");
        assert_eq!(crate_of("serde-json-0123abc"), "serde_json");
        assert_eq!(crate_of("tollgate_domain-0123abc.d"), "tollgate_domain");
        assert_eq!(crate_of("tollgate-domain-0123abc"), "tollgate_domain");
        assert_eq!(crate_of("libc-0123abc"), "libc");
        assert_eq!(crate_of("liblibc-0123abc.rmeta"), "libc");
    }
}
