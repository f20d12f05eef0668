//! What is looked after now and then, by whichever replica comes first: what is removed because its time is over, and
//! messages that a process left unread.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::flows::notices::unread;
use crate::flows::{due, idempotency};
use crate::gateway::Gateway;

/// How long between two sweeps. A row whose time is over counts for nothing, swept or not.
const PAUSE: Duration = Duration::from_secs(600);

/// Sweeps until `stop` says so.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    loop {
        match idempotency::sweep(&gateway).await {
            Ok(0) => {}
            Ok(requests) => tracing::debug!(requests, "answers whose time is over were removed"),
            Err(error) => tracing::error!(%error, "answers could not be removed"),
        }
        if let Err(error) = due::sweep(&gateway).await {
            tracing::error!(%error, "ended jobs could not be removed");
        }
        match unread::take_up(&gateway).await {
            Ok(0) => {}
            Ok(messages) => tracing::warn!(messages, "messages that nobody read are read now"),
            Err(error) => tracing::error!(%error, "unread messages could not be taken up"),
        }
        tokio::select! {
            // A sender that is gone says so too.
            _ = stop.wait_for(|stop| *stop) => return,
            _ = tokio::time::sleep(PAUSE) => {}
        }
    }
}
