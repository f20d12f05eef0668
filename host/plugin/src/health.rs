//! How a plugin fares: failures in a row lead to quarantine, with the reason shown, and out of it again.
//!
//! Requests, notices and bills are told apart. A stranger may send messages that no reader survives; that must not
//! stop payments, and stops the provider's own messages for half a minute after each, no longer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::call::CallError;
use crate::limits::Limits;

/// Kinds of calls, each with its own account of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// `requests.build` and `requests.interpret`.
    Requests,
    /// `notices.read` and `notices.acknowledge`.
    Notices,
    /// `bills.parse`.
    Bills,
}

/// How one kind of a plugin's calls fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Which kind.
    pub lane: Lane,
    /// Calls that ended, well or not.
    pub calls: u64,
    /// Calls that trapped, ran out of time or out of memory.
    pub failures: u64,
    /// Failures since the last success.
    pub in_a_row: u32,
    /// Set while calls of this kind are refused.
    pub quarantine: Option<Quarantine>,
}

/// Calls are refused for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// What the last call died of.
    pub reason: String,
    /// How long it still lasts; then one call is tried.
    pub remaining: Duration,
}

/// Longest quarantine.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a call that was not brisk adds to its plugin's slowness. A brisk one takes one away. A single slow call says
/// little: it may have been cold, or the machine was not ours meanwhile.
const SLOWNESS: u32 = 8;
/// Beyond so much, a plugin is known for being slow.
const SLOW: u32 = 3 * SLOWNESS;
/// What is remembered of it at most.
const MOST_SLOWNESS: u32 = 8 * SLOWNESS;

#[derive(Debug, Default)]
struct Record {
    calls: u64,
    failures: u64,
    in_a_row: u32,
    quarantines: u32,
    until: Option<Instant>,
    reason: String,
    slowness: u32,
    hung: Arc<AtomicBool>,
}

/// What a plugin's calls of one kind are known for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repute {
    /// They are brisk.
    Brisk,
    /// Too many of the last ones were not.
    Slow,
    /// The last one failed.
    Failed,
    /// One hung or took all memory, and none has ended well since.
    Hung,
}

/// How a call may go ahead.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    /// After a failure, one at a time, so that a plugin that hangs holds one thread and not all of its share.
    pub alone: bool,
    /// What is expected of it.
    pub repute: Repute,
    /// Where the call tells that it hangs.
    pub hung: Arc<AtomicBool>,
}

/// The records of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Ward {
    records: [Mutex<Record>; 3],
}

impl Ward {
    fn record(&self, lane: Lane) -> MutexGuard<'_, Record> {
        let record = match lane {
            Lane::Requests => &self.records[0],
            Lane::Notices => &self.records[1],
            Lane::Bills => &self.records[2],
        };
        record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a call may go ahead, and how.
    pub fn admit(&self, lane: Lane, now: Instant) -> Result<Admission, CallError> {
        let record = self.record(lane);
        if record.until.is_some_and(|until| now < until) {
            return Err(CallError::Refused {
                reason: format!("the plugin is in quarantine: {}", record.reason),
            });
        }
        let alone = record.in_a_row > 0;
        let repute = if record.hung.load(Ordering::Relaxed) {
            Repute::Hung
        } else if alone {
            Repute::Failed
        } else if record.slowness > SLOW {
            Repute::Slow
        } else {
            Repute::Brisk
        };
        Ok(Admission { alone, repute, hung: Arc::clone(&record.hung) })
    }

    /// Takes note of whether a call was brisk, however it ended.
    pub fn note_pace(&self, lane: Lane, was_brisk: bool) {
        let mut record = self.record(lane);
        record.slowness = if was_brisk {
            record.slowness.saturating_sub(1)
        } else {
            MOST_SLOWNESS.min(record.slowness + SLOWNESS)
        };
    }

    /// Takes note of how a call ended. What is no fault of the plugin's counts for nothing.
    pub fn note(&self, lane: Lane, error: Option<&CallError>, limits: &Limits, now: Instant) {
        let mut record = self.record(lane);
        match error {
            None => {
                record.calls += 1;
                record.in_a_row = 0;
                record.quarantines = 0;
                record.until = None;
                record.hung.store(false, Ordering::Relaxed);
            }
            Some(error) if error.is_the_plugins() => {
                record.calls += 1;
                record.failures += 1;
                record.in_a_row = record.in_a_row.saturating_add(1);
                record.reason = error.to_string();
                if matches!(error, CallError::Deadline | CallError::Memory) {
                    record.hung.store(true, Ordering::Relaxed);
                }
                // What ends while one lasts had begun before it, and makes it no longer.
                let rests = record.until.is_some_and(|until| now < until);
                if record.in_a_row >= limits.failures_to_quarantine && !rests {
                    let doubled =
                        if lane == Lane::Notices { 0 } else { record.quarantines.min(20) };
                    let factor = 2u32.saturating_pow(doubled);
                    let rest = limits.quarantine.saturating_mul(factor).min(LONGEST);
                    record.quarantines += 1;
                    record.until = Some(now + rest);
                }
            }
            Some(_) => {}
        }
    }

    pub fn health(&self, now: Instant) -> Vec<Health> {
        [Lane::Requests, Lane::Notices, Lane::Bills]
            .into_iter()
            .map(|lane| {
                let record = self.record(lane);
                let remaining = record.until.map(|until| until.saturating_duration_since(now));
                Health {
                    lane,
                    calls: record.calls,
                    failures: record.failures,
                    in_a_row: record.in_a_row,
                    quarantine: remaining
                        .filter(|remaining| !remaining.is_zero())
                        .map(|remaining| Quarantine { reason: record.reason.clone(), remaining }),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trap() -> CallError {
        CallError::Trap { reason: "unreachable".into() }
    }

    #[test]
    fn failures_in_a_row_lead_to_quarantine_and_out_again() {
        let (ward, limits, start) = (Ward::default(), Limits::default(), Instant::now());
        for _ in 0..4 {
            ward.note(Lane::Requests, Some(&trap()), &limits, start);
        }
        assert!(ward.admit(Lane::Requests, start).unwrap().alone);
        ward.note(Lane::Requests, Some(&trap()), &limits, start);
        let refused = ward.admit(Lane::Requests, start).unwrap_err();
        assert!(refused.to_string().contains("unreachable"), "{refused}");

        // Its other calls go on.
        assert!(!ward.admit(Lane::Notices, start).unwrap().alone);

        // After it, one call at a time; the next failure is quarantined at once, and for twice as long.
        let later = start + limits.quarantine;
        assert!(ward.admit(Lane::Requests, later).unwrap().alone);
        ward.note(Lane::Requests, Some(&trap()), &limits, later);
        assert!(ward.admit(Lane::Requests, later + limits.quarantine).is_err());
        let much_later = later + limits.quarantine * 2;
        assert!(ward.admit(Lane::Requests, much_later).unwrap().alone);
        ward.note(Lane::Requests, None, &limits, much_later);
        assert!(!ward.admit(Lane::Requests, much_later).unwrap().alone);
        assert_eq!(ward.health(much_later)[0].failures, 6);
    }

    #[test]
    fn calls_that_end_during_a_quarantine_do_not_make_it_longer() {
        let (ward, limits, start) = (Ward::default(), Limits::default(), Instant::now());
        for _ in 0..50 {
            ward.note(Lane::Requests, Some(&trap()), &limits, start);
        }
        assert!(ward.admit(Lane::Requests, start + limits.quarantine).is_ok());
    }

    #[test]
    fn what_strangers_can_bring_about_does_not_grow() {
        let (ward, limits, mut now) = (Ward::default(), Limits::default(), Instant::now());
        for _ in 0..10 {
            for _ in 0..limits.failures_to_quarantine {
                ward.note(Lane::Notices, Some(&trap()), &limits, now);
            }
            assert!(ward.admit(Lane::Notices, now).is_err());
            now += limits.quarantine;
            assert!(ward.admit(Lane::Notices, now).is_ok());
        }
    }

    #[test]
    fn who_hung_is_suspected_until_a_call_ends_well() {
        let (ward, limits, now) = (Ward::default(), Limits::default(), Instant::now());
        let first = ward.admit(Lane::Requests, now).unwrap();
        assert_eq!(first.repute, Repute::Brisk);
        first.hung.store(true, Ordering::Relaxed);
        let next = ward.admit(Lane::Requests, now).unwrap();
        assert!(next.repute == Repute::Hung && !next.alone);
        assert_eq!(ward.admit(Lane::Notices, now).unwrap().repute, Repute::Brisk);
        ward.note(Lane::Requests, None, &limits, now);
        assert_eq!(ward.admit(Lane::Requests, now).unwrap().repute, Repute::Brisk);
        for (error, repute) in [
            (trap(), Repute::Failed),
            (CallError::Memory, Repute::Hung),
            (CallError::Deadline, Repute::Hung),
        ] {
            ward.note(Lane::Requests, None, &limits, now);
            ward.note(Lane::Requests, Some(&error), &limits, now);
            assert_eq!(ward.admit(Lane::Requests, now).unwrap().repute, repute, "{error}");
        }
    }

    #[test]
    fn who_is_slow_again_and_again_is_known_for_it() {
        let (ward, now) = (Ward::default(), Instant::now());
        let repute = || ward.admit(Lane::Requests, now).unwrap().repute;
        for _ in 0..3 {
            ward.note_pace(Lane::Requests, false);
            assert_eq!(repute(), Repute::Brisk);
        }
        ward.note_pace(Lane::Requests, false);
        assert_eq!(repute(), Repute::Slow);
        assert_eq!(ward.admit(Lane::Notices, now).unwrap().repute, Repute::Brisk);
        for _ in 0..8 {
            ward.note_pace(Lane::Requests, true);
        }
        assert_eq!(repute(), Repute::Brisk);
        // One in four is too many.
        for call in 0..40 {
            ward.note_pace(Lane::Requests, call % 4 != 0);
        }
        assert_eq!(repute(), Repute::Slow);
    }

    #[test]
    fn what_is_no_fault_of_the_plugins_does_not_count() {
        let (ward, limits, now) = (Ward::default(), Limits::default(), Instant::now());
        for _ in 0..20 {
            ward.note(Lane::Notices, Some(&CallError::Busy), &limits, now);
        }
        assert!(!ward.admit(Lane::Notices, now).unwrap().alone);
    }
}
