//! What the chores need beside a Rust toolchain: found, installed where that is possible, and else named in one line.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use crate::process;
use crate::workspace::Workspace;

/// The target that plugins are built for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The provider's own kit wants at least this Node.js.
const NODE_MAJOR_MIN: u32 = 20;

/// Sees to it that plugins can be built.
pub fn wasm_target() -> anyhow::Result<()> {
    let output =
        Command::new("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]).output();
    let installed = output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success() && Path::new(&folder).is_dir()
    });
    if installed {
        return Ok(());
    }
    if !answers("rustup", &["--version"]) {
        bail!("missing: the Rust target {WASM_TARGET}; install it, or rustup, which does it here");
    }
    eprintln!("xtask: installing the Rust target {WASM_TARGET}");
    process::run("rustup target add", Command::new("rustup").args(["target", "add", WASM_TARGET]))
}

/// Sees to it that the interop suite can run: Node.js, npm, the packages of its lock file, and what UnionPay's witness stands on.
pub fn interop(workspace: &Workspace) -> anyhow::Result<()> {
    node()?;
    program("python3", "--version")?;
    program("openssl", "version")?;
    let folder = workspace.root.join("tests/interop");
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let stamp = folder.join("node_modules/.installed-lock.json");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    eprintln!("xtask: installing the packages of tests/interop");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&folder);
    process::run("npm ci in tests/interop", npm.stdin(Stdio::null()).stdout(Stdio::null()))?;
    Ok(std::fs::write(stamp, lock)?)
}

/// A program that has the name of its package, from the distribution's packages if we may.
fn program(name: &str, version: &str) -> anyhow::Result<()> {
    if !answers(name, &[version]) && may_install() {
        install(&[name])?;
    }
    if !answers(name, &[version]) {
        bail!("missing: {name}, for the suite interop");
    }
    Ok(())
}

/// Node.js and npm, from the distribution's packages if we may.
fn node() -> anyhow::Result<()> {
    if node_major().is_some_and(|major| major >= NODE_MAJOR_MIN) && answers("npm", &["--version"]) {
        return Ok(());
    }
    if may_install() {
        install(&["nodejs", "npm"])?;
    }
    if node_major().is_none_or(|major| major < NODE_MAJOR_MIN) || !answers("npm", &["--version"]) {
        bail!("missing: Node.js {NODE_MAJOR_MIN} or newer with npm, for the suite interop");
    }
    Ok(())
}

fn node_major() -> Option<u32> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// Sees to it that tests can start a PostgreSQL server: its programs, from the distribution's packages if we may.
pub fn postgres() -> anyhow::Result<()> {
    if has_postgres() {
        return Ok(());
    }
    if may_install() {
        install(&["postgresql"])?;
    }
    if !has_postgres() {
        bail!(
            "missing: PostgreSQL's programs initdb, postgres and pg_isready, for flow on postgres"
        );
    }
    Ok(())
}

/// Where the tests look: the search path, and Debian's folders.
fn has_postgres() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(versions.map(|version| version.path().join("bin")));
    let programs = ["initdb", "postgres", "pg_isready"];
    folders.iter().any(|folder| programs.iter().all(|name| folder.join(name).is_file()))
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    eprintln!("xtask: installing the packages {}", packages.join(" and "));
    let mut update = Command::new("apt-get");
    process::run("apt-get update", update.arg("update").stdout(Stdio::null()))?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    process::run("apt-get install", install.stdout(Stdio::null()))
}

/// Packages are installed by root on a system that has apt, and by nobody else.
fn may_install() -> bool {
    let user = Command::new("id").arg("-u").output();
    let root = user.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && answers("apt-get", &["--version"])
}

/// Whether a program is there and works.
pub fn answers(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
