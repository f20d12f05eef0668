//! What to do about a refund that the provider does not know of: never sent twice unless a repeat does no harm.

use crate::refund::{Refund, RefundState};
use crate::time::Moment;

/// What a provider promises about refunds, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// For how long after the first sending a repeat with the same reference changes nothing; none: never repeat.
    pub repeat_ms: Option<u64>,
    /// How long after a sending "there is no such refund" is final; none: never.
    pub absent_after_ms: Option<u64>,
    /// How long one sending may be under way.
    pub sending_ms: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: its sending may still be under way.
    Wait,
    /// Send it again, with the same reference.
    Repeat,
    /// It never came to be, and never will under this reference.
    GiveUp,
    /// Only people can tell.
    Ask,
}

/// What to do about a refund that was first sent at `sent`, and of which the provider has just said that there is none,
/// or that cannot be asked about.
pub fn when_absent(refund: &Refund, sent: Moment, now: Moment, promise: &Promise) -> Step {
    let age_ms = u64::try_from(now.millis_since(sent)).unwrap_or(0);
    let is_under_way =
        refund.state == RefundState::Requested && age_ms <= promise.sending_ms.saturating_mul(2);
    if is_under_way {
        return Step::Wait;
    }
    if promise.repeat_ms.is_some_and(|within| age_ms < within) {
        return Step::Repeat;
    }
    // The last repeat may have gone out at the very end of its time, and is found no sooner than the first sending was.
    let last_ms = promise.repeat_ms.unwrap_or(0);
    match promise.absent_after_ms {
        Some(final_ms) if age_ms >= last_ms.saturating_add(final_ms) => Step::GiveUp,
        Some(_) => Step::Wait,
        None => Step::Ask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_again_past_its_window() {
        use RefundState::{NeedsAction, Pending, Requested, Unknown};
        let rows = [
            // state, age, repeat within, final after
            (Requested, 0, Some(1_000), None, Step::Wait),
            (Requested, 200, Some(1_000), None, Step::Wait),
            (Requested, 201, Some(1_000), None, Step::Repeat),
            (Unknown, 0, Some(1_000), None, Step::Repeat),
            (Pending, 999, Some(1_000), None, Step::Repeat),
            (NeedsAction, 999, Some(1_000), Some(5), Step::Repeat),
            (Unknown, 1_000, Some(1_000), None, Step::Ask),
            (Unknown, 0, None, None, Step::Ask),
            (Unknown, 0, None, Some(500), Step::Wait),
            (Unknown, 499, None, Some(500), Step::Wait),
            (Unknown, 500, None, Some(500), Step::GiveUp),
            (Unknown, 1_000, Some(1_000), Some(2_000), Step::Wait),
            // A repeat that went out at the last moment has as long to be found.
            (Unknown, 2_999, Some(1_000), Some(2_000), Step::Wait),
            (Unknown, 3_000, Some(1_000), Some(2_000), Step::GiveUp),
            (Requested, 100, None, Some(50), Step::Wait),
            // A clock that was set back is no reason to send.
            (Requested, -5, None, None, Step::Wait),
        ];
        for (state, age_ms, repeat_ms, absent_after_ms, wanted) in rows {
            let refund = Refund { state, ..Refund::new(300, Moment(0)) };
            let promise = Promise { repeat_ms, absent_after_ms, sending_ms: 100 };
            let sent = Moment::from_millis(10_000);
            let step = when_absent(&refund, sent, sent.plus_millis(age_ms), &promise);
            assert_eq!(step, wanted, "{state} {age_ms} {repeat_ms:?} {absent_after_ms:?}");
        }
    }
}
