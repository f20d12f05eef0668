//! Logs: JSON lines on standard error.

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;

/// The level where neither `TOLLGATE_LOG` nor `RUST_LOG` says otherwise.
const LEVEL: &str = "info,sqlx=warn";

/// Starts to write logs. A panic is written by its place alone: its words may hold anything.
///
/// # Errors
/// A filter that is none, or logs that were started before.
pub fn start() -> Result<()> {
    let filter = ["TOLLGATE_LOG", "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok());
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(LEVEL))
        .map_err(|error| anyhow!("TOLLGATE_LOG: {error}"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
        .map_err(|error| anyhow!("logs: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
    Ok(())
}
