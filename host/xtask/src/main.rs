//! `cargo xtask`: the chores of somebody who works on Tollgate, each of which installs what it needs.
//!
//! Exit codes: 0 all went well, 1 something failed, 2 there is no such thing (an unknown name, a suite without a test).

mod bench;
mod demo;
mod mutation;
mod plugins;
mod prepare;
mod process;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::test::Seeds;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores: demo, test, plugins, bench")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Show an order on its way from checkout to a reconciled bill, against a simulated provider.
    Demo {
        /// Stop after the story, and leave nothing behind.
        #[arg(long)]
        once: bool,
        /// End with one JSON object on standard output; everything else goes to standard error.
        #[arg(long)]
        json: bool,
    },
    /// Run test suites: lint, unit, flow, providers, security, simulation, crash, interop. None named: all of them, in this order.
    /// Named alone: mutation, which takes mechanisms out and looks whether the simulation notices.
    Test {
        /// Which suites.
        suites: Vec<String>,
        /// How many seeds the simulation plays.
        #[arg(long)]
        seeds: Option<u64>,
        /// The first of them.
        #[arg(long)]
        from: Option<u64>,
        /// End with one JSON object on standard output; everything else goes to standard error.
        #[arg(long)]
        json: bool,
    },
    /// Build every provider plugin as a component, to `TARGET/plugins/ID.wasm`.
    Plugins {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Measure. None named: all of them.
    Bench {
        /// Which one.
        name: Option<String>,
        /// Print one JSON object a line: name, value, unit, goal, holds.
        #[arg(long)]
        json: bool,
    },
}

/// There is no such thing: exit code 2.
#[derive(Debug)]
struct NoSuch(String);

impl std::fmt::Display for NoSuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoSuch {}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Demo { once, json } => demo::run(once, json),
        Chore::Test { suites, seeds, from, json } => {
            test::run(&suites, Seeds { seeds, from }, json)
        }
        Chore::Plugins { json } => plugins::run(json),
        Chore::Bench { name, json } => bench::run(name.as_deref(), json),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<NoSuch>() { 2 } else { 1 })
        }
    }
}
