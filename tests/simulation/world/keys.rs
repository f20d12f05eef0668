//! Requests under idempotency keys: what a shop sends again, and what it hears then.

use rand::RngExt;
use tollgate::flows::idempotency::Answer;
use tollgate_domain::ids::OrderId;

use super::World;
use crate::picture::Broken;
use crate::task::{Keyed, Task};
use crate::time::START;

/// A shop begins a new key for the same thing after so long: well within the day for which an answer is kept.
const KEY_LASTS_MS: i64 = 6 * 3_600_000;

/// The answer that settled a request, and the body of that request.
pub struct Settled {
    body: &'static str,
    answer: Answer,
}

impl World<'_> {
    /// Under which key a shop starts to pay an order, if it uses keys: the same for a while, and now and then, by a mistake of its
    /// own, for another request.
    pub(super) fn key_for(&mut self, order: OrderId) -> Option<Keyed> {
        if self.plan.keys == 0 || !self.happens(self.plan.keys) {
            return None;
        }
        let era = self.time.now().millis_since(START) / KEY_LASTS_MS;
        let try_ = self.chance.random_range(0..3);
        let body = if self.happens(100) { "another body" } else { "the body" };
        Some(Keyed { key: format!("{order}-{era}-{try_}"), body })
    }

    /// 2: all answers under a key are the same to the byte, and another body never runs under it.
    pub(super) fn check_keyed(
        &mut self,
        task: &Task,
        keyed: &Keyed,
        answer: &Answer,
    ) -> Result<(), Broken> {
        let place = (task.owner, keyed.key.clone());
        match self.settled.get(&place) {
            Some(first) if first.body != keyed.body => {
                Err(format!("2: {keyed:?} ran under the key of another body: {answer:?}"))
            }
            Some(first) if first.answer != *answer => {
                Err(format!("2: {keyed:?} was answered {:?} and then {answer:?}", first.answer))
            }
            Some(_) => Ok(()),
            None => {
                let settled = Settled { body: keyed.body, answer: answer.clone() };
                self.settled.insert(place, settled);
                Ok(())
            }
        }
    }
}
