//! How the story is shown: a line for each step with its time, and one JSON object at the end.

use std::time::Instant;

use serde_json::Value;

/// Shows steps as they are done.
pub struct Teller {
    began: Instant,
    step_began: Instant,
    json: bool,
}

impl Teller {
    /// With `json`, the steps go to standard error and the summary to standard output.
    pub fn new(json: bool) -> Self {
        let now = Instant::now();
        Self { began: now, step_began: now, json }
    }

    /// A heading.
    pub fn chapter(&self, title: &str) {
        self.say(&format!("\n{title}"));
    }

    /// A step that is done, with the time since the one before.
    pub fn step(&mut self, what: &str) {
        let took = self.step_began.elapsed().as_millis();
        self.say(&format!("{took:>7} ms  {what}"));
        self.step_began = Instant::now();
    }

    /// Milliseconds since the story began.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The end of the story.
    pub fn finish(&self, summary: &Value) {
        if self.json {
            println!("{summary}");
            return;
        }
        let (orders, payments) = (&summary["orders"], &summary["payments"]);
        let (refunds, ms) = (&summary["refunds"], &summary["elapsed_ms"]);
        println!("\norders {orders}, payments {payments}, refunds {refunds}, after {ms} ms");
        for done in summary["reconciliations"].as_array().into_iter().flatten() {
            let plugin = done["plugin"].as_str().unwrap_or_default();
            let (matched, found) = (&done["matched"], &done["discrepancies"]);
            println!("{plugin}: bill rows matched {matched}, differences found {found}");
        }
    }

    /// A line that is no step.
    pub fn say(&self, line: &str) {
        if self.json { eprintln!("{line}") } else { println!("{line}") }
    }
}
