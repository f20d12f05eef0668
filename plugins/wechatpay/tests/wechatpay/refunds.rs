//! Refunds: taken at once, done later, and asked for twice under one number.

use serde_json::json;
use tollgate_sdk::contract::requests::{Operation, RefundRequest};
use tollgate_sdk::contract::types::{Fact, RefundStatus, Subject};

use crate::support::*;

fn ask(reason: Option<&str>) -> Operation {
    Operation::Refund(RefundRequest {
        refund: refund(),
        reason: reason.map(str::to_owned),
        notify_url: "https://gate.test/notify/1".to_owned(),
    })
}

fn query() -> Operation {
    Operation::QueryRefund(refund())
}

fn told(status: &str) -> String {
    json!({
        "refund_id": "50", "out_refund_no": refund().refund_ref, "transaction_id": "42", "out_trade_no": OURS,
        "status": status, "success_time": "2021-07-16T22:02:20+08:00",
        "amount": { "total": 8_888, "refund": 100, "payer_total": 8_000, "payer_refund": 90, "currency": "CNY" },
    })
    .to_string()
}

fn status(fact: &Fact) -> RefundStatus {
    match &fact.about {
        Subject::Refund(news) => {
            assert_eq!(news.refund_ref.as_deref(), Some("R0000000000000000000001A"));
            news.status
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_is_asked_for_and_about_under_our_number() {
    let (path, content) = accept(&build(&ask(Some("broken"))).unwrap());
    assert_eq!(path, "/v3/refund/domestic/refunds");
    assert_eq!(
        content,
        json!({
            "out_trade_no": OURS, "out_refund_no": "R0000000000000000000001A", "reason": "broken",
            "notify_url": "https://gate.test/notify/1",
            "amount": { "refund": 100, "total": 8_888, "currency": "CNY" },
        })
    );
    let (path, _) = accept(&build(&query()).unwrap());
    assert_eq!(path, "/v3/refund/domestic/refunds/R0000000000000000000001A");
}

/// Eighty bytes are twenty-six characters of three.
#[test]
fn a_reason_is_cut_between_letters_and_an_empty_one_left_out() {
    let (_, content) = accept(&build(&ask(Some(&"茶".repeat(40)))).unwrap());
    assert_eq!(content["reason"], "茶".repeat(26));
    for none in [None, Some("")] {
        let (_, content) = accept(&build(&ask(none)).unwrap());
        assert!(content.get("reason").is_none());
    }
}

#[test]
fn statuses() {
    use RefundStatus::{Failed, NeedsAction, Pending, Succeeded, Unknown};
    for (word, expected) in [
        ("PROCESSING", Pending),
        ("SUCCESS", Succeeded),
        ("CLOSED", Failed),
        ("ABNORMAL", NeedsAction),
        ("NEW_WORD", Unknown),
    ] {
        for operation in [ask(None), query()] {
            let fact = report(&operation, &reply(200, &told(word))).fact;
            assert_eq!(status(&fact), expected, "{word}");
            assert_eq!((fact.amount, fact.raw_status.as_str()), (Some(cny(100)), word));
            assert_eq!(fact.provider_ref.as_deref(), Some("42"));
        }
    }
}

#[test]
fn an_answer_about_another_refund_is_none() {
    let answer = told("SUCCESS");
    for body in [
        answer.replace("R0000000000000000000001A", "R2"),
        answer.replace(OURS, "T2"),
        answer.replace("CNY", "USD"),
        answer.replace("\"refund\":100", "\"refund\":-100"),
    ] {
        assert_ne!(body, answer);
        for operation in [ask(None), query()] {
            let fault = interpret(&operation, &reply(200, &body)).unwrap_err();
            assert_eq!((fault.code.as_str(), fault.outcome_known), ("protocol", false), "{body}");
        }
    }
}

/// Only what can never be done is a failure; any other refusal may hide an earlier try that went through.
#[test]
fn refusals() {
    use RefundStatus::{Failed, NotFound, Unknown};
    for (http, code, expected) in [
        (403, "NOT_ENOUGH", Failed),
        (403, "RULE_LIMIT", Failed),
        (400, "PARAM_ERROR", Failed),
        (404, "RESOURCE_NOT_EXISTS", Failed),
        (400, "INVALID_REQUEST", Unknown),
        (400, "NEW_WORD", Unknown),
    ] {
        let fact = report(&ask(None), &refusal(http, code)).fact;
        assert_eq!((status(&fact), fact.amount), (expected, Some(cny(100))), "{code}");
    }
    for (http, code) in [(500, "SYSTEM_ERROR"), (429, "FREQUENCY_LIMITED"), (502, "")] {
        for operation in [ask(None), query()] {
            let fault = interpret(&operation, &refusal(http, code)).unwrap_err();
            assert!(!fault.outcome_known, "{http} {code}: {fault:?}");
        }
    }
    let fact = report(&query(), &refusal(404, "RESOURCE_NOT_EXISTS")).fact;
    assert_eq!(status(&fact), NotFound);
    assert_eq!(interpret(&query(), &refusal(400, "NEW_WORD")).unwrap_err().code, "unavailable");
}
