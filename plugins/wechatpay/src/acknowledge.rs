//! What WeChat Pay's notifier wants to hear. The HTTP status decides: a 200 with a body that says FAIL counts as taken.

use tollgate_sdk::contract::notices::{Reply, Verdict};

/// The reply to a notification.
pub fn acknowledge(verdict: Verdict) -> Reply {
    let (status, body) = match verdict {
        Verdict::Accepted | Verdict::Duplicate => (200, r#"{"code":"SUCCESS"}"#),
        Verdict::Rejected => (401, r#"{"code":"FAIL","message":"rejected"}"#),
        Verdict::Busy => (503, r#"{"code":"FAIL","message":"try again"}"#),
    };
    Reply {
        status,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}
