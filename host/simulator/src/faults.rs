//! Faults that a test or an operator scripts: what goes wrong, where, and how often.
use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Wait `ms` before anything else.
    Delay,
    /// Do the work, wait `ms`, then close the connection without a reply.
    LoseReply,
    /// Close the connection without doing anything.
    Drop,
    /// HTTP 500, nothing done.
    #[serde(rename = "error_500")]
    Error500,
    /// A web page in place of the answer, nothing done.
    Html,
    /// A signature made with a key that the merchant does not know.
    BadSignature,
    /// No signature.
    Unsigned,
    /// Signed `value` seconds ago, or ahead of time where that is negative; correctly signed.
    Stale,
    /// The provider's "try again"; `value: "done"` does the work first.
    SystemError,
    /// The provider's business refusal with the code in `value`, nothing done.
    Refuse,
    /// Amounts that are off by one minor unit, or `value`; correctly signed.
    WrongAmount,
    /// The status in `value`, correctly signed.
    LieStatus,
    /// The members in `set` replace what the ledger says; correctly signed.
    Set,
    /// Send it once more for each unit of `value` (default 1).
    Duplicate,
    /// Entry names that climb out of the folder.
    ZipSlip,
    /// An entry that unpacks to `value` MiB (default 1024).
    ZipBomb,
    /// Half of the file, then the connection breaks.
    Truncate,
    /// Leaves out the member `value` of an answer, or of a zip the entry (`detail`, `summary`), or all without a value.
    LeaveOut,
    /// A file that ends behind its line `value`.
    CutLines,
    /// A redirect to `value`.
    Redirect,
    /// A link to the address in `value`.
    ForeignHost,
}

/// One rule: it applies `times` times (0: until cleared) and then goes away.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation, or `any`.
    pub on: String,
    /// What goes wrong.
    pub verb: Verb,
    /// Milliseconds of waiting, not scaled.
    #[serde(default)]
    pub ms: u64,
    /// How often; 0 means until cleared.
    #[serde(default = "once")]
    pub times: u64,
    /// Only for this trade.
    #[serde(default)]
    pub reference: Option<String>,
    /// Detail of the verb.
    #[serde(default)]
    pub value: Option<String>,
    /// Members to replace.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

fn once() -> u64 {
    1
}

/// All rules in force, oldest first.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Adds a rule behind those in force.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Forgets all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules in force.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Takes one use of every rule that fits this operation on this trade.
    pub fn take(&mut self, operation: &str, reference: Option<&str>) -> Hit {
        let mut hit = Vec::new();
        self.rules.retain_mut(|rule| {
            let operation_fits = rule.on == operation || rule.on == "any";
            let trade_fits = match rule.reference.as_deref() {
                None => true,
                wanted => wanted == reference,
            };
            if !operation_fits || !trade_fits {
                return true;
            }
            hit.push(rule.clone());
            if rule.times == 0 {
                return true;
            }
            rule.times -= 1;
            rule.times > 0
        });
        Hit(hit)
    }
}

/// The rules that hit one call.
#[derive(Debug)]
pub struct Hit(Vec<Rule>);

impl Hit {
    /// The first rule with this verb.
    pub fn get(&self, verb: Verb) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.verb == verb)
    }

    /// Whether a rule has this verb.
    pub fn has(&self, verb: Verb) -> bool {
        self.get(verb).is_some()
    }

    /// How long the rules want to wait before anything happens.
    pub fn delay(&self) -> Duration {
        let waits = self.0.iter().filter(|rule| rule.verb != Verb::LoseReply);
        Duration::from_millis(waits.map(|rule| rule.ms).sum())
    }

    /// What is answered in place of the work, if anything; or the connection is closed.
    pub fn instead(&self) -> Option<Response> {
        if self.has(Verb::Drop) {
            hang_up();
        }
        if self.has(Verb::Error500) {
            return Some(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        }
        if self.has(Verb::Html) {
            let page = "<!doctype html><title>Busy</title><p>The system is being maintained.</p>";
            return Some(Html(page).into_response());
        }
        None
    }

    /// After the work: the reply goes out, or is lost with the connection.
    pub async fn lose_reply(&self) {
        if let Some(rule) = self.get(Verb::LoseReply) {
            tokio::time::sleep(Duration::from_millis(rule.ms)).await;
            hang_up();
        }
    }

    /// Waits for so long; without such a rule, not at all.
    pub async fn wait(&self) {
        let delay = self.delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// Closes the connection that is being served without another byte.
///
/// The server runs each connection as a task of its own, and unwinding is the only way to end it
/// from inside a handler. `resume_unwind` does not run the panic hook, so nothing is printed.
pub fn hang_up() -> ! {
    std::panic::resume_unwind(Box::new("connection dropped on purpose"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_counted_rule_is_used_up() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"on":"query","verb":"drop","times":2}"#));
        assert!(!faults.take("refund", None).has(Verb::Drop));
        assert!(faults.take("query", None).has(Verb::Drop));
        assert!(faults.take("query", Some("A")).has(Verb::Drop));
        assert!(!faults.take("query", None).has(Verb::Drop));
    }

    #[test]
    fn a_rule_without_end_stays_until_cleared() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"on":"any","verb":"error_500","times":0}"#));
        for _ in 0..3 {
            assert!(faults.take("query", None).has(Verb::Error500));
        }
        faults.clear();
        assert!(!faults.take("query", None).has(Verb::Error500));
    }

    #[test]
    fn a_rule_for_one_trade_leaves_others_alone() {
        let mut faults = Faults::default();
        faults.add(rule(r#"{"on":"query","verb":"delay","ms":5,"reference":"A"}"#));
        assert_eq!(faults.take("query", Some("B")).delay(), Duration::ZERO);
        assert_eq!(faults.take("query", Some("A")).delay(), Duration::from_millis(5));
    }

    #[test]
    fn unknown_verbs_and_members_are_refused() {
        for json in [r#"{"on":"query","verb":"explode"}"#, r#"{"on":"q","verb":"drop","x":1}"#] {
            assert!(serde_json::from_str::<Rule>(json).is_err(), "{json}");
        }
    }
}
