//! A shop with a gateway's URL and a key, and its payer with a browser. Tells one story from checkout to a reconciled bill at
//! each provider, over HTTP alone, and reads every figure that it tells back from the API.

mod api;
mod browser;
mod html;
mod provider;
mod story;
mod telling;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::Value;
use url::Url;

use crate::api::Gateway;
use crate::provider::Provider;
use crate::telling::Teller;

/// The demo's shop.
#[derive(Parser)]
struct Arguments {
    /// The gateway.
    #[arg(long)]
    url: Url,
    /// The merchant's API key.
    #[arg(long, env = "TOLLGATE_API_KEY", hide_env_values = true)]
    api_key: String,
    /// The simulated provider, for the payer's part and for what goes wrong.
    #[arg(long)]
    simulator: Url,
    /// The list of providers that the simulator gave when it got ready.
    #[arg(long, value_name = "FILE")]
    simulator_providers: PathBuf,
    /// Leave one more order to be paid by whoever watches, and say where its cashier page is.
    #[arg(long)]
    leave_open: bool,
    /// End with one JSON object on standard output; the steps go to standard error.
    #[arg(long)]
    json: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("shop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let file = &arguments.simulator_providers;
    let named = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    let named: Vec<Value> =
        serde_json::from_slice(&named).with_context(|| format!("{}", file.display()))?;
    let providers: Vec<Provider> = named
        .iter()
        .map(|named| Provider::new(arguments.simulator.clone(), named))
        .collect::<anyhow::Result<_>>()?;
    let mut teller = Teller::new(arguments.json);
    let gateway = Gateway::new(arguments.url, arguments.api_key)?;
    let summary = story::tell(&gateway, &providers, &mut teller).await?;
    teller.finish(&summary);
    ensure!(summary["ok"] == true, "the story did not end as it should");
    if arguments.leave_open {
        story::leave_open(&gateway, &teller).await?;
    }
    Ok(())
}
