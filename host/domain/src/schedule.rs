//! When to ask a provider again about what has not been heard of. Never gives up: it only gets slower.

/// The gaps where a provider names none: 2 s, 5 s, 15 s, 1 min, 5 min, 30 min, 2 h, in milliseconds.
pub const USUAL_GAPS_MS: [u32; 7] = [2_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000];

const DAY_MS: i64 = 86_400_000;

/// The longest wait before something of our own that broke down is tried again.
const LONGEST_RETRY_MS: i64 = 7_200_000;

/// How many milliseconds to wait before the next question, `asked` being how many there were: the provider's own
/// gaps first, or the usual ones; then daily.
pub fn next_gap_ms(provider_gaps: &[u32], asked: i64) -> i64 {
    let gaps = if provider_gaps.is_empty() { &USUAL_GAPS_MS[..] } else { provider_gaps };
    let next = usize::try_from(asked).ok().and_then(|asked| gaps.get(asked));
    next.map_or(DAY_MS, |gap| i64::from(*gap))
}

/// How many milliseconds to wait before a job that broke down is tried again, `tries` being how often it was: the
/// usual gaps, then two-hourly.
pub fn retry_gap_ms(tries: i64) -> i64 {
    next_gap_ms(&[], tries.max(1) - 1).min(LONGEST_RETRY_MS)
}

/// A gap moved by chance, up to a tenth of it either way, so that what failed together does not come back together.
pub fn spread_ms(gap_ms: i64, draw: u32) -> i64 {
    let tenth = gap_ms / 10;
    let moved = i128::from(2 * tenth) * i128::from(draw) / i128::from(u32::MAX);
    gap_ms - tenth + i64::try_from(moved).unwrap_or(tenth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_questions_then_daily_for_ever() {
        let (second, minute, hour) = (1_000, 60_000, 3_600_000);
        let rows = [
            (0, 2 * second),
            (1, 5 * second),
            (2, 15 * second),
            (3, minute),
            (4, 5 * minute),
            (5, 30 * minute),
            (6, 2 * hour),
            (7, 24 * hour),
            (8, 24 * hour),
            (1_000_000, 24 * hour),
            (i64::MAX, 24 * hour),
            (-1, 24 * hour),
        ];
        for (asked, gap) in rows {
            assert_eq!(next_gap_ms(&[], asked), gap, "{asked}");
        }
    }

    #[test]
    fn the_providers_gaps_then_daily_for_ever() {
        let rows = [(0, 10), (1, 20), (2, DAY_MS), (1_000_000, DAY_MS), (-1, DAY_MS)];
        for (asked, gap) in rows {
            assert_eq!(next_gap_ms(&[10, 20], asked), gap, "{asked}");
        }
    }

    #[test]
    fn what_broke_down_is_tried_slower_but_within_two_hours() {
        let rows = [(1, 2_000), (2, 5_000), (6, 1_800_000), (7, 7_200_000), (8, 7_200_000)];
        for (tries, gap) in rows {
            assert_eq!(retry_gap_ms(tries), gap, "{tries}");
        }
        assert_eq!((retry_gap_ms(0), retry_gap_ms(i64::MIN)), (2_000, 2_000));
    }

    proptest! {
        #[test]
        fn a_gap_stays_within_a_tenth(gap in 0i64..=DAY_MS, draw: u32) {
            let spread = spread_ms(gap, draw);
            prop_assert!((gap - spread).abs() <= gap / 10, "{} of {}", spread, gap);
        }
    }

    #[test]
    fn the_whole_tenth_either_way_is_used() {
        assert_eq!((spread_ms(2_000, 0), spread_ms(2_000, u32::MAX)), (1_800, 2_200));
    }
}
