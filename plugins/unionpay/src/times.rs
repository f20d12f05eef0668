//! UnionPay's times: `yyyyMMddHHmmss` in China, and shorter ones that lack the year.

use tollgate_sdk::china_time;

/// `yyyyMMddHHmmss` in China.
pub fn compact(unix_ms: i64) -> String {
    china_time::text(unix_ms).chars().filter(char::is_ascii_digit).collect()
}

/// `MMddHHmmss` near a day of a known year, as RFC 3339: at the turn of a year the other one is meant.
pub fn rfc3339_near(trace_time: &str, year: i64, month: u32) -> Option<String> {
    if trace_time.len() != 10 || !trace_time.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let of_trace: u32 = trace_time[..2].parse().ok()?;
    let year = match (of_trace, month) {
        (12, 1) => year - 1,
        (1, 12) => year + 1,
        _ => year,
    };
    let part = |from: usize| &trace_time[from..from + 2];
    let text = format!("{year:04}-{}-{} {}:{}:{}", part(0), part(2), part(4), part(6), part(8));
    china_time::rfc3339(&text)
}

/// The year and month at the head of `yyyyMMdd...`.
pub fn year_and_month(text: &str) -> Option<(i64, u32)> {
    Some((text.get(..4)?.parse().ok()?, text.get(4..6)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_a_year_gets_the_nearest() {
        assert_eq!(compact(1_703_112_877_000), "20231221065437");
        for (trace, year, month, read) in [
            ("0906112203", 2015, 9, Some("2015-09-06T11:22:03+08:00")),
            ("1231235959", 2026, 1, Some("2025-12-31T23:59:59+08:00")),
            ("0101000001", 2025, 12, Some("2026-01-01T00:00:01+08:00")),
            ("0230000000", 2026, 2, None),
            ("09061122", 2015, 9, None),
            ("09061122ab", 2015, 9, None),
        ] {
            assert_eq!(rfc3339_near(trace, year, month).as_deref(), read, "{trace}");
        }
        assert_eq!(year_and_month("20260904063059"), Some((2026, 9)));
    }
}
