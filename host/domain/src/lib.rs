//! The rules of the gateway, without I/O: money, ids, and how orders, payments, refunds and bills behave.
//!
//! Nothing here reads a clock, draws a random number, or knows SQL, HTTP or WebAssembly. A transition takes
//! a state, a command and the time, and returns the new state with the effects that somebody else carries out.

pub mod breaker;
pub mod checks;
pub mod delivery;
pub mod dispute;
pub mod ids;
pub mod matching;
pub mod money;
pub mod order;
pub mod payment;
pub mod pursuit;
pub mod refund;
pub mod schedule;
pub mod scope;
pub mod time;

/// A word that is no state of what it was read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown state")]
pub struct UnknownState;
