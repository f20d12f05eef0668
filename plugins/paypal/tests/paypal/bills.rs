//! A page of transactions: event codes, statuses, and which payment a row is about. The codes are those of PayPal's
//! published list of transaction event codes, the statuses those of its published Transaction Search file.

use serde_json::{Value, json};
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::harness::{MemorySink, MemorySource};

const OURS: &str = "T0000000000000000000001A";
const CAPTURE: &str = "3C679366HH908993F";

fn transaction(code: &str, status: &str, amount: &str) -> Value {
    json!({ "transaction_info": {
        "transaction_id": "5TY05013RG002845M", "paypal_reference_id": CAPTURE,
        "paypal_reference_id_type": "TXN", "transaction_event_code": code,
        "transaction_initiation_date": "2026-11-20T10:00:00+0000",
        "transaction_amount": { "currency_code": "USD", "value": amount },
        "transaction_status": status,
    } })
}

/// The rows, and the bad lines with their reasons.
fn read(transactions: &[Value]) -> (Vec<BillRow>, Vec<(u64, String)>) {
    let page = json!({ "transaction_details": transactions }).to_string();
    let sink = MemorySink::default();
    tollgate_paypal::parse("page", &MemorySource::new(page.into_bytes(), 97), &sink).unwrap();
    sink.into_parts()
}

fn row(transaction: Value) -> BillRow {
    let (mut rows, bad) = read(&[transaction]);
    assert_eq!((rows.len(), bad), (1, vec![]));
    rows.remove(0)
}

/// A hold takes money for a while and gives nothing back: read as a refund, it would make one of a payment that has none.
#[test]
fn only_what_gives_a_payers_money_back_is_a_refund() {
    for (code, kind) in [
        ("T0006", RowKind::Payment),
        ("T1107", RowKind::Refund),
        ("T1106", RowKind::Chargeback),
        ("T1201", RowKind::Chargeback),
        ("T1202", RowKind::Chargeback),
        ("T1105", RowKind::Adjustment),
        ("T1110", RowKind::Adjustment),
        ("T1111", RowKind::Adjustment),
        ("T1200", RowKind::Adjustment),
        ("T1501", RowKind::Adjustment),
        ("T0106", RowKind::Fee),
        ("T1108", RowKind::Fee),
        ("T1109", RowKind::Fee),
        ("T0001", RowKind::Payout),
        ("T0400", RowKind::Payout),
        ("T1114", RowKind::Payout),
        ("T1115", RowKind::Payout),
        ("T9900", RowKind::Other),
    ] {
        assert_eq!(row(transaction(code, "S", "-12.50")).kind, kind, "{code}");
    }
}

/// A payment that was given back whole is `V`: its money came all the same, and the refund is a row of its own.
#[test]
fn a_payment_that_was_given_back_has_been_paid() {
    for (code, status, wanted) in [
        ("T0006", "S", RowStatus::Succeeded),
        ("T0006", "V", RowStatus::Succeeded),
        ("T0006", "P", RowStatus::Pending),
        ("T0006", "D", RowStatus::Failed),
        ("T1107", "S", RowStatus::Succeeded),
        // The money of a refund that was reversed came back.
        ("T1107", "V", RowStatus::Failed),
    ] {
        assert_eq!(row(transaction(code, status, "12.50")).status, wanted, "{code} {status}");
    }
}

#[test]
fn a_row_names_the_payment_that_it_is_about() {
    let named = |code: &str, custom: Option<&str>| {
        let mut transaction = transaction(code, "S", "-12.50");
        if let Some(custom) = custom {
            transaction["transaction_info"]["custom_field"] = json!(custom);
        }
        let row = row(transaction);
        (row.payment_ref, row.provider_ref, row.refund_ref, row.provider_refund_ref)
    };
    let some = |text: &str| Some(text.to_owned());
    let own = "5TY05013RG002845M";
    assert_eq!(named("T0006", Some(OURS)), (some(OURS), some(own), None, None));
    assert_eq!(named("T1107", Some("refund-R1")), (None, some(CAPTURE), some("R1"), some(own)));
    // Made on PayPal's own pages, it has its payment's custom id.
    assert_eq!(named("T1107", Some(OURS)), (None, some(CAPTURE), None, some(own)));
    // What a payer's bank took back names the capture, not itself.
    for code in ["T1106", "T1201"] {
        assert_eq!(named(code, None), (None, some(CAPTURE), None, None), "{code}");
    }
}

#[test]
fn a_row_that_cannot_be_read_keeps_no_other_back() {
    let mut unknown = transaction("T0006", "S", "1.00");
    unknown["transaction_info"]["transaction_amount"]["currency_code"] = json!("XTS");
    let mut without = transaction("T0006", "S", "1.00");
    without["transaction_info"].as_object_mut().unwrap().remove("transaction_amount");
    let good = transaction("T0006", "S", "1.00");
    let (rows, bad) = read(&[unknown, good, without]);
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2]);
    assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
    assert!(bad[0].1.contains("unknown currency"), "{bad:?}");
}

#[test]
fn amounts_are_signed_towards_the_merchant_and_fees_against_him() {
    let mut paid = transaction("T0006", "S", "12.50");
    paid["transaction_info"]["fee_amount"] = json!({ "currency_code": "USD", "value": "-0.66" });
    let row = row(paid);
    assert_eq!(row.gross.minor, 1250);
    assert_eq!((row.fee.unwrap().minor, row.net.unwrap().minor), (66, 1184));
}

/// Two currencies have no decimals at PayPal and two here: a page writes `1234`, and means 123400.
#[test]
fn a_currency_without_decimals_there_has_its_own_here() {
    for (currency, written, minor, exponent) in
        [("JPY", "500", 500, 0), ("HUF", "1234", 123_400, 2), ("TWD", "7", 700, 2)]
    {
        let mut paid = transaction("T0006", "S", "1.00");
        paid["transaction_info"]["transaction_amount"] =
            json!({ "currency_code": currency, "value": written });
        let gross = row(paid).gross;
        assert_eq!((gross.minor, gross.exponent), (minor, exponent), "{currency}");
    }
}
