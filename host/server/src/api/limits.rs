//! How often may be asked: by a key, and with wrong keys from one address. Each replica counts for itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::problem::Problem;
use crate::config::Rates;

/// So many addresses are remembered before those are forgotten that have waited long enough.
const MANY_ADDRESSES: usize = 10_000;

type ByAddress = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// What was asked so far.
pub struct Limits {
    rates: Rates,
    clock: DefaultClock,
    right: Mutex<HashMap<String, Counted>>,
    strange: ByAddress,
}

/// A key that was right, and how often it may ask.
#[derive(Clone)]
struct Counted {
    per_second: NonZeroU32,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Limits {
    /// Nothing was asked yet.
    pub fn new(rates: Rates) -> Limits {
        let strange = RateLimiter::hashmap(Quota::per_minute(rates.wrong_a_minute));
        Limits { rates, clock: DefaultClock::default(), right: Mutex::default(), strange }
    }

    /// Counts a key that was looked up and is none against the address that it comes from. One that is right is never
    /// counted so: behind a proxy all have one address, and who shares it with a guesser does not pay for him.
    ///
    /// # Errors
    /// `rate-limited`.
    pub fn may_guess(&self, peer: IpAddr, hash: &str) -> Result<(), Problem> {
        self.right().remove(hash);
        if self.strange.len() > MANY_ADDRESSES {
            self.strange.retain_recent();
        }
        let checked = self.strange.check_key(&peer);
        checked.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            too_many("too many keys from this address that are none", wait)
        })
    }

    /// Counts a request of a key that was looked up and is right.
    ///
    /// # Errors
    /// `rate-limited`.
    pub fn may_ask(&self, hash: &str, own: Option<i64>) -> Result<(), Problem> {
        let own = own.and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new);
        let limiter = self.counted(hash, own.unwrap_or(self.rates.per_second));
        limiter.check().map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            too_many("this key asks more often than it may", wait)
        })
    }

    fn counted(&self, hash: &str, per_second: NonZeroU32) -> Arc<DefaultDirectRateLimiter> {
        let mut right = self.right();
        match right.get(hash) {
            Some(counted) if counted.per_second == per_second => counted.limiter.clone(),
            _ => {
                let limiter = Arc::new(RateLimiter::direct(Quota::per_second(per_second)));
                let counted = Counted { per_second, limiter: limiter.clone() };
                right.insert(hash.to_owned(), counted);
                limiter
            }
        }
    }

    fn right(&self) -> MutexGuard<'_, HashMap<String, Counted>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(detail: &str, wait: Duration) -> Problem {
    Problem::new("rate-limited", detail).retry_after(wait.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUESSER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn limits(per_second: u32, wrong_a_minute: u32) -> Limits {
        let count = |count| NonZeroU32::new(count).unwrap();
        Limits::new(Rates { per_second: count(per_second), wrong_a_minute: count(wrong_a_minute) })
    }

    #[test]
    fn a_guesser_is_stopped_and_nobody_else() {
        let limits = limits(10, 2);
        for wrong in ["wrong 1", "wrong 2"] {
            limits.may_guess(GUESSER, wrong).unwrap();
        }
        let problem = limits.may_guess(GUESSER, "wrong 3").unwrap_err();
        assert_eq!((problem.status().as_u16(), problem.code()), (429, "rate-limited"));
        limits.may_ask("right", None).unwrap();
        limits.may_guess(OTHER, "wrong 3").unwrap();
        // One that was right and is revoked counts as any other that is none.
        assert!(limits.may_guess(GUESSER, "right").is_err());
    }

    #[test]
    fn a_key_is_counted_for_itself_and_by_its_own_rate() {
        let limits = limits(2, 10);
        for _ in 0..2 {
            limits.may_ask("usual", None).unwrap();
        }
        assert!(limits.may_ask("usual", None).is_err());
        for _ in 0..100 {
            limits.may_ask("quick", Some(100)).unwrap();
        }
        assert!(limits.may_ask("quick", Some(100)).is_err());
        limits.may_ask("quick", Some(200)).unwrap();
        limits.may_ask("another", None).unwrap();
    }
}
