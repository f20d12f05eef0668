//! The command line.

mod database;
mod key;
mod merchant;
mod reseal;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A self-hosted payment gateway whose providers are WebAssembly components.
#[derive(Parser)]
#[command(name = "tollgate", version)]
struct Cli {
    /// Answer as JSON on standard output, and tell errors as JSON on standard error.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway until it is told to stop. Says in one line of JSON when it is ready.
    Serve(serve::Serve),
    /// Make and change merchants, beside a gateway that may be running.
    #[command(subcommand)]
    Merchant(merchant::Merchant),
    /// Make, replace and end API keys, beside a gateway that may be running.
    #[command(subcommand)]
    Key(key::Key),
    /// Put whatever lies sealed in the database under the sealing key of now: once every replica runs with it and with the
    /// key before it as key.also, which is not needed afterwards.
    Reseal {
        #[command(flatten)]
        database: database::Database,
    },
    /// Print the OpenAPI document.
    Openapi,
    /// Compile one component: the gateway starts itself with it, so that a compiler that goes astray takes no
    /// payment with it.
    #[command(hide = true)]
    CompilePlugin {
        /// The component.
        component: PathBuf,
        /// Where the code goes.
        out: PathBuf,
    },
}

/// Runs what the arguments ask for. An error is one line, and a code other than 0.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(serve) => serve::run(serve),
        Command::Merchant(merchant) => merchant::run(merchant, cli.json),
        Command::Key(key) => key::run(key, cli.json),
        Command::Reseal { database } => reseal::run(database, cli.json),
        Command::Openapi => print(crate::api::document::text()),
        Command::CompilePlugin { component, out } => {
            tollgate_plugin::compile_child_main(&component, &out).map_err(anyhow::Error::from)
        }
    };
    let Err(error) = done else {
        return ExitCode::SUCCESS;
    };
    let line = format!("{error:#}").replace('\n', " ");
    if cli.json {
        eprintln!("{}", serde_json::json!({ "ok": false, "error": line }));
    } else {
        eprintln!("tollgate: {line}");
    }
    ExitCode::FAILURE
}

/// Prints what a command came to, for programs or for people.
fn say(as_json: bool, json: &serde_json::Value, text: &str) -> anyhow::Result<()> {
    if as_json { print(&json.to_string()) } else { print(text) }
}

/// Prints a line to standard output. A reader that went away is no mistake of ours.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
