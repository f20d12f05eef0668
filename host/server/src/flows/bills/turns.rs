//! One at a time for a bill, and for a comparison: a long one outlives its job's lease, and whoever takes the job over
//! must not begin it anew beside the first. Between gateways the bill's attempt decides, so this spares work only.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::Chosen;
use crate::store::Clock;

/// Queues that may lie around unused.
const MOST_IDLE: usize = 256;

/// How often whoever waits looks whether it still has to. It changes nothing but that its wait is the clock's.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What is done to a period's bill.
#[derive(Clone, Copy, Debug)]
pub(in crate::flows) enum Work {
    /// Getting it.
    Fetch,
    /// Comparing it.
    Compare,
}

/// Who is at which bill in this gateway.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// The turn, for as long as it is held.
pub(in crate::flows) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// The turn to do it, unless somebody has it.
    pub(in crate::flows) fn at_once(&self, chosen: &Chosen, work: Work) -> Option<Turn> {
        self.queue(chosen, work).try_lock_owned().ok()
    }

    /// The turn to do it, however long others take.
    pub(in crate::flows) async fn wait(
        &self,
        chosen: &Chosen,
        work: Work,
        clock: &dyn Clock,
    ) -> Turn {
        let mut turn = pin!(self.queue(chosen, work).lock_owned());
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return turn,
                () = clock.pass(LOOK_AGAIN) => {}
            }
        }
    }

    fn queue(&self, chosen: &Chosen, work: Work) -> Arc<tokio::sync::Mutex<()>> {
        let (account, kind) = (chosen.account.row.id, &chosen.kind.id);
        let key = format!("{work:?} {account} {kind} {}", chosen.period);
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() > MOST_IDLE {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        queues.entry(key).or_default().clone()
    }
}
