//! `tollgate-simulator`: starts the providers in a box and tells on one line where they are.
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tollgate_simulator::{Config, Simulator};

/// Payment providers in a box, over real sockets and with real signatures.
#[derive(Debug, Parser)]
#[command(name = "tollgate-simulator", version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Folder that keeps the generated keys over restarts.
    #[arg(long)]
    data: Option<PathBuf>,
    /// How many times faster than real the notification schedules run.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    time_scale: u64,
    /// Seed of trade numbers and tokens.
    #[arg(long)]
    seed: Option<u64>,
    /// Make the bill of any day, today included, ready when it is asked for.
    #[arg(long)]
    bill_ready_at_once: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(Config {
        listen: arguments.listen,
        time_scale: arguments.time_scale,
        seed: arguments.seed,
        data: arguments.data,
        bill_ready_at_once: arguments.bill_ready_at_once,
        ..Config::default()
    })
    .await?;
    writeln!(std::io::stdout(), "{}", simulator.ready_line()).context("standard output")?;
    wait_for_the_end().await?;
    simulator.stop().await;
    Ok(())
}

#[cfg(unix)]
async fn wait_for_the_end() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("signals")?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended.context("signals"),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn wait_for_the_end() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("signals")
}
