//! Numbers that look like the provider's, drawn from a seeded source.
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::clock::in_china;

/// The simulator's source of chance: the same seed gives the same numbers.
#[derive(Debug)]
pub struct Chance(StdRng);

impl Chance {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> Chance {
        Chance(StdRng::seed_from_u64(seed))
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.0.random_range(0..10_u8))).collect()
    }

    /// A trade number: 28 digits that start with the day in China.
    pub fn trade_no(&mut self, now: Timestamp) -> String {
        let day = in_china(now).strftime("%Y%m%d").to_string();
        format!("{day}22001{}", self.digits(15))
    }

    /// A notification's number: 34 digits, day and time inside.
    pub fn notify_id(&mut self, now: Timestamp) -> String {
        let wall = in_china(now);
        let (day, time) =
            (wall.strftime("%Y%m%d").to_string(), wall.strftime("%H%M%S").to_string());
        format!("{day}01222{time}{}", self.digits(15))
    }

    /// A token that cannot be guessed by counting: 24 letters and digits.
    pub fn token(&mut self) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        (0..24).map(|_| char::from(LETTERS[self.0.random_range(0..LETTERS.len())])).collect()
    }

    /// Trace id of a reply: 32 hex digits.
    pub fn trace_id(&mut self) -> String {
        format!("{:032x}", self.0.random::<u128>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_numbers_of_the_providers_shape() {
        let at = Timestamp::UNIX_EPOCH;
        let (mut one, mut other) = (Chance::new(7), Chance::new(7));
        let number = one.trade_no(at);
        assert_eq!(number, other.trade_no(at));
        assert!(number.starts_with("1970010122001") && number.len() == 28);
        assert_eq!(one.notify_id(at).len(), 34);
        assert_ne!(one.token(), one.token());
    }
}
