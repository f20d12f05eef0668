//! When to ask a provider again about what has not been heard of. Never gives up: it only gets slower.

/// The gaps where a provider names none: 2 s, 5 s, 15 s, 1 min, 5 min, 30 min, 2 h, in milliseconds.
pub const USUAL_GAPS_MS: [u32; 7] = [2_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000];

const DAY_MS: i64 = 86_400_000;

/// How many milliseconds to wait before the next question, `asked` being how many there were: the provider's own
/// gaps first, or the usual ones; then daily.
pub fn next_gap_ms(provider_gaps: &[u32], asked: i64) -> i64 {
    let gaps = if provider_gaps.is_empty() { &USUAL_GAPS_MS[..] } else { provider_gaps };
    let next = usize::try_from(asked).ok().and_then(|asked| gaps.get(asked));
    next.map_or(DAY_MS, |gap| i64::from(*gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_gaps_then_daily_for_ever() {
        let rows = [(0, 10), (1, 20), (2, DAY_MS), (1_000_000, DAY_MS), (-1, DAY_MS)];
        for (asked, gap) in rows {
            assert_eq!(next_gap_ms(&[10, 20], asked), gap, "{asked}");
        }
        assert_eq!(next_gap_ms(&[], 0), 2_000);
        assert_eq!(next_gap_ms(&[], 6), 7_200_000);
        assert_eq!(next_gap_ms(&[], 7), DAY_MS);
    }
}
