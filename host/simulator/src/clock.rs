//! The one clock of the simulator: real or fixed, moved by the control API, told in China time.
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};
use tokio::sync::watch;

/// Where the clock's time comes from before it is moved.
#[derive(Clone, Copy, Debug, Default)]
pub enum ClockSource {
    /// The machine's clock.
    #[default]
    Real,
    /// A time that stands still unless the control API moves it.
    Fixed(Timestamp),
}

/// A clock that can be moved forward while the simulator runs.
#[derive(Debug)]
pub struct Clock {
    source: ClockSource,
    offset_ms: AtomicI64,
    books_ms: AtomicI64,
    moved: watch::Sender<()>,
}

impl Clock {
    /// A clock that starts at the source's time.
    pub fn new(source: ClockSource) -> Clock {
        Clock {
            source,
            offset_ms: AtomicI64::new(0),
            books_ms: AtomicI64::new(0),
            moved: watch::Sender::new(()),
        }
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        let base = match self.source {
            ClockSource::Real => Timestamp::now(),
            ClockSource::Fixed(at) => at,
        };
        later(base, SignedDuration::from_millis(self.offset_ms.load(Ordering::SeqCst)))
    }

    /// Moves the clock by `ms` milliseconds and wakes whoever waits for a time.
    pub fn advance(&self, ms: i64) {
        self.offset_ms.fetch_add(ms, Ordering::SeqCst);
        self.moved.send_replace(());
    }

    /// The time at which things happen in the providers' books. Signatures are made and judged by [`Clock::now`].
    pub fn of_books(&self) -> Timestamp {
        later(self.now(), SignedDuration::from_millis(self.books_ms.load(Ordering::SeqCst)))
    }

    /// Moves the time of the books by `ms` milliseconds and leaves the clock alone: a day's bill is complete at once if the
    /// books live on the day before.
    pub fn move_books(&self, ms: i64) {
        self.books_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Becomes ready each time when the clock is moved.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// How long the clock needs to reach `due`; zero when it is past.
    pub fn until(&self, due: Timestamp) -> Duration {
        Duration::try_from(due.duration_since(self.now())).unwrap_or(Duration::ZERO)
    }
}

/// `at` plus `span`, held inside the range that a timestamp can tell.
pub fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(at)
}

/// China has had one zone without daylight saving since 1991, so no zone database is asked.
pub fn china() -> TimeZone {
    TimeZone::fixed(Offset::constant(8))
}

/// The wall clock of China at `at`.
pub fn in_china(at: Timestamp) -> Zoned {
    at.to_zoned(china())
}

/// `yyyy-MM-dd HH:mm:ss` in China.
pub fn china_text(at: Timestamp) -> String {
    in_china(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Reads `yyyy-MM-dd HH:mm:ss` in China.
pub fn read_china_text(text: &str) -> Option<Timestamp> {
    if text.len() != 19 {
        return None;
    }
    let wall = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    Some(wall.to_zoned(china()).ok()?.timestamp())
}

/// The first moment of `day` in China.
pub fn start_of(day: Date) -> Timestamp {
    day.to_zoned(china()).map(|zoned| zoned.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn china_time_is_eight_hours_ahead() {
        let at: Timestamp = "2023-12-21T16:30:00Z".parse().unwrap();
        assert_eq!(china_text(at), "2023-12-22 00:30:00");
        assert_eq!(read_china_text("2023-12-22 00:30:00"), Some(at));
        assert_eq!(start_of("2023-12-22".parse().unwrap()).to_string(), "2023-12-21T16:00:00Z");
    }

    #[test]
    fn other_time_texts_are_refused() {
        for text in ["", "2023-12-22", "2023-12-22T00:30:00", "2023-13-22 00:30:00", "x"] {
            assert_eq!(read_china_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let at: Timestamp = "2023-12-21T16:30:00Z".parse().unwrap();
        let clock = Clock::new(ClockSource::Fixed(at));
        assert_eq!(clock.now(), at);
        clock.advance(1_500);
        assert_eq!(clock.now().to_string(), "2023-12-21T16:30:01.5Z");
    }
}
