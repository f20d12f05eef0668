//! Queries, closing and refunds: every answer that Alipay can give, and what it means.

use tollgate_sdk::contract::requests::{Operation, Outcome, RefundRequest};
use tollgate_sdk::contract::types::{
    BillRequest, Fact, HttpResponse, PaymentStatus, RefundStatus, Subject,
};
use tollgate_sdk::harness::MemoryKeys;

use crate::support::*;

const QUERY: &str = "alipay.trade.query";

fn query() -> Operation {
    Operation::QueryPayment(payment("page"))
}

fn business(method: &str, sub_code: &str) -> HttpResponse {
    let inner = format!(
        r#"{{"code":"40004","msg":"Business Failed","sub_code":"{sub_code}","sub_msg":"words"}}"#
    );
    reply(method, &inner)
}

#[test]
fn a_query_names_the_trade_by_our_reference() {
    let step = tollgate_alipay::build(&context(), &keys(), &query()).unwrap();
    let content = accept(values(&sent(step)));
    assert_eq!(content, serde_json::json!({ "out_trade_no": OURS }));
}

#[test]
fn trade_states() {
    use PaymentStatus::{Closed, Pending, Succeeded, Unknown};
    let paid_at = r#","send_pay_date":"2023-12-21 16:26:43""#;
    for (state, more, status, amount, refunded) in [
        ("WAIT_BUYER_PAY", "", Pending, None, None),
        ("TRADE_SUCCESS", paid_at, Succeeded, Some(8_888), None),
        ("TRADE_FINISHED", "", Succeeded, Some(8_888), None),
        ("TRADE_CLOSED", "", Closed, None, None),
        (
            "TRADE_CLOSED",
            r#","receipt_amount":"0.00","buyer_pay_amount":"0.00""#,
            Closed,
            None,
            None,
        ),
        ("TRADE_CLOSED", paid_at, Succeeded, Some(8_888), Some(8_888)),
        ("TRADE_CLOSED", r#","buyer_pay_amount":"88.88""#, Succeeded, Some(8_888), Some(8_888)),
        ("TRADE_NEW_WORD", paid_at, Unknown, None, None),
    ] {
        let inner = format!(
            r#"{{"code":"10000","msg":"Success","out_trade_no":"{OURS}","trade_no":"20231221","total_amount":"88.88","trade_status":"{state}"{more}}}"#
        );
        let fact = report(&query(), &reply(QUERY, &inner)).fact;
        assert_eq!(fact.about, Subject::Payment(status), "{state} {more}");
        assert_eq!(fact.amount, amount.map(cny), "{state} {more}");
        assert_eq!(fact.refunded, refunded.map(cny), "{state} {more}");
        assert_eq!(fact.provider_ref.as_deref(), Some("20231221"));
    }
}

#[test]
fn a_trade_that_is_not_there_yet_is_no_failure() {
    let fact = report(&query(), &business(QUERY, "ACQ.TRADE_NOT_EXIST")).fact;
    assert_eq!(fact.about, Subject::Payment(PaymentStatus::NotFound));
    assert_eq!(fact.payment_ref.as_deref(), Some(OURS));
}

#[test]
fn a_reply_that_is_not_alipays_word_leaves_the_outcome_open() {
    let paid = format!(
        r#"{{"code":"10000","out_trade_no":"{OURS}","total_amount":"88.88","trade_status":"TRADE_SUCCESS","sign":"inner"}}"#
    );
    let wrap = |inner: &str, rest: &str| {
        raw_reply(&format!("{{\"alipay_trade_query_response\":{inner}{rest}}}"))
    };
    let signed = format!(",\"sign\":\"{}\"", sign(&paid));
    let other_trade = paid.replace(OURS, "T2");
    let bad_amount = paid.replace("88.88", "88.888");
    let unsigned_error = r#"{"error_response":{"code":"40002","msg":"Invalid Arguments","sub_code":"isv.invalid-app-id","sub_msg":"words"}}"#;
    let server_error = HttpResponse { status: 502, headers: Vec::new(), body: Vec::new() };
    for (what, response, code) in [
        ("no signature", wrap(&paid, ""), "signature"),
        ("an inner sign is not the signature", wrap(&paid, ",\"sign\":\"aW5uZXI=\""), "signature"),
        ("re-serialised", wrap(&paid.replace(':', ": "), &signed), "signature"),
        ("twice", wrap(&paid, &format!("{signed}{signed}")), "protocol"),
        ("of another trade", reply(QUERY, &other_trade), "protocol"),
        ("an amount with three places", reply(QUERY, &bad_amount), "protocol"),
        ("of another method", reply("alipay.trade.close", &paid), "protocol"),
        ("unsigned error", raw_reply(unsigned_error), "auth"),
        ("no JSON", raw_reply("<html>"), "protocol"),
        ("gateway down", server_error, "unavailable"),
        ("20000", reply(QUERY, r#"{"code":"20000","msg":"x"}"#), "unavailable"),
        ("SYSTEM_ERROR", business(QUERY, "ACQ.SYSTEM_ERROR"), "unavailable"),
    ] {
        let fault = interpret(&query(), &response).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.outcome_known), (code, false), "{what}: {fault:?}");
    }
    assert!(interpret(&query(), &wrap(&paid, &signed)).is_ok());
    let denied = interpret(&query(), &reply(QUERY, r#"{"code":"40006","msg":"x"}"#)).unwrap_err();
    assert_eq!((denied.code.as_str(), denied.outcome_known), ("auth", true));
    let fault = interpret(&query(), &raw_reply(unsigned_error)).unwrap_err();
    assert_eq!(fault.provider_code.as_deref(), Some("isv.invalid-app-id"));
}

#[test]
fn a_reply_that_our_keys_cannot_check_leaves_the_outcome_open() {
    let none = MemoryKeys::default();
    let inner = r#"{"code":"10000","msg":"Success"}"#;
    let answer = tollgate_alipay::interpret(&context(), &none, &query(), &reply(QUERY, inner));
    let fault = answer.unwrap_err();
    assert_eq!(fault.code, "config");
    assert!(!fault.outcome_known);
}

#[test]
fn closing() {
    let close = Operation::Close(payment("page"));
    let method = "alipay.trade.close";
    let closed = format!(r#"{{"code":"10000","out_trade_no":"{OURS}","trade_no":"1"}}"#);
    for (response, status) in [
        (reply(method, &closed), PaymentStatus::Closed),
        (business(method, "ACQ.TRADE_NOT_EXIST"), PaymentStatus::NotFound),
        (business(method, "ACQ.TRADE_STATUS_ERROR"), PaymentStatus::Unknown),
        (business(method, "ACQ.TRADE_HAS_SUCCESS"), PaymentStatus::Unknown),
    ] {
        assert_eq!(report(&close, &response).fact.about, Subject::Payment(status));
    }
    assert!(!interpret(&close, &business(method, "ACQ.SYSTEM_ERROR")).unwrap_err().outcome_known);
}

fn refund_fact(inner: &str) -> Fact {
    let request = RefundRequest { refund: refund(), reason: None, notify_url: String::new() };
    report(&Operation::Refund(request), &reply("alipay.trade.refund", inner)).fact
}

fn state(fact: &Fact) -> RefundStatus {
    let Subject::Refund(news) = &fact.about else { panic!("{fact:?}") };
    assert_eq!(news.refund_ref.as_deref(), Some("R0000000000000000000001A"));
    news.status
}

#[test]
fn a_refund_is_done_only_when_money_moved() {
    for (more, expected) in [
        (r#","fund_change":"Y","refund_fee":"3.00""#, RefundStatus::Succeeded),
        (r#","fund_change":"N","refund_fee":"3.00""#, RefundStatus::Pending),
        ("", RefundStatus::Pending),
    ] {
        let fact = refund_fact(&format!(r#"{{"code":"10000","out_trade_no":"{OURS}"{more}}}"#));
        assert_eq!(state(&fact), expected, "{more}");
        assert_eq!(fact.amount, Some(cny(100)), "never the sum of all refunds");
        assert_eq!(fact.refunded, (!more.is_empty()).then(|| cny(300)));
    }
    for (sub, expected) in [
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", RefundStatus::Failed),
        ("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", RefundStatus::Failed),
        ("ACQ.TRADE_HAS_FINISHED", RefundStatus::Failed),
        ("ACQ.TRADE_STATUS_ERROR", RefundStatus::Unknown),
        ("ACQ.SOMETHING_NEW", RefundStatus::Unknown),
    ] {
        let inner = format!(r#"{{"code":"40004","sub_code":"{sub}","sub_msg":"words"}}"#);
        assert_eq!(state(&refund_fact(&inner)), expected, "{sub}");
    }
}

#[test]
fn a_refund_carries_our_reference_and_exact_amount() {
    let request = RefundRequest {
        refund: refund(),
        reason: Some("broken".to_owned()),
        notify_url: String::new(),
    };
    let step = tollgate_alipay::build(&context(), &keys(), &Operation::Refund(request)).unwrap();
    let expected = serde_json::json!({
        "out_trade_no": OURS, "refund_amount": "1.00",
        "out_request_no": "R0000000000000000000001A", "refund_reason": "broken",
    });
    assert_eq!(accept(values(&sent(step))), expected);
}

#[test]
fn a_refund_query_knows_success_and_nothing_else() {
    let asked = Operation::QueryRefund(refund());
    let method = "alipay.trade.fastpay.refund.query";
    let ours = format!(r#""out_trade_no":"{OURS}","out_request_no":"R0000000000000000000001A""#);
    let done = format!(
        r#"{{"code":"10000",{ours},"refund_status":"REFUND_SUCCESS","refund_amount":"1.00","total_amount":"88.88","gmt_refund_pay":"2023-12-22 10:00:00"}}"#
    );
    let fact = report(&asked, &reply(method, &done)).fact;
    assert_eq!((state(&fact), fact.amount), (RefundStatus::Succeeded, Some(cny(100))));
    assert_eq!(fact.at.as_deref(), Some("2023-12-22T10:00:00+08:00"));
    for inner in [format!(r#"{{"code":"10000",{ours}}}"#), r#"{"code":"10000","msg":"x"}"#.into()] {
        assert_eq!(state(&report(&asked, &reply(method, &inner)).fact), RefundStatus::NotFound);
    }
    let other = done.replace("1A\",\"refund_status", "2B\",\"refund_status");
    assert_eq!(interpret(&asked, &reply(method, &other)).unwrap_err().code, "protocol");
}

#[test]
fn a_bill_is_fetched_by_its_link() {
    let request = |period: &str| {
        let kind = "trade".to_owned();
        Operation::Bill(BillRequest { kind, period: period.to_owned(), ticket: Vec::new() })
    };
    let asked = request("2023-12-21");
    let step = tollgate_alipay::build(&context(), &keys(), &asked).unwrap();
    let content = accept(values(&sent(step)));
    assert_eq!(content, serde_json::json!({"bill_type": "trade", "bill_date": "2023-12-21"}));
    let method = "alipay.data.dataservice.bill.downloadurl.query";
    let inner = r#"{"code":"10000","bill_download_url":"http:\/\/bill.test\/a?b=1"}"#;
    let Outcome::Bill(bill) = interpret(&asked, &reply(method, inner)).unwrap() else { panic!() };
    let [file] = bill.files.as_slice() else { panic!() };
    assert!(bill.complete && file.unpack == ["zip"]);
    assert!(format!("{:?}", file.content).contains("http://bill.test/a?b=1"));
    let fault = interpret(&asked, &business(method, "isp.bill_not_exist")).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.retry_after_ms), ("not-found", Some(3_600_000)));
    for bad in ["2023-12", "2023-02-30", "20231221xx"] {
        let fault = tollgate_alipay::build(&context(), &keys(), &request(bad)).unwrap_err();
        assert_eq!(fault.code, "invalid-request", "{bad}");
    }
}
