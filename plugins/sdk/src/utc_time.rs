//! Times in UTC: Unix seconds to RFC 3339, and days to their first millisecond.

use crate::china_time;

const CHINA_MS: i64 = 8 * 3_600_000;

/// Writes Unix milliseconds as RFC 3339 in UTC; parts of a second are cut off.
pub fn rfc3339(unix_ms: i64) -> String {
    let text = china_time::text(unix_ms.saturating_sub(CHINA_MS));
    format!("{}T{}Z", &text[..10], &text[11..])
}

/// Reads RFC 3339 in UTC, `yyyy-MM-ddThh:mm:ssZ`, with or without `.mmm`, as Unix milliseconds.
pub fn unix_ms(text: &str) -> Option<i64> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    china_time::unix_ms(&format!("{day} {time}")).map(|at| at + CHINA_MS)
}

/// The first millisecond of a day `yyyy-MM-dd`.
pub fn start_of_day(day: &str) -> Option<i64> {
    if day.len() != 10 {
        return None;
    }
    china_time::unix_ms(&format!("{day} 00:00:00")).map(|at| at + CHINA_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_seconds_are_those_of_greenwich() {
        assert_eq!(rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(start_of_day("2023-11-14"), Some(1_699_920_000_000));
        assert_eq!(start_of_day("2023-11-31"), None);
        assert_eq!(start_of_day("2023-11"), None);
        assert_eq!(unix_ms("2023-11-14T22:13:20Z"), Some(1_700_000_000_000));
        assert_eq!(unix_ms("2023-11-14T22:13:20.125Z"), Some(1_700_000_000_125));
        for text in ["2023-11-14T22:13:20", "2023-11-14 22:13:20Z", "2023-11-14T24:13:20Z", "Z"] {
            assert_eq!(unix_ms(text), None, "{text}");
        }
    }
}
