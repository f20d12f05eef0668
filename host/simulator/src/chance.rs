//! Numbers and tokens, drawn from a seeded source.
use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The simulator's source of chance: the same seed gives the same numbers.
#[derive(Debug)]
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// A source that starts at `seed`.
    pub fn new(seed: u64) -> Chance {
        Chance(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    fn text(&self, letters: &[u8], count: usize) -> String {
        let mut source = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (0..count).map(|_| char::from(letters[source.random_range(0..letters.len())])).collect()
    }

    /// So many decimal digits.
    pub fn digits(&self, count: usize) -> String {
        self.text(b"0123456789", count)
    }

    /// So many lower-case hexadecimal digits.
    pub fn hex(&self, count: usize) -> String {
        self.text(b"0123456789abcdef", count)
    }

    /// So many letters of both cases and digits.
    pub fn alphanumeric(&self, count: usize) -> String {
        self.text(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count)
    }

    /// A token that cannot be guessed by counting: 24 letters and digits.
    pub fn token(&self) -> String {
        self.text(b"abcdefghijkmnpqrstuvwxyz23456789", 24)
    }
}

#[cfg(test)]
mod tests {
    use super::Chance;

    #[test]
    fn the_same_seed_gives_the_same() {
        let (one, other) = (Chance::new(7), Chance::new(7));
        assert_eq!(one.digits(15), other.digits(15));
        assert_eq!(one.hex(32).len(), 32);
        assert_ne!(one.token(), one.token());
    }
}
