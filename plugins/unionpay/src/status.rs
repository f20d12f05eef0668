//! UnionPay's codes for what became of a transaction, and the facts made of them.

use tollgate_sdk::contract::types::{RefundNews, RefundStatus, Subject};

use crate::fields::Fields;
use crate::times;

/// What a code says of the transaction that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 00, and A6: done with a flaw, the money was taken all the same. 42: taken after its time.
    Done,
    /// 03, 04, 05: nobody can say yet.
    Unclear,
    /// 34: there is none, yet.
    Absent,
    /// 12: it was asked for before.
    Duplicate,
    /// 02, 06: closed or busy.
    Busy,
    /// Anything else.
    Refused,
}

/// Reads a code.
pub fn verdict(code: &str) -> Verdict {
    match code {
        "00" | "A6" | "42" => Verdict::Done,
        "03" | "04" | "05" => Verdict::Unclear,
        "34" => Verdict::Absent,
        "12" => Verdict::Duplicate,
        "02" | "06" => Verdict::Busy,
        _ => Verdict::Refused,
    }
}

/// News of a refund of ours, by our number and theirs.
pub fn refund(status: RefundStatus, refund_ref: &str, query_id: Option<&str>) -> Subject {
    Subject::Refund(RefundNews {
        status,
        refund_ref: Some(refund_ref.to_owned()),
        provider_refund_ref: query_id.map(str::to_owned),
    })
}

/// When a transaction was traced: the message has the time without its year, and with it that of our own request.
pub fn traced_at(fields: &Fields) -> Option<String> {
    let (year, month) = times::year_and_month(fields.filled("txnTime")?)?;
    times::rfc3339_near(fields.filled("traceTime")?, year, month)
}
