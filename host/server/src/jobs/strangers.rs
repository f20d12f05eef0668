//! Has the messages written that were refused, a moment's worth at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::flows::notices::strangers;
use crate::gateway::Gateway;

/// How long others are waited for.
const GATHER: Duration = Duration::from_millis(500);
/// The same after the database could not be reached.
const RECOVER: Duration = Duration::from_secs(5);

/// Writes until `stop` says so, and then what is left.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let (mut stopping, mut pause) = (false, GATHER);
    while !stopping {
        tokio::select! {
            // A sender that is gone says so too.
            _ = stop.wait_for(|stop| *stop) => stopping = true,
            () = gateway.strangers.left() => {}
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => stopping = true,
            () = tokio::time::sleep(pause) => {}
        }
        pause = GATHER;
        if let Err(error) = strangers::write(&gateway).await {
            tracing::error!(%error, "refused messages could not be written");
            pause = RECOVER;
        }
    }
}
