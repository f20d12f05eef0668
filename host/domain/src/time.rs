//! Moments: integer microseconds since the Unix epoch, UTC. Text only at the edges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub i64);

impl Moment {
    /// From milliseconds, the unit of the plugin contract. Saturates at the ends of the range.
    pub fn from_millis(millis: i64) -> Moment {
        Moment(millis.saturating_mul(1_000))
    }

    /// In milliseconds, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Later by so many milliseconds (earlier if negative). Saturates.
    pub fn plus_millis(self, millis: i64) -> Moment {
        Moment(self.0.saturating_add(millis.saturating_mul(1_000)))
    }

    /// The distance to `earlier` in milliseconds, negative if that one is later.
    pub fn millis_since(self, earlier: Moment) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1_000)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.6}"),
            Err(_) => f.write_str("out of range"),
        }
    }
}

impl From<i64> for Moment {
    /// From microseconds, as rows keep it.
    fn from(micros: i64) -> Moment {
        Moment(micros)
    }
}

impl FromStr for Moment {
    type Err = jiff::Error;

    /// Reads RFC 3339 with an offset.
    fn from_str(text: &str) -> Result<Moment, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|timestamp| Moment(timestamp.as_microsecond()))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_to_the_microsecond() {
        let moment: Moment = "2026-11-22T10:00:00.123456+08:00".parse().unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T02:00:00.123456Z");
        assert_eq!(moment.to_string().parse::<Moment>().unwrap(), moment);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Moment(i64::MAX).plus_millis(1), Moment(i64::MAX));
        assert_eq!(Moment(-1).millis(), -1);
    }
}
