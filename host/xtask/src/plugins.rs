//! `cargo xtask plugins`: every package in `plugins/` (and the test components in `tests/components/`) as a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::json;
use wit_component::ComponentEncoder;

use crate::prepare::{self, WASM_TARGET};
use crate::workspace::{Workspace, cargo, text};

/// Where the files are.
pub struct Folders {
    /// `TARGET/plugins`: providers, as an operator would install them.
    pub plugins: PathBuf,
    /// `TARGET/test-plugins`: components that misbehave on purpose. Never beside the others.
    pub test_plugins: PathBuf,
}

/// One component that was built.
struct Built {
    id: String,
    file: PathBuf,
    bytes: usize,
    changed: bool,
}

/// Builds the plugins and says what came of it.
pub fn run(as_json: bool) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    let (_, built) = build_all(&workspace)?;
    if as_json {
        let plugins: Vec<_> = built
            .iter()
            .map(|plugin| {
                json!({
                    "id": plugin.id, "file": plugin.file,
                    "bytes": plugin.bytes, "changed": plugin.changed,
                })
            })
            .collect();
        println!("{}", json!({ "ok": true, "plugins": plugins }));
        return Ok(true);
    }
    for plugin in built {
        let word = if plugin.changed { "new" } else { "as it was" };
        println!("{:>9} bytes, {word:9}  {}", plugin.bytes, plugin.file.display());
    }
    Ok(true)
}

/// Builds what other chores need and says nothing.
pub fn build(workspace: &Workspace) -> anyhow::Result<Folders> {
    Ok(build_all(workspace)?.0)
}

fn build_all(workspace: &Workspace) -> anyhow::Result<(Folders, Vec<Built>)> {
    prepare::wasm_target()?;
    let folders = Folders {
        plugins: workspace.target.join("plugins"),
        test_plugins: workspace.target.join("test-plugins"),
    };
    let mut built = build_folder(workspace, "plugins", &folders.plugins)?;
    built.extend(build_folder(workspace, "tests/components", &folders.test_plugins)?);
    Ok((folders, built))
}

fn build_folder(workspace: &Workspace, from: &str, to: &Path) -> anyhow::Result<Vec<Built>> {
    std::fs::create_dir_all(to).with_context(|| format!("{}", to.display()))?;
    let components = workspace.components(from);
    let mut built = Vec::new();
    for (id, package) in &components {
        let component = build_component(workspace, &package.name)
            .with_context(|| format!("the component {id}"))?;
        let file = to.join(format!("{id}.wasm"));
        let changed = replace(&file, &component)?;
        built.push(Built { id: id.clone(), file, bytes: component.len(), changed });
    }
    // A plugin that is gone from the checkout must not be served from an old build.
    for entry in std::fs::read_dir(to)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if path.extension().is_some_and(|ending| ending == "wasm") && !components.contains_key(stem)
        {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(built)
}

/// One package for itself: built together with others, features that those ask for would change its bytes.
fn build_component(workspace: &Workspace, package: &str) -> anyhow::Result<Vec<u8>> {
    let flags = format!("target.{WASM_TARGET}.rustflags={}", json!(remapped_paths(workspace)?));
    let mut cargo = cargo();
    // These variables would take the place of the flags in configuration files instead of joining them.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["build", "--quiet", "--release", "--lib", "--target", WASM_TARGET]);
    let files = workspace.artifacts(cargo.args(["--package", package, "--config", &flags]))?;
    let module = files.into_values().find(|file| file.extension().is_some_and(|it| it == "wasm"));
    let module = module.context("the build gave no wasm file")?;
    let module = std::fs::read(&module).with_context(|| format!("{}", module.display()))?;
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).context("the module carries no component types")?;
    encoder.validate(true).encode().context("the module is not a component of the contract")
}

/// Panic messages carry file names. With these flags they name no folder of the machine, and a checkout elsewhere gives the
/// same bytes, hence the same digest. Flags in a `--config` join those of `.cargo/config.toml`.
fn remapped_paths(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc")?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let cargo_home = cargo_home.context("neither CARGO_HOME nor a home folder is known")?;
    // Of several that match, the last one counts: the target folder may be inside the checkout.
    let pairs = [
        (sysroot, "toolchain"),
        (cargo_home, "cargo"),
        (workspace.root.clone(), "tollgate"),
        (workspace.target.clone(), "target"),
    ];
    pairs.iter().map(|(from, to)| Ok(format!("--remap-path-prefix={}={to}", text(from)?))).collect()
}

/// Writes a file by rename, so that nobody reads half of it, and leaves it alone when it is the same already.
fn replace(file: &Path, content: &[u8]) -> anyhow::Result<bool> {
    if std::fs::read(file).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&beside, content).with_context(|| format!("{}", beside.display()))?;
    std::fs::rename(&beside, file).with_context(|| format!("{}", file.display()))?;
    Ok(true)
}
