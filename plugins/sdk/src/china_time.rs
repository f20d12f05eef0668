//! China time text (`yyyy-MM-dd HH:mm:ss`, UTC+8, no summer time since 1991) to Unix milliseconds and back, by
//! arithmetic alone: a component has no time zone tables.

const OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Writes a Unix time in milliseconds as `yyyy-MM-dd HH:mm:ss` in China; parts of a second are cut off.
pub fn text(unix_ms: i64) -> String {
    let local = unix_ms.saturating_add(OFFSET_MS);
    let (year, month, day) = civil(local.div_euclid(DAY_MS));
    let second = local.rem_euclid(DAY_MS) / 1000;
    let mut out = String::with_capacity(20);
    // By hand: formatting takes many times as long, and each request carries such a time or two.
    match year {
        0..10_000 => out.extend([year / 100, year % 100].into_iter().flat_map(two)),
        _ => out.push_str(&year.to_string()),
    }
    let rest = [('-', month), ('-', day), (' ', second / 3600), (':', second / 60 % 60)];
    for (mark, number) in rest.into_iter().chain([(':', second % 60)]) {
        out.push(mark);
        out.extend(two(number));
    }
    out
}

/// Two digits of a number below a hundred.
fn two(number: i64) -> [char; 2] {
    [number / 10, number % 10].map(|digit| char::from(b'0' + u8::try_from(digit).unwrap_or(0)))
}

/// Reads `yyyy-MM-dd HH:mm:ss`, with or without `.mmm`, as a Unix time in milliseconds.
pub fn unix_ms(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = |at: usize, mark: u8| bytes.get(at) == Some(&mark);
    if !(shape(4, b'-') && shape(7, b'-') && shape(10, b' ') && shape(13, b':') && shape(16, b':'))
    {
        return None;
    }
    let milli = match bytes.len() {
        19 => 0,
        23 if shape(19, b'.') => number(bytes, 20, 23)?,
        _ => return None,
    };
    let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 7)?, number(bytes, 8, 10)?);
    let (hour, minute, second) =
        (number(bytes, 11, 13)?, number(bytes, 14, 16)?, number(bytes, 17, 19)?);
    let days = days(year, month, day);
    let is_real = (1..=12).contains(&month) && civil(days) == (year, month, day);
    if !is_real || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000 + milli - OFFSET_MS)
}

/// Rewrites China time text as RFC 3339 with its offset.
pub fn rfc3339(text: &str) -> Option<String> {
    unix_ms(text)?;
    let mut out = String::with_capacity(29);
    out.push_str(&text[..10]);
    out.push('T');
    out.push_str(&text[11..]);
    out.push_str("+08:00");
    Some(out)
}

fn number(bytes: &[u8], from: usize, to: usize) -> Option<i64> {
    bytes[from..to].iter().try_fold(0, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Days since 1970-01-01 of a date in the Gregorian calendar, by eras of 400 years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(text(0), "1970-01-01 08:00:00");
        assert_eq!(text(1_703_141_677_999), "2023-12-21 14:54:37");
        assert_eq!(unix_ms("2023-12-21 14:54:37"), Some(1_703_141_677_000));
        assert_eq!(unix_ms("2019-09-16 11:00:00.123"), Some(1_568_602_800_123));
        assert_eq!(unix_ms("2024-02-29 00:00:00"), Some(1_709_136_000_000));
        assert_eq!(rfc3339("2019-09-16 11:00:00").unwrap(), "2019-09-16T11:00:00+08:00");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for bad in [
            "",
            "2023-02-29 00:00:00",
            "2023-13-01 00:00:00",
            "2023-00-01 00:00:00",
            "2023-01-32 00:00:00",
            "2023-01-01 24:00:00",
            "2023-01-01T00:00:00",
            "2023-01-01 00:00:0",
            "2023-01-01 00:00:00.1",
            "2023-01-01 00:60:00",
            "\u{4f60}23-01-01 00:00:00",
            "2023-1-01  00:00:00",
        ] {
            assert_eq!(unix_ms(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_second_reads_back(second in -62_135_000_000i64..253_402_000_000) {
            prop_assert_eq!(unix_ms(&text(second * 1000)), Some(second * 1000));
        }
    }
}
