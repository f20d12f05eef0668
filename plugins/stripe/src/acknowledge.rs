//! What Stripe wants to hear: any 2xx, fast; the body is not read.

use tollgate_sdk::contract::notices::{Reply, Verdict};

/// The reply to an event.
pub fn acknowledge(verdict: Verdict) -> Reply {
    let status = match verdict {
        Verdict::Accepted | Verdict::Duplicate => 200,
        Verdict::Rejected => 400,
        Verdict::Busy => 503,
    };
    Reply { status, headers: Vec::new(), body: Vec::new() }
}
