//! Waiting for something to come true, with an end to it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a test waits for what must happen. Generous: a machine that is busy is no bug.
pub const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(15);

/// Asks `probe` again and again until it has something.
///
/// # Panics
/// If it never has.
pub async fn until<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut probe: F) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        sleep(GLANCE).await;
    }
}
