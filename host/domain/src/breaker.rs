//! Leaving a provider alone that does not answer, and finding out when it does again.
//!
//! After several silences in a row questions wait; then one goes ahead at a time, and its answer opens the way for
//! all. What a payer waits for is never held back: such calls go through, and tell as much as a question does.

use crate::schedule::spread_ms;
use crate::time::Moment;

/// So many silences in a row, and questions wait.
const SILENCES: u32 = 5;
/// How long the first time, and how long at most.
const FIRST_WAIT_MS: i64 = 5_000;
const LONGEST_WAIT_MS: i64 = 60_000;

/// How a provider has been answering on one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    silences: u32,
    /// Until when questions wait; none: they do not.
    shut_until: Option<Moment>,
    /// How often it was shut since the last answer.
    times_shut: u32,
}

/// Whether questions may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As many as there are places for.
    Free,
    /// One at a time: nobody knows yet whether the provider is back.
    Probe,
    /// None until then.
    Shut(Moment),
}

impl Breaker {
    /// Whether questions may go ahead now.
    pub fn room(&self, now: Moment) -> Room {
        match self.shut_until {
            None => Room::Free,
            Some(until) if now < until => Room::Shut(until),
            Some(_) => Room::Probe,
        }
    }

    /// Until when questions wait, or waited since the last answer; none: the provider answers.
    pub fn shut_until(&self) -> Option<Moment> {
        self.shut_until
    }

    /// The provider answered: everything may go ahead.
    pub fn answered(&mut self) {
        *self = Breaker::default();
    }

    /// It did not. `draw` spreads the wait.
    pub fn was_silent(&mut self, now: Moment, draw: u32) {
        self.silences = self.silences.saturating_add(1);
        // What was under way when it was shut tells nothing new.
        if self.silences < SILENCES || matches!(self.room(now), Room::Shut(_)) {
            return;
        }
        let wait = (FIRST_WAIT_MS << self.times_shut.min(8)).min(LONGEST_WAIT_MS);
        self.times_shut = self.times_shut.saturating_add(1);
        self.shut_until = Some(now.plus_millis(spread_ms(wait, draw)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The middle of the spread.
    const MIDDLE: u32 = u32::MAX / 2 + 1;

    fn at(seconds: i64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    fn silent(times: u32, now: Moment) -> Breaker {
        let mut breaker = Breaker::default();
        (0..times).for_each(|_| breaker.was_silent(now, MIDDLE));
        breaker
    }

    #[test]
    fn it_shuts_after_silences_in_a_row_only() {
        assert_eq!(silent(SILENCES - 1, at(0)).room(at(0)), Room::Free);
        assert_eq!(silent(SILENCES, at(0)).room(at(0)), Room::Shut(at(5)));
        let mut breaker = silent(SILENCES - 1, at(0));
        breaker.answered();
        breaker.was_silent(at(0), MIDDLE);
        assert_eq!(breaker.room(at(0)), Room::Free);
    }

    #[test]
    fn then_one_at_a_time_until_an_answer() {
        let mut breaker = silent(SILENCES, at(0));
        assert_eq!(breaker.room(at(5)), Room::Probe);
        assert_eq!(breaker.room(at(500)), Room::Probe);
        breaker.answered();
        assert_eq!(breaker.room(at(500)), Room::Free);
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn each_silent_probe_makes_the_wait_longer_up_to_a_minute() {
        let mut breaker = silent(SILENCES, at(0));
        let mut now = at(5);
        for wait in [10, 20, 40, 60, 60, 60] {
            breaker.was_silent(now, MIDDLE);
            let until = now.plus_millis(wait * 1_000);
            assert_eq!(breaker.room(now), Room::Shut(until), "{wait} s");
            now = until;
        }
    }

    #[test]
    fn what_was_under_way_does_not_lengthen_it() {
        let mut breaker = silent(SILENCES, at(0));
        for _ in 0..10 {
            breaker.was_silent(at(1), MIDDLE);
        }
        assert_eq!(breaker.room(at(1)), Room::Shut(at(5)));
    }
}
