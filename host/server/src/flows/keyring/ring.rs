//! What an open account holds: the operator's keys and, beside them, those that were fetched.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use secrecy::SecretString;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::FetchedKey;
use tollgate_plugin::{KeyError, KeyUse, Keys};

use crate::store::fetched::FetchedRow;

/// A certificate without an end of its own is asked for again after so long.
const USUAL_LIFE_MS: i64 = 365 * 86_400_000;
/// So long before its end a token is replaced, or a tenth of its life where that is less.
const MARGIN_MS: i64 = 60_000;
/// So long a slot whose keys could not be refreshed is left alone.
const LOOK_AGAIN_MS: i64 = 60_000;

/// An account's keys while it is open.
pub struct Ring {
    operators: Arc<Keys>,
    held: RwLock<Held>,
    turns: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

struct Held {
    keys: Arc<Keys>,
    /// What was fetched, by slot and name.
    lives: BTreeMap<(String, String), Life>,
    looked_at: BTreeMap<String, Moment>,
}

#[derive(Clone, Copy)]
struct Life {
    from: Moment,
    to: Moment,
}

impl Ring {
    /// A ring of the operator's keys alone.
    pub fn new(keys: Keys) -> Ring {
        let (lives, looked_at) = (BTreeMap::new(), BTreeMap::new());
        let operators = Arc::new(keys);
        let held = RwLock::new(Held { keys: operators.clone(), lives, looked_at });
        Ring { operators, held, turns: Mutex::default() }
    }

    /// All keys, as they are now.
    pub fn keys(&self) -> Arc<Keys> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// Where those who want to fill a slot queue: one fetch at a time.
    pub(super) fn turn(&self, slot: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(slot.to_owned()).or_default().clone()
    }

    /// Whether a row's key is held already.
    pub(super) fn has(&self, row: &FetchedRow) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let life = held.lives.get(&(row.slot.clone(), row.key_id.clone()));
        life.is_some_and(|life| life.from >= row.fetched_at)
    }

    /// Takes up a key that was kept. A token has no name.
    pub(super) fn take(&self, row: &FetchedRow, plain: &[u8], now: Moment) -> Result<(), KeyError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let keys = if row.key_id.is_empty() {
            let text = String::from_utf8_lossy(plain).into_owned();
            held.keys.with_token(&row.slot, SecretString::from(text))?
        } else {
            let key = FetchedKey { id: row.key_id.clone(), encoded: plain.to_vec() };
            held.keys.with_kept(&row.slot, &[key], now.millis())?
        };
        held.keys = Arc::new(keys);
        held.live(row);
        Ok(())
    }

    /// Takes a certificate that was just fetched, if its slot's trust holds for it. Gives its end.
    pub(super) fn believe(
        &self,
        slot: &str,
        key: &FetchedKey,
        audit: &[KeyUse],
        now: Moment,
    ) -> Result<Moment, KeyError> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if key.id.is_empty() {
            let rule = "was given a key without a name".to_owned();
            return Err(KeyError { slot: slot.to_owned(), rule });
        }
        let keys = held.keys.with_fetched(slot, std::slice::from_ref(key), audit, now.millis())?;
        let end = keys.not_after(slot, &key.id).and_then(|text| text.parse().ok());
        held.keys = Arc::new(keys);
        Ok(end.unwrap_or_else(|| now.plus_millis(USUAL_LIFE_MS)))
    }

    /// Lets go of everything that was fetched if the time of a certificate among it is over. What is still good is to be
    /// taken up again. Whether it did.
    pub(super) fn let_lapse(&self, now: Moment) -> bool {
        let is_over = |held: &Held| {
            let mut certificates = held.lives.iter().filter(|((_, id), _)| !id.is_empty());
            certificates.any(|(_, life)| life.to <= now)
        };
        // Nearly always nothing is over: those who look do not wait for each other.
        if !is_over(&self.held.read().unwrap_or_else(PoisonError::into_inner)) {
            return false;
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if !is_over(&held) {
            return false;
        }
        held.keys = self.operators.clone();
        held.lives.clear();
        true
    }

    /// Notes how long keys live that are held by now.
    pub(super) fn note(&self, rows: &[FetchedRow]) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        rows.iter().for_each(|row| held.live(row));
    }

    /// Whether a slot's token can be used; `sparing`: and is not so near its end that another one should be had.
    pub(super) fn has_token(&self, slot: &str, now: Moment, sparing: bool) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let life = held.lives.get(&(slot.to_owned(), String::new()));
        life.is_some_and(|life| {
            let margin =
                if sparing { (life.to.millis_since(life.from) / 10).min(MARGIN_MS) } else { 0 };
            now.plus_millis(margin) < life.to
        })
    }

    /// Whether a slot's keys were last fetched so long ago, and nobody looked just now. Those that the operator entered
    /// are as old as the account.
    pub(super) fn is_stale(&self, slot: &str, made: Moment, every_ms: i64, now: Moment) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.looked_at.get(slot).is_some_and(|at| now.millis_since(*at) < LOOK_AGAIN_MS) {
            return false;
        }
        let fetched = held.lives.iter().filter(|((name, _), _)| name == slot);
        let newest = fetched.map(|(_, life)| life.from).max().unwrap_or(made);
        now.millis_since(newest) >= every_ms
    }

    /// Notes that a slot was looked at.
    pub(super) fn looked_at(&self, slot: &str, now: Moment) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.looked_at.insert(slot.to_owned(), now);
    }
}

impl Held {
    fn live(&mut self, row: &FetchedRow) {
        let life = Life { from: row.fetched_at, to: row.expires_at };
        self.lives.insert((row.slot.clone(), row.key_id.clone()), life);
    }
}
