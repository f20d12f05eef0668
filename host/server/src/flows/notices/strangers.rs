//! Who may send messages that nobody signed, and how many: anybody knows an account's address, and nobody is to fill a
//! disk through it, or to keep the gateway busy. Those that were refused are written together, beside the requests.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tollgate_domain::ids::AccountId;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::Reply;

use super::MOST_KEPT;
use crate::flows::{Flow, FlowError};
use crate::gateway::Gateway;
use crate::store::notifications::{self, NotificationRow};

/// So many at once, and then one for each of these milliseconds.
const AT_ONCE: i64 = 100;
const EACH_MS: i64 = 1_000;

/// When they may send again, in seconds.
const RETRY_AFTER: &str = "60";

/// Crowds that are remembered before those that are at rest are forgotten.
const MOST_REMEMBERED: usize = 1_024;

/// Refused messages that wait to be written, of all accounts together; the oldest make room for more.
const MOST_WAITING: usize = 1_024;
/// So many of them are written in one transaction.
const AT_A_TIME: usize = 128;
/// So much of a message that nobody signed is kept, in bytes.
const MOST_OF_A_BODY: usize = 64 << 10;

/// Whose messages share a room. A payer who knows the address that he returns to cannot crowd out what providers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Crowd {
    /// The account that they are about.
    pub account: AccountId,
    /// Whether they came to the addresses that payers return to.
    pub returns: bool,
}

/// How many such messages each crowd has room for, in this process, and those that wait to be written.
#[derive(Default)]
pub struct Strangers {
    rooms: Mutex<HashMap<Crowd, Room>>,
    refused: Mutex<VecDeque<NotificationRow>>,
    left: Notify,
    writing: tokio::sync::Mutex<()>,
}

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
    pub fn take(&self, crowd: Crowd, now: Moment) -> bool {
        let mut rooms = self.rooms();
        if rooms.len() >= MOST_REMEMBERED {
            rooms.retain(|_, room| room.now(now).left_ms < AT_ONCE * EACH_MS);
        }
        let full = Room { left_ms: AT_ONCE * EACH_MS, at: now };
        let room = rooms.entry(crowd).or_insert(full);
        *room = room.now(now);
        let has_place = room.left_ms >= EACH_MS;
        if has_place {
            room.left_ms -= EACH_MS;
        }
        has_place
    }

    /// Gives the place back: the message was the provider's.
    pub fn give_back(&self, crowd: Crowd) {
        if let Some(room) = self.rooms().get_mut(&crowd) {
            room.left_ms = (room.left_ms + EACH_MS).min(AT_ONCE * EACH_MS);
        }
    }

    /// Leaves a message that was refused to be written by [`write`], with why.
    pub(super) fn leave(&self, mut row: NotificationRow, reason: String) {
        row.state = "rejected".to_owned();
        row.reason = Some(reason);
        row.body.truncate(MOST_OF_A_BODY);
        let mut refused = self.refused();
        while refused.len() >= MOST_WAITING {
            refused.pop_front();
        }
        refused.push_back(row);
        self.left.notify_one();
    }

    /// The oldest of those that wait, so many at most.
    fn next(&self, most: usize) -> Vec<NotificationRow> {
        let mut refused = self.refused();
        let some = refused.len().min(most);
        refused.drain(..some).collect()
    }

    /// Puts what could not be written back where it was, as far as those that came meanwhile left room.
    fn put_back(&self, rows: Vec<NotificationRow>) {
        let mut refused = self.refused();
        let room = MOST_WAITING.saturating_sub(refused.len());
        rows.into_iter().rev().take(room).for_each(|row| refused.push_front(row));
        self.left.notify_one();
    }

    /// Waits until something was left to be written.
    pub async fn left(&self) {
        self.left.notified().await;
    }

    fn refused(&self) -> MutexGuard<'_, VecDeque<NotificationRow>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Crowd, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What those hear who send too many.
pub(super) fn too_many() -> Reply {
    let headers = vec![("retry-after".to_owned(), RETRY_AFTER.to_owned())];
    Reply { status: 429, headers, body: Vec::new() }
}

/// Writes the messages that were refused by now, and lets older ones make room. They prove nothing, and their senders were
/// told so: a process that dies may lose the last of them, and one that the database does not take is dropped, so that it
/// holds up no other.
pub async fn write(gateway: &Gateway) -> Flow<()> {
    let strangers = &gateway.strangers;
    let _turn = strangers.writing.lock().await;
    let mut one_by_one = 0_usize;
    loop {
        let rows = strangers.next(if one_by_one > 0 { 1 } else { AT_A_TIME });
        one_by_one = one_by_one.saturating_sub(1);
        if rows.is_empty() {
            return Ok(());
        }
        let Err(error) = insert(gateway, &rows).await else { continue };
        if matches!(&error, FlowError::Store(error) if error.is_unavailable()) {
            strangers.put_back(rows);
            return Err(error);
        }
        if let [row] = rows.as_slice() {
            tracing::error!(notification = %row.id, %error, "a refused message could not be written");
        } else {
            one_by_one = rows.len();
            strangers.put_back(rows);
        }
    }
}

async fn insert(gateway: &Gateway, rows: &[NotificationRow]) -> Flow<()> {
    let accounts: BTreeSet<_> = rows.iter().map(|row| (row.merchant_id, row.account_id)).collect();
    let accounts = &accounts;
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move {
            for row in rows {
                notifications::insert(tx.sql(), row).await?;
            }
            for (merchant, account) in accounts {
                let kind = ("rejected", false);
                notifications::sweep(tx.sql(), *merchant, *account, kind, MOST_KEPT).await?;
            }
            Ok(())
        })
    });
    write.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::reconcile::tests::{Bench, NOW};

    fn row(bench: &Bench, body: &str) -> NotificationRow {
        NotificationRow {
            merchant_id: bench.merchant,
            id: bench.gateway.chance.id(NOW),
            account_id: bench.account,
            payment_id: None,
            message: "{}".to_owned(),
            body: body.into(),
            state: "received".to_owned(),
            reason: None,
            dedupe_key: None,
            received_at: NOW,
        }
    }

    #[tokio::test]
    async fn one_that_the_database_does_not_take_holds_up_no_other() {
        let bench = Bench::new().await;
        let strangers = &bench.gateway.strangers;
        let (first, last) = (row(&bench, "first"), row(&bench, "last"));
        let twice = NotificationRow { body: "twice".into(), ..first.clone() };
        for row in [first, twice, last] {
            strangers.leave(row, "signature: none".to_owned());
        }
        write(&bench.gateway).await.unwrap();
        let kept = "SELECT CAST(body AS TEXT) || ' ' || reason FROM notifications ORDER BY id";
        assert_eq!(bench.read(kept).await, ["first signature: none", "last signature: none"]);
        assert!(strangers.refused().is_empty());
    }

    #[tokio::test]
    async fn no_more_wait_than_there_is_room_for() {
        let bench = Bench::new().await;
        let strangers = &bench.gateway.strangers;
        let leave = |body: &str| strangers.leave(row(&bench, body), String::new());
        (0..MOST_WAITING).for_each(|_| leave("old"));
        let failed = strangers.next(AT_A_TIME);
        (0..AT_A_TIME - 1).for_each(|_| leave("new"));
        strangers.put_back(failed);
        assert_eq!(strangers.refused().len(), MOST_WAITING, "one place was left");
        leave("newest");
        let refused = strangers.refused();
        let news = refused.iter().filter(|row| row.body.starts_with(b"new")).count();
        assert_eq!((refused.len(), news), (MOST_WAITING, AT_A_TIME), "the oldest make room");
    }

    #[test]
    fn so_many_at_once_then_one_a_second() {
        let strangers = Strangers::default();
        let of = |byte| Crowd { account: AccountId::new(Moment(0), [byte; 10]), returns: false };
        let (one, other) = (of(1), of(2));
        let at = |ms: i64| Moment::from_millis(ms);
        let taken = (0..AT_ONCE * 2).filter(|_| strangers.take(one, at(0))).count();
        assert_eq!(i64::try_from(taken), Ok(AT_ONCE));
        assert!(strangers.take(other, at(0)), "another account is not in this one's crowd");
        assert!(strangers.take(Crowd { returns: true, ..one }, at(0)), "nor is a payer's return");
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
