//! What UnionPay wants to hear: HTTP 200; anything else has it send again, five times in all.

use tollgate_sdk::contract::notices::{Reply, Verdict};

/// The reply to a notification.
pub fn acknowledge(verdict: Verdict) -> Reply {
    let (status, body) = match verdict {
        Verdict::Accepted | Verdict::Duplicate => (200, "ok"),
        Verdict::Rejected => (400, "rejected"),
        Verdict::Busy => (503, "try again"),
    };
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}
