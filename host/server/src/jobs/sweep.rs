//! What is looked after now and then, by whichever replica comes first: what is removed because its time is over, messages
//! that a process left unread, and whether the database's file is whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::flows::notices::unread;
use crate::flows::{due, idempotency};
use crate::gateway::Gateway;
use crate::store::StoreError;

/// How long between two sweeps. A row whose time is over counts for nothing, swept or not.
const PAUSE: Duration = Duration::from_secs(600);
/// How long between two looks at the whole file. The first is at the start.
const EXAMINED_EVERY: Duration = Duration::from_secs(86_400);

/// Sweeps until `stop` says so.
pub async fn run(gateway: Arc<Gateway>, mut stop: watch::Receiver<bool>) {
    let mut examined = Instant::now();
    loop {
        if examined.elapsed() >= EXAMINED_EVERY {
            examine(&gateway).await;
            examined = Instant::now();
        }
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

/// A damaged file is not worked on: what is built on it would be lost with it, and the next start tells the operator why
/// there is none.
async fn examine(gateway: &Gateway) {
    match gateway.store.examine().await {
        Ok(()) => tracing::debug!("the database's file is whole"),
        Err(error @ StoreError::Unfit(_)) => {
            tracing::error!(%error, "stopping at once");
            std::process::abort();
        }
        Err(error) => tracing::error!(%error, "the database's file could not be examined"),
    }
}
