//! Telling a merchant of an event: when to try again, and when to stop.

use std::fmt;
use std::str::FromStr;

use crate::UnknownState;
use crate::time::Moment;

/// The gaps between tries in milliseconds: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h. Ten tries over 75 h 35 min, which
/// is what Standard Webhooks 1.0 recommends.
pub const GAPS_MS: [i64; 9] = [
    5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
    86_400_000,
];

/// An endpoint that asks to be left alone is, for so long at most.
const LONGEST_PAUSE_MS: i64 = 86_400_000;

/// An endpoint that has taken nothing for so long is called no more.
const PATIENCE_MS: i64 = 7 * 86_400_000;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It is to be tried, now or later.
    Pending,
    /// The endpoint said that it has it.
    Delivered,
    /// Nobody tries any more, for a reason that is kept. It can be replayed.
    Parked,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 3] =
        [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Parked];

    /// The word in rows and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Parked => "parked",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DeliveryState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<DeliveryState, UnknownState> {
        DeliveryState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl TryFrom<String> for DeliveryState {
    type Error = UnknownState;

    fn try_from(text: String) -> Result<DeliveryState, UnknownState> {
        text.parse()
    }
}

/// What the rules need to know of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried since it was made or replayed.
    pub tries: i64,
    /// When it is to be tried next, while it is pending.
    pub next_at: Moment,
}

/// What an endpoint answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, and what its `Retry-After` comes to.
    Status(u16, Option<Moment>),
    /// None that is one: no connection, no end, or an address that may not be called.
    None,
}

/// What is to be done after a try, beside the delivery itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEffect {
    /// The endpoint is gone for good: it said so.
    DisableEndpoint,
    /// The endpoint wants nothing more until then.
    PauseEndpoint(Moment),
}

impl Delivery {
    /// A new one, to be tried at once.
    pub fn new(now: Moment) -> Delivery {
        Delivery { state: DeliveryState::Pending, tries: 0, next_at: now }
    }

    /// What becomes of a pending one that was tried. `chance` spreads the next try over the tenth of the gap that
    /// follows it, so that what failed together does not come back together.
    pub fn tried(
        self,
        answer: Answer,
        now: Moment,
        chance: u16,
    ) -> (Delivery, Option<DeliveryEffect>) {
        let tries = self.tries + 1;
        let at = |state, next_at| Delivery { state, tries, next_at };
        match answer {
            Answer::Status(200..=299, _) => return (at(DeliveryState::Delivered, now), None),
            Answer::Status(410, _) => {
                return (at(DeliveryState::Parked, now), Some(DeliveryEffect::DisableEndpoint));
            }
            Answer::Status(..) | Answer::None => {}
        }
        let pause = match answer {
            Answer::Status(429 | 503, Some(until)) if until > now => {
                Some(until.min(now.plus_millis(LONGEST_PAUSE_MS)))
            }
            _ => None,
        };
        let effect = pause.map(DeliveryEffect::PauseEndpoint);
        let Some(gap) = gap_ms(tries, chance) else {
            return (at(DeliveryState::Parked, now), effect);
        };
        let next = now.plus_millis(gap);
        (at(DeliveryState::Pending, pause.map_or(next, |until| next.max(until))), effect)
    }
}

/// How many milliseconds after the `tries`th try the next one comes; none: that was the last.
fn gap_ms(tries: i64, chance: u16) -> Option<i64> {
    let gap = GAPS_MS.get(usize::try_from(tries - 1).ok()?)?;
    Some(gap + gap / 10 * i64::from(chance) / i64::from(u16::MAX))
}

/// Whether an endpoint that has taken nothing since then is to be called no more.
pub fn is_given_up(failing_since: Moment, now: Moment) -> bool {
    now.millis_since(failing_since) >= PATIENCE_MS
}

/// Reads `Retry-After`: seconds, or an HTTP date.
pub fn retry_after(text: &str, now: Moment) -> Option<Moment> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(now.plus_millis(i64::from(seconds) * 1_000));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Moment(date.as_microsecond()))
}

/// Whether an endpoint that wants `wanted` hears of events of a kind: all if it names none; `order.*` is every kind
/// that starts with `order.`.
pub fn wants(wanted: &[String], kind: &str) -> bool {
    let fits = |pattern: &String| match pattern.strip_suffix('*') {
        Some(family) => kind.starts_with(family),
        None => pattern == kind,
    };
    wanted.is_empty() || wanted.iter().any(fits)
}

/// Whether a text may stand for kinds of events: words of `a-z` and `_` with dots between, the last of which may be `*`.
pub fn is_pattern(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'_')
    };
    let whole = text.strip_suffix(".*").unwrap_or(text);
    text.len() <= 64 && whole.split('.').all(word)
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
