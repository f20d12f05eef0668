//! Asking about orders and closing them: every answer that WeChat Pay can give, and what it means.

use tollgate_sdk::contract::requests::Operation;
use tollgate_sdk::contract::types::{PaymentStatus, Subject};

use crate::support::*;

fn query() -> Operation {
    Operation::QueryPayment(payment("native"))
}

fn close() -> Operation {
    Operation::Close(payment("native"))
}

fn told(state: &str, more: &str) -> String {
    format!(
        r#"{{"appid":"{APPID}","mchid":"{MCHID}","out_trade_no":"{OURS}","trade_state":"{state}"{more}}}"#
    )
}

const AMOUNT: &str = r#","transaction_id":"42","success_time":"2021-07-16T22:02:20+08:00","amount":{"total":8888,"payer_total":8000,"currency":"CNY"}"#;

#[test]
fn orders_are_asked_about_and_closed_by_our_reference() {
    let (path, _) = accept(&build(&query()).unwrap());
    assert_eq!(path, format!("/v3/pay/transactions/out-trade-no/{OURS}?mchid={MCHID}"));
    let (path, content) = accept(&build(&close()).unwrap());
    assert_eq!(path, format!("/v3/pay/transactions/out-trade-no/{OURS}/close"));
    assert_eq!(content, serde_json::json!({ "mchid": MCHID }));
}

/// What the order was for is `total`, whatever coupons the payer used; `REFUND` was paid.
#[test]
fn trade_states() {
    use PaymentStatus::{Closed, Failed, Pending, Succeeded, Unknown};
    for (state, more, status, amount) in [
        ("SUCCESS", AMOUNT, Succeeded, Some(8_888)),
        ("REFUND", AMOUNT, Succeeded, Some(8_888)),
        ("NOTPAY", r#","amount":{"total":8888,"currency":"CNY"}"#, Pending, None),
        ("USERPAYING", "", Pending, None),
        ("ACCEPT", "", Pending, None),
        ("CLOSED", "", Closed, None),
        ("REVOKED", "", Closed, None),
        ("PAYERROR", "", Failed, None),
        ("NEW_WORD", AMOUNT, Unknown, None),
    ] {
        let fact = report(&query(), &reply(200, &told(state, more))).fact;
        assert_eq!(fact.about, Subject::Payment(status), "{state}");
        assert_eq!(fact.amount, amount.map(cny), "{state}");
        assert_eq!(fact.refunded, None, "{state} says nothing of how much");
        assert_eq!(fact.raw_status, state);
        let seen: Vec<_> = fact.seen.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(seen, [("appid", APPID), ("mchid", MCHID)]);
    }
}

#[test]
fn an_answer_that_cannot_be_meant_leaves_the_outcome_open() {
    for body in [
        told("SUCCESS", ""),
        told("SUCCESS", &AMOUNT.replace("CNY", "USD")),
        told("SUCCESS", &AMOUNT.replace("8888", "-1")),
        told("SUCCESS", &AMOUNT.replace("8888", "88.88")),
        told("SUCCESS", AMOUNT).replace(OURS, "T2"),
        "not json".to_owned(),
        "{}".to_owned(),
    ] {
        let fault = interpret(&query(), &reply(200, &body)).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.outcome_known), ("protocol", false), "{body}");
    }
}

#[test]
fn refusals_of_a_query() {
    for code in ["ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"] {
        let fact = report(&query(), &refusal(404, code)).fact;
        assert_eq!(fact.about, Subject::Payment(PaymentStatus::NotFound), "{code}");
    }
    for (status, code, fault) in [
        (401, "SIGN_ERROR", "auth"),
        (403, "NO_AUTH", "auth"),
        (400, "PARAM_ERROR", "invalid-request"),
        (429, "FREQUENCY_LIMITED", "rate-limited"),
        (500, "SYSTEM_ERROR", "unavailable"),
        (404, "", "unavailable"),
        (400, "NEW_WORD", "unavailable"),
    ] {
        let told = interpret(&query(), &refusal(status, code)).unwrap_err();
        assert_eq!(told.code, fault, "{status} {code}");
    }
}

#[test]
fn closing() {
    use PaymentStatus::{Closed, NotFound, Unknown};
    assert_eq!(report(&close(), &reply(204, "")).fact.about, Subject::Payment(Closed));
    let mut unsigned = reply(204, "");
    unsigned.headers.clear();
    let fault = interpret(&close(), &unsigned).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.outcome_known), ("signature", false));
    for (status, code, state) in [
        (404, "ORDER_NOT_EXIST", NotFound),
        (400, "ORDER_CLOSED", Closed),
        (400, "ORDERPAID", Unknown),
        (400, "NEW_WORD", Unknown),
    ] {
        let fact = report(&close(), &refusal(status, code)).fact;
        assert_eq!(fact.about, Subject::Payment(state), "{code}");
    }
    assert_eq!(interpret(&close(), &refusal(500, "SYSTEM_ERROR")).unwrap_err().code, "unavailable");
}
