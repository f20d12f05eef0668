//! What cargo knows about the checkout: where it is, where it builds, which packages it has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::process::program_failed;

/// Gateway, simulated provider, and the demo's shop.
const PROGRAMS: [&str; 3] = ["tollgate", "tollgate-simulator", "tollgate-shop"];

/// The checkout, as `cargo metadata` tells it.
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub root: PathBuf,
    /// Where cargo builds; `CARGO_TARGET_DIR` is honoured.
    pub target: PathBuf,
    packages: Vec<Package>,
}

/// One package of the workspace.
#[derive(Deserialize)]
pub struct Package {
    /// As `cargo -p` takes it.
    pub name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

/// A line of `--message-format=json`; only those of finished targets are of interest.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    executable: Option<PathBuf>,
    target: Option<Target>,
}

impl Workspace {
    /// Asks cargo about the checkout that this program was started in.
    pub fn load() -> anyhow::Result<Self> {
        let output = cargo()
            .args(["metadata", "--format-version=1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()
            .context("cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed");
        }
        let metadata: Metadata =
            serde_json::from_slice(&output.stdout).context("what cargo metadata said")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            packages: metadata.packages,
        })
    }

    /// The packages in a folder of the checkout that become components: id (the folder's name) and package.
    pub fn components(&self, under: &str) -> BTreeMap<String, &Package> {
        let parent = self.root.join(under);
        let is_component = |package: &Package| {
            let kinds = package.targets.iter().flat_map(|target| &target.kind);
            kinds.into_iter().any(|kind| kind == "cdylib")
        };
        self.packages
            .iter()
            .filter(|package| is_component(package))
            .filter_map(|package| {
                let folder = package.manifest_path.parent()?;
                let inside = folder.parent()? == parent;
                let id = folder.file_name()?.to_str()?.to_owned();
                inside.then_some((id, package))
            })
            .collect()
    }

    /// The names of binaries that start with a prefix, without it.
    pub fn binaries(&self, prefix: &str) -> Vec<String> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let binaries = targets.filter(|target| target.kind.iter().any(|kind| kind == "bin"));
        let mut names: Vec<String> = binaries
            .filter_map(|target| target.name.strip_prefix(prefix).map(str::to_owned))
            .collect();
        names.sort();
        names
    }

    /// The integration tests of packages, but for those of some.
    pub fn integration_tests(&self, except: &[&str]) -> BTreeSet<&str> {
        let packages = self.packages.iter().filter(|it| !except.contains(&it.name.as_str()));
        let targets = packages.flat_map(|package| &package.targets);
        let tests = targets.filter(|target| target.kind.iter().any(|kind| kind == "test"));
        tests.map(|target| target.name.as_str()).collect()
    }

    /// The names of every target of the workspace, as rustc writes them.
    pub fn crate_names(&self) -> BTreeSet<String> {
        let targets = self.packages.iter().flat_map(|package| &package.targets);
        let names = targets.map(|target| target.name.as_str());
        let packages = self.packages.iter().map(|package| package.name.as_str());
        names.chain(packages).map(|name| name.replace('-', "_")).collect()
    }

    /// Runs a `cargo build`, and gives the files that came of it by the name of their target: executables and `.wasm` files.
    pub fn artifacts(&self, build: &mut Command) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let output = build
            .arg("--message-format=json-render-diagnostics")
            .current_dir(&self.root)
            .stderr(Stdio::inherit())
            .output()
            .context("cargo build")?;
        if !output.status.success() {
            return Err(program_failed("cargo build", output.status));
        }
        let mut built = BTreeMap::new();
        for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let message: Message = serde_json::from_slice(line).context("what cargo build said")?;
            let Some(target) = message.target.filter(|_| message.reason == "compiler-artifact")
            else {
                continue;
            };
            let wasm = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "wasm");
            if let Some(path) = message.executable.as_ref().or(message.filenames.iter().find(wasm))
            {
                built.insert(target.name, path.clone());
            }
        }
        Ok(built)
    }

    /// The programs that tests and demo start. Always out of the whole workspace: choosing packages would choose features of
    /// what they stand on, and build all of that again.
    pub fn build_programs(&self) -> anyhow::Result<BTreeMap<String, PathBuf>> {
        let mut build = cargo();
        build.args(["build", "--workspace"]);
        self.artifacts(build.args(PROGRAMS.iter().flat_map(|name| ["--bin", name])))
    }
}

/// Cargo, as if it were called from a shell: the variables that `cargo run` gives its child name this package, and a build
/// script that watches one of them would run again for nothing.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if of_package.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// The path as an argument for cargo.
pub fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
