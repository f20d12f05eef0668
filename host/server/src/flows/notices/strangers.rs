//! Who may send messages that nobody signed, and how many: anybody knows an account's address, and nobody is to fill a
//! disk through it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tollgate_domain::ids::AccountId;
use tollgate_domain::time::Moment;

/// So many at once, and then one for each of these milliseconds.
const AT_ONCE: i64 = 100;
const EACH_MS: i64 = 1_000;

/// Accounts that are remembered before those that are at rest are forgotten.
const MOST_REMEMBERED: usize = 1_024;

/// How many such messages each account has room for, in this process.
#[derive(Default)]
pub struct Strangers(Mutex<HashMap<AccountId, Room>>);

#[derive(Clone, Copy)]
struct Room {
    /// Of `AT_ONCE * EACH_MS`.
    left_ms: i64,
    at: Moment,
}

impl Room {
    fn now(self, now: Moment) -> Room {
        let since = now.millis_since(self.at).max(0);
        Room { left_ms: self.left_ms.saturating_add(since).min(AT_ONCE * EACH_MS), at: now }
    }
}

impl Strangers {
    /// Takes a place for a message of which nothing is known yet; false: there is none.
    pub fn take(&self, account: AccountId, now: Moment) -> bool {
        let mut rooms = self.rooms();
        if rooms.len() >= MOST_REMEMBERED {
            rooms.retain(|_, room| room.now(now).left_ms < AT_ONCE * EACH_MS);
        }
        let full = Room { left_ms: AT_ONCE * EACH_MS, at: now };
        let room = rooms.entry(account).or_insert(full);
        *room = room.now(now);
        let has_place = room.left_ms >= EACH_MS;
        if has_place {
            room.left_ms -= EACH_MS;
        }
        has_place
    }

    /// Gives the place back: the message was signed.
    pub fn give_back(&self, account: AccountId) {
        if let Some(room) = self.rooms().get_mut(&account) {
            room.left_ms = (room.left_ms + EACH_MS).min(AT_ONCE * EACH_MS);
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<AccountId, Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_then_one_a_second() {
        let strangers = Strangers::default();
        let (one, other) = (AccountId::new(Moment(0), [1; 10]), AccountId::new(Moment(0), [2; 10]));
        let at = |ms: i64| Moment::from_millis(ms);
        let taken = (0..AT_ONCE * 2).filter(|_| strangers.take(one, at(0))).count();
        assert_eq!(i64::try_from(taken), Ok(AT_ONCE));
        assert!(strangers.take(other, at(0)), "another account is not in this one's crowd");
        assert!(!strangers.take(one, at(EACH_MS - 1)));
        assert!(strangers.take(one, at(EACH_MS)));
        assert!(!strangers.take(one, at(EACH_MS)));
        strangers.give_back(one);
        assert!(strangers.take(one, at(EACH_MS)), "one that was signed takes nobody's place");
        let day = at(86_400_000);
        let taken = (0..AT_ONCE * 2).filter(|_| strangers.take(one, day)).count();
        assert_eq!(
            i64::try_from(taken),
            Ok(AT_ONCE),
            "a long rest makes no more room than there is"
        );
    }
}
