//! What PayPal wants to hear: any 2xx; the body is not read.

use tollgate_sdk::contract::notices::{Reply, Verdict};

/// The reply to a webhook.
pub fn acknowledge(verdict: Verdict) -> Reply {
    let status = match verdict {
        Verdict::Accepted | Verdict::Duplicate => 200,
        Verdict::Rejected => 400,
        Verdict::Busy => 503,
    };
    Reply { status, headers: Vec::new(), body: Vec::new() }
}
