//! One at a time for a bill, and for a comparison: a long one outlives its job's lease, and whoever takes the job over
//! must not begin it anew beside the first. Between processes the bill's attempt decides, so this spares work only.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::Chosen;

type Queue = Arc<tokio::sync::Mutex<()>>;

/// Account ids are unique wherever they come from, so that one table serves every gateway of this process.
static QUEUES: LazyLock<Mutex<HashMap<String, Queue>>> = LazyLock::new(Mutex::default);

/// Queues that may lie around unused.
const MOST_IDLE: usize = 256;

/// What is done to a period's bill.
#[derive(Clone, Copy, Debug)]
pub(in crate::flows) enum Work {
    /// Getting it.
    Fetch,
    /// Comparing it.
    Compare,
}

/// Where those who want to do it queue.
pub(in crate::flows) fn queue(chosen: &Chosen, work: Work) -> Queue {
    let (account, kind) = (chosen.account.row.id, &chosen.kind.id);
    let key = format!("{work:?} {account} {kind} {}", chosen.period);
    let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
    if queues.len() > MOST_IDLE {
        queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    }
    queues.entry(key).or_default().clone()
}
