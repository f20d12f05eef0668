//! The last things that happened, for when something breaks.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many lines are kept.
const LINES: usize = 400;

/// The end of a seed's story, and a digest of all of it.
#[derive(Debug, Default)]
pub struct Trace {
    lines: VecDeque<String>,
    digest: DefaultHasher,
}

impl Trace {
    /// Adds a line.
    pub fn add(&mut self, step: u64, millis: i64, line: impl FnOnce() -> String) {
        let line = format!("{step:>5} {millis:>10} ms  {}", line());
        line.hash(&mut self.digest);
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The same for the same story.
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// The last lines.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}
