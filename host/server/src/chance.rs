//! Randomness, handed in: the machine's in production, a seed's in a simulation.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tollgate_domain::ids::{Id, Kind};
use tollgate_domain::time::Moment;

/// Where ids, nonces and tokens come from.
pub struct Chance(Mutex<Source>);

struct Source {
    generator: StdRng,
    /// The last id's millisecond and its count within it.
    last: (i64, u16),
}

/// An id has twelve bits to count with within its millisecond (RFC 9562, section 6.2, method 1).
const MOST_IN_A_MILLISECOND: u16 = 0x0fff;

impl Chance {
    /// From the operating system's entropy: a cryptographic generator, fit for keys and tokens.
    pub fn of_the_machine() -> Chance {
        Chance::from(rand::make_rng())
    }

    /// The same every time.
    pub fn seeded(seed: u64) -> Chance {
        Chance::from(StdRng::seed_from_u64(seed))
    }

    fn from(generator: StdRng) -> Chance {
        Chance(Mutex::new(Source { generator, last: (0, 0) }))
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.source().generator.fill_bytes(&mut bytes);
        bytes
    }

    /// A number with which to spread times.
    pub fn draw(&self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }

    /// A new id. Those of one process sort in the order in which they were made, whatever the clock does.
    pub fn id<K: Kind>(&self, now: Moment) -> Id<K> {
        let mut source = self.source();
        let mut bytes = [0; 10];
        source.generator.fill_bytes(&mut bytes);
        let (last, count) = source.last;
        source.last = match (now.millis() > last, count < MOST_IN_A_MILLISECOND) {
            (true, _) => (now.millis(), u16::from(bytes[1])),
            (false, true) => (last, count + 1),
            (false, false) => (last + 1, u16::from(bytes[1])),
        };
        let (millis, count) = source.last;
        bytes[..2].copy_from_slice(&count.to_be_bytes());
        Id::new(Moment::from_millis(millis), bytes)
    }

    /// Random text of `[A-Za-z0-9]`: about 5.9 bits a character.
    pub fn text(&self, length: usize) -> String {
        const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut text = String::with_capacity(length);
        while text.len() < length {
            for byte in self.bytes::<32>() {
                // Values from 248 up would make some characters likelier than others.
                if byte < 248 && text.len() < length {
                    text.push(char::from(DIGITS[usize::from(byte % 62)]));
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_domain::ids::EventId;

    #[test]
    fn ids_sort_as_they_were_made_even_when_the_clock_stands_or_jumps_back() {
        let chance = Chance::seeded(7);
        let mut ids: Vec<EventId> = Vec::new();
        for step in 0..10_000 {
            let now =
                if step % 3 == 0 { Moment::from_millis(1_000) } else { Moment::from_millis(2_000) };
            ids.push(chance.id(now));
        }
        assert!(ids.is_sorted());
        ids.dedup();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn text_uses_the_whole_alphabet() {
        let text = Chance::seeded(1).text(10_000);
        assert_eq!(text.len(), 10_000);
        let distinct: std::collections::BTreeSet<char> = text.chars().collect();
        assert_eq!(distinct.len(), 62);
    }
}
