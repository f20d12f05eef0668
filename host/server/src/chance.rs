//! Randomness, handed in: the machine's in production, a seed's in a simulation.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tollgate_domain::ids::{Id, Kind};
use tollgate_domain::time::Moment;

/// Where ids, nonces and tokens come from.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// From the operating system's entropy: a cryptographic generator, fit for keys and tokens.
    pub fn of_the_machine() -> Chance {
        Chance(Mutex::new(rand::make_rng()))
    }

    /// The same every time.
    pub fn seeded(seed: u64) -> Chance {
        Chance(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        let mut generator = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        generator.fill_bytes(&mut bytes);
        bytes
    }

    /// A new id.
    pub fn id<K: Kind>(&self, now: Moment) -> Id<K> {
        Id::new(now, self.bytes())
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
