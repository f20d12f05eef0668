//! What Alipay's notifier wants to hear: the seven bytes `success`, or anything else to have it send again.

use tollgate_sdk::contract::notices::{Reply, Verdict};

/// The reply to a notification. Alipay reads the body alone; the status of the others is for whoever watches us.
pub fn acknowledge(verdict: Verdict) -> Reply {
    let (status, body) = match verdict {
        Verdict::Accepted | Verdict::Duplicate => (200, "success"),
        Verdict::Rejected => (400, "fail"),
        Verdict::Busy => (503, "fail"),
    };
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}
