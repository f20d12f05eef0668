//! What a bill is about: a day or a month in the provider's zone, or a batch; and when it can be had.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp};

use crate::time::Moment;

/// Why a text is no period of a bill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Not a day.
    #[error("must be a day such as 2026-11-21")]
    NotADay,
    /// Not a month.
    #[error("must be a month such as 2026-11")]
    NotAMonth,
    /// Not the name of a batch.
    #[error("must be 1 to 64 of A-Z, a-z, 0-9, - and _")]
    NotABatch,
    /// Not a kind of period.
    #[error("`{0}` is no kind of period: day, month or batch")]
    UnknownKind(String),
    /// Neither an offset nor a name of the zone database.
    #[error(
        "`{0}` is no time zone: an offset such as +08:00, UTC, or a name such as Asia/Shanghai"
    )]
    UnknownZone(String),
}

/// How long a bill's period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodKind {
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// Whatever the provider put together.
    Batch,
}

impl FromStr for PeriodKind {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<PeriodKind, PeriodError> {
        match text {
            "day" => Ok(PeriodKind::Day),
            "month" => Ok(PeriodKind::Month),
            "batch" => Ok(PeriodKind::Batch),
            _ => Err(PeriodError::UnknownKind(text.to_owned())),
        }
    }
}

/// Where a provider's days begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl FromStr for Zone {
    type Err = PeriodError;

    /// An offset needs no zone database, a name does.
    fn from_str(text: &str) -> Result<Zone, PeriodError> {
        let unknown = || PeriodError::UnknownZone(text.to_owned());
        if matches!(text, "UTC" | "Z") {
            return Ok(Zone(TimeZone::UTC));
        }
        let sign = match text.as_bytes().first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return TimeZone::get(text).map(Zone).map_err(|_| unknown()),
        };
        let (hours, minutes) = text[1..].split_once(':').ok_or_else(unknown)?;
        let number = |text: &str, most: i32| {
            let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|number| is_plain && *number <= most)
        };
        let (Some(hours), Some(minutes)) = (number(hours, 14), number(minutes, 59)) else {
            return Err(unknown());
        };
        let seconds = sign * (hours * 3_600 + minutes * 60);
        let offset = Offset::from_seconds(seconds).map_err(|_| unknown())?;
        Ok(Zone(TimeZone::fixed(offset)))
    }
}

impl Zone {
    /// The day that `moment` is in.
    fn date(&self, moment: Moment) -> Option<Date> {
        let timestamp = Timestamp::from_microsecond(moment.0).ok()?;
        Some(self.0.to_datetime(timestamp).date())
    }

    /// When a day begins; where clocks jump over midnight, right after the jump.
    fn start(&self, date: Date) -> Option<Moment> {
        let start = date.to_zoned(self.0.clone()).ok()?;
        Some(Moment(start.timestamp().as_microsecond()))
    }
}

/// The moments that a bill is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub start: Moment,
    /// The first that is past it.
    pub end: Moment,
    /// The bill of the period before has been compared.
    pub previous_compared: bool,
}

/// A bill's period, by the name that providers and people use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    kind: PeriodKind,
    name: String,
    /// The first day and the first that is past it.
    days: Option<(Date, Date)>,
    zone: Zone,
}

impl Period {
    /// Reads a period's name.
    ///
    /// # Errors
    /// What the name must look like.
    pub fn parse(kind: PeriodKind, zone: &Zone, name: &str) -> Result<Period, PeriodError> {
        match kind {
            PeriodKind::Day => {
                let day = plain(name, 10)
                    .and_then(|name| name.parse::<Date>().ok())
                    .ok_or(PeriodError::NotADay)?;
                Period::of_days(kind, zone, day).ok_or(PeriodError::NotADay)
            }
            PeriodKind::Month => {
                let first = plain(name, 7)
                    .and_then(|name| format!("{name}-01").parse::<Date>().ok())
                    .ok_or(PeriodError::NotAMonth)?;
                Period::of_days(kind, zone, first).ok_or(PeriodError::NotAMonth)
            }
            PeriodKind::Batch => {
                let is_plain =
                    |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
                    return Err(PeriodError::NotABatch);
                }
                Ok(Period { kind, name: name.to_owned(), days: None, zone: zone.clone() })
            }
        }
    }

    /// The day or month that `moment` is in; none for batches.
    pub fn containing(kind: PeriodKind, zone: &Zone, moment: Moment) -> Option<Period> {
        Period::of_days(kind, zone, zone.date(moment)?)
    }

    fn of_days(kind: PeriodKind, zone: &Zone, day: Date) -> Option<Period> {
        let (name, first, span) = match kind {
            PeriodKind::Day => (day.to_string(), day, Span::new().days(1)),
            PeriodKind::Month => {
                (day.strftime("%Y-%m").to_string(), day.first_of_month(), Span::new().months(1))
            }
            PeriodKind::Batch => return None,
        };
        let end = first.checked_add(span).ok()?;
        // Whoever asks for its moments later must not fail.
        zone.start(first)?;
        zone.start(end)?;
        Some(Period { kind, name, days: Some((first, end)), zone: zone.clone() })
    }

    /// Its name: `2026-11-21`, `2026-11`, or the batch's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The day or month after it; none for a batch.
    pub fn next(&self) -> Option<Period> {
        Period::of_days(self.kind, &self.zone, self.days?.1)
    }

    /// The day or month before it; none for a batch.
    pub fn previous(&self) -> Option<Period> {
        Period::of_days(self.kind, &self.zone, self.days?.0.yesterday().ok()?)
    }

    /// Its moments; none for a batch.
    pub fn window(&self, previous_compared: bool) -> Option<Window> {
        let (first, end) = self.days?;
        let (start, end) = (self.zone.start(first)?, self.zone.start(end)?);
        Some(Window { start, end, previous_compared })
    }

    /// When its bill can be had, so many hours after it has ended; none for a batch.
    pub fn ready_at(&self, after_hours: u32) -> Option<Moment> {
        let end = self.window(false)?.end;
        Some(end.plus_millis(i64::from(after_hours).saturating_mul(3_600_000)))
    }

    /// The newest period whose bill can be had at `now`; none for batches.
    pub fn newest_ready(
        kind: PeriodKind,
        zone: &Zone,
        after_hours: u32,
        now: Moment,
    ) -> Option<Period> {
        let late = now.plus_millis(i64::from(after_hours).saturating_mul(-3_600_000));
        Period::containing(kind, zone, late)?.previous()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Digits and dashes, no more and no less: other spellings of a date would be other names of the same bill.
fn plain(name: &str, length: usize) -> Option<&str> {
    let is_digit = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    (name.len() == length && name.bytes().enumerate().all(is_digit)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Zone {
        text.parse().unwrap()
    }

    fn moment(text: &str) -> Moment {
        text.parse().unwrap()
    }

    #[test]
    fn a_days_moments_are_those_of_its_zone() {
        let rows = [
            ("+08:00", "2026-11-21", "2026-11-20T16:00:00Z", "2026-11-21T16:00:00Z"),
            ("Asia/Shanghai", "2026-11-21", "2026-11-20T16:00:00Z", "2026-11-21T16:00:00Z"),
            ("UTC", "2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            // 25 hours, 23 hours, and a day that begins at one o'clock.
            ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/Santiago", "2024-09-08", "2024-09-08T04:00:00Z", "2024-09-09T03:00:00Z"),
        ];
        for (name, day, start, end) in rows {
            let period = Period::parse(PeriodKind::Day, &zone(name), day).unwrap();
            let window = period.window(false).unwrap();
            assert_eq!((window.start, window.end), (moment(start), moment(end)), "{name} {day}");
            assert_eq!(period.name(), day);
        }
    }

    #[test]
    fn months_and_batches() {
        let month = Period::parse(PeriodKind::Month, &zone("+08:00"), "2026-12").unwrap();
        let window = month.window(true).unwrap();
        assert_eq!(window.start, moment("2026-12-01T00:00:00+08:00"));
        assert_eq!(window.end, moment("2027-01-01T00:00:00+08:00"));
        assert_eq!(month.next().unwrap().name(), "2027-01");
        assert_eq!(month.previous().unwrap().name(), "2026-11");
        let batch = Period::parse(PeriodKind::Batch, &zone("UTC"), "po_1-A").unwrap();
        assert_eq!((batch.window(true), batch.next(), batch.ready_at(1)), (None, None, None));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let rows = [
            (PeriodKind::Day, "2026-02-30", PeriodError::NotADay),
            (PeriodKind::Day, "2026-2-3", PeriodError::NotADay),
            (PeriodKind::Day, "20260203", PeriodError::NotADay),
            (PeriodKind::Day, "2026-11", PeriodError::NotADay),
            (PeriodKind::Day, "9999-12-31", PeriodError::NotADay),
            (PeriodKind::Month, "2026-13", PeriodError::NotAMonth),
            (PeriodKind::Month, "2026-11-21", PeriodError::NotAMonth),
            (PeriodKind::Batch, "", PeriodError::NotABatch),
            (PeriodKind::Batch, "../etc", PeriodError::NotABatch),
        ];
        for (kind, name, error) in rows {
            assert_eq!(Period::parse(kind, &zone("+08:00"), name), Err(error), "{name}");
        }
        for name in ["", "+8", "+08:60", "+15:00", "+0800", "08:00", "Mars/Olympus", "+é:00"] {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_bill_is_ready_some_hours_after_its_period() {
        let day = Period::parse(PeriodKind::Day, &zone("+08:00"), "2026-11-21").unwrap();
        assert_eq!(day.ready_at(10), Some(moment("2026-11-22T10:00:00+08:00")));
        let rows = [
            ("2026-11-22T09:59:59+08:00", "2026-11-20"),
            ("2026-11-22T10:00:00+08:00", "2026-11-21"),
            ("2026-11-23T09:59:59+08:00", "2026-11-21"),
        ];
        for (now, name) in rows {
            let newest = Period::newest_ready(PeriodKind::Day, &zone("+08:00"), 10, moment(now));
            assert_eq!(newest.unwrap().name(), name, "{now}");
        }
    }
}
