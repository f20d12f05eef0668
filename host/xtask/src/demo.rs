//! `cargo xtask demo`: gateway, simulated provider and a shop, each a process of its own, on free loopback ports.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use crate::plugins;
use crate::process::{Server, lines, program_failed};
use crate::workspace::Workspace;

/// How much faster than the provider's the simulator's clock runs: four minutes until it repeats a notification that was
/// lost take two seconds.
const TIME_SCALE: &str = "120";

/// Where the demo keeps its files. Those of one that goes on stay to look at; those of one told once go with it.
enum Folder {
    Kept(PathBuf),
    Passing(tempfile::TempDir),
}

impl Folder {
    fn make(target: &Path, once: bool) -> anyhow::Result<Self> {
        if once {
            return Ok(Self::Passing(tempfile::Builder::new().prefix("tollgate-demo").tempdir()?));
        }
        let folder = target.join("demo");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
        Ok(Self::Kept(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

/// Tells the story, then leaves gateway and simulator running until it is interrupted, unless it is told once.
pub fn run(once: bool, as_json: bool) -> anyhow::Result<bool> {
    let workspace = Workspace::load()?;
    eprintln!("xtask: building what is missing");
    let folders = plugins::build(&workspace)?;
    let programs = workspace.build_programs()?;
    let program = |name: &str| {
        programs.get(name).with_context(|| format!("the workspace has no program {name}"))
    };
    let folder = Folder::make(&workspace.target, once)?;
    let (simulator, simulated) = start_simulator(program("tollgate-simulator")?, folder.path())?;
    let (mut gateway, ready) =
        start_gateway(program("tollgate")?, &folders.plugins, folder.path())?;

    let providers = folder.path().join("providers.json");
    std::fs::write(&providers, serde_json::to_vec_pretty(&simulated["providers"])?)?;

    let mut shop = Command::new(program("tollgate-shop")?);
    shop.args(["--url", text(&ready, "url")?, "--simulator", text(&simulated, "url")?]);
    shop.arg("--simulator-providers").arg(&providers);
    // The environment of a process is not for everybody to see, its arguments are.
    shop.env("TOLLGATE_API_KEY", text(&ready, "api_key")?);
    if !once {
        shop.arg("--leave-open");
    }
    let ok = tell(&mut shop, as_json)?;
    if !ok {
        eprintln!("{}\n{}", gateway.log_end(), simulator.log_end());
        return Ok(false);
    }
    if !once {
        let say = |line: String| {
            if as_json { eprintln!("{line}") } else { println!("{line}") }
        };
        say(format!("  API        {}", text(&ready, "url")?));
        say(format!("  API key    {}", text(&ready, "api_key")?));
        say(format!("  simulator  {}", text(&simulated, "url")?));
        say(format!("  files      {}", folder.path().display()));
        say("Gateway and simulator go on until Ctrl-C.".to_owned());
        gateway.wait()?;
    }
    Ok(true)
}

fn start_simulator(program: &Path, folder: &Path) -> anyhow::Result<(Server, Value)> {
    let mut command = Command::new(program);
    command.args(["--listen", "127.0.0.1:0", "--time-scale", TIME_SCALE]);
    // The provider's bill of a day comes the morning after; the story does not wait for it.
    command.arg("--bill-ready-at-once");
    command.arg("--data").arg(folder.join("simulator"));
    Server::start("the simulator", &mut command, &folder.join("simulator.log"))
}

fn start_gateway(program: &Path, plugins: &Path, folder: &Path) -> anyhow::Result<(Server, Value)> {
    let mut command = Command::new(program);
    command.args(["serve", "--listen", "127.0.0.1:0", "--simulators", "--bills-at-once"]);
    command.arg("--data").arg(folder.join("gateway")).arg("--plugins").arg(plugins);
    Server::start("the gateway", &mut command, &folder.join("gateway.log"))
}

/// Runs the shop. Its steps are shown as they come; with JSON they go to standard error, and its last word is one object.
fn tell(shop: &mut Command, as_json: bool) -> anyhow::Result<bool> {
    if !as_json {
        return Ok(shop.status().context("the shop could not be started")?.success());
    }
    let mut last = String::new();
    let status = lines("the shop", shop.arg("--json"), |line| line.clone_into(&mut last))?;
    let summary: Value = serde_json::from_str(&last).unwrap_or_else(
        |_| json!({ "ok": false, "error": program_failed("the shop", status).to_string() }),
    );
    println!("{summary}");
    Ok(status.success())
}

fn text<'a>(object: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    object[name].as_str().with_context(|| format!("a server got ready without its {name}"))
}
