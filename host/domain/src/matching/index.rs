//! Finding records by text without keeping the text twice.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// From a text's hash to the records that have such a text; who asks compares the text itself.
pub(super) struct Index {
    hasher: RandomState,
    first: HashMap<u64, u32>,
    /// For each record, the record before it with the same hash.
    next: HashMap<u32, u32>,
}

impl Index {
    pub fn new() -> Index {
        Index { hasher: RandomState::new(), first: HashMap::new(), next: HashMap::new() }
    }

    /// Adds a record under `text`. A record has one text in an index.
    pub fn add(&mut self, text: &str, record: u32) {
        if let Some(before) = self.first.insert(self.hasher.hash_one(text), record) {
            self.next.insert(record, before);
        }
    }

    /// The records that may have `text`.
    pub fn find(&self, text: &str) -> impl Iterator<Item = u32> + '_ {
        let first = self.first.get(&self.hasher.hash_one(text)).copied();
        std::iter::successors(first, |record| self.next.get(record).copied())
    }
}
