//! A day's trade bill: the published one, and what files look like when something is wrong.

use proptest::prelude::*;
use tollgate_sdk::contract::bill_io::{BillRow, RowKind, RowStatus};
use tollgate_sdk::contract::bills::Summary;
use tollgate_sdk::contract::requests::{BillContent, Operation, Outcome};
use tollgate_sdk::contract::types::{BillRequest, Fault};
use tollgate_sdk::harness::{MemorySink, MemorySource};

use crate::support::*;

/// The summary, the rows, and the bad lines with their reasons.
type Read = (Summary, Vec<BillRow>, Vec<(u64, String)>);

fn read(text: &str) -> Result<Read, Fault> {
    let source = MemorySource::new(text.as_bytes().to_vec(), 97);
    let sink = MemorySink::default();
    let summary = tollgate_wechatpay::parse("bill.csv", &source, &sink)?;
    let (rows, bad) = sink.into_parts();
    Ok((summary, rows, bad))
}

#[test]
fn the_published_bill_is_three_payments() {
    let (summary, rows, bad) = read(&vector("bill.csv")).unwrap();
    assert_eq!(bad, []);
    let refs: Vec<_> = rows.iter().map(|row| row.payment_ref.as_deref().unwrap()).collect();
    assert_eq!(refs, ["S20210128170702357723", "S20210128153505214586", "S20210128165824499930"]);
    for row in &rows {
        assert_eq!((row.kind, row.status), (RowKind::Payment, RowStatus::Succeeded));
        assert_eq!((row.gross.clone(), row.fee.clone()), (cny(1), Some(cny(0))));
        assert_eq!((&row.refund_ref, &row.provider_refund_ref), (&None, &None));
    }
    assert_eq!(rows[0].provider_ref.as_deref(), Some("4200000925202101284997714292"));
    assert_eq!(rows[0].at.as_deref(), Some("2021-01-28T17:07:11+08:00"));
    assert_eq!((rows[0].line, rows[2].line), (2, 4));
    let totals: Vec<_> =
        summary.totals.iter().map(|one| (one.kind, one.count, one.gross.clone())).collect();
    assert_eq!(
        totals,
        [
            (None, Some(3), None),
            (Some(RowKind::Payment), None, Some(cny(3))),
            (Some(RowKind::Refund), None, Some(cny(0))),
        ]
    );
}

/// The published bill with its third payment turned into a refund of the first.
fn with_refund(state: &str, refunded: &str) -> String {
    let bill = vector("bill.csv");
    let line = bill.lines().nth(3).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    let (state, refunded) = (format!("`{state}"), format!("`{refunded}"));
    for (at, cell) in [(9, "`REFUND"), (14, "`50"), (15, "`R1"), (19, &state), (25, &refunded)] {
        cells[at] = cell;
    }
    bill.replace(line, &cells.join(","))
}

#[test]
fn a_refund_is_a_row_of_its_own() {
    for (state, status) in [
        ("SUCCESS", RowStatus::Succeeded),
        ("FAIL", RowStatus::Failed),
        ("PROCESSING", RowStatus::Pending),
        ("CHANGE", RowStatus::Pending),
    ] {
        let (_, rows, bad) = read(&with_refund(state, "12.34")).unwrap();
        assert_eq!(bad, []);
        let refund = &rows[2];
        assert_eq!((refund.kind, refund.status), (RowKind::Refund, status), "{state}");
        assert_eq!(refund.refund_ref.as_deref(), Some("R1"));
        assert_eq!(refund.provider_refund_ref.as_deref(), Some("50"));
        assert_eq!(refund.gross, cny(-1_234));
    }
}

/// Nothing says whether the summary adds up what was revoked: the day is good either way, and not with any other sum.
#[test]
fn a_payment_that_was_revoked_is_none() {
    let bill = vector("bill.csv");
    let line = bill.lines().nth(3).unwrap().to_owned();
    let revoked = bill.replace(&line, &line.replace("`SUCCESS", "`REVOKED"));
    for (total, counted) in [("0.03", 2), ("0.02", 2), ("0.04", 4)] {
        let (head, tail) = revoked.rsplit_once("`0.03,").unwrap();
        let (summary, rows, bad) = read(&format!("{head}`{total},{tail}")).unwrap();
        assert_eq!(bad, []);
        assert_eq!(rows[2].kind, RowKind::Other);
        assert_eq!(summary.totals[1].gross, Some(cny(counted)), "{total}");
    }
}

/// The merchant's own coupon is part of what the order was for, and of what is given back, and nobody settles it.
#[test]
fn what_the_merchant_gets_is_what_is_settled_less_the_fee() {
    let bill = vector("bill.csv");
    let line = bill.lines().nth(1).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    for (at, cell) in [(12, "`8.00"), (13, "`2.00"), (22, "`0.05000"), (24, "`10.00")] {
        cells[at] = cell;
    }
    let (_, rows, bad) = read(&bill.replace(line, &cells.join(","))).unwrap();
    assert_eq!(bad, []);
    let paid = &rows[0];
    assert_eq!((&paid.gross, &paid.fee, &paid.net), (&cny(1_000), &Some(cny(5)), &Some(cny(795))));

    let refund = with_refund("SUCCESS", "5.00");
    let line = refund.lines().nth(3).unwrap();
    let mut cells: Vec<&str> = line.split(',').collect();
    (cells[16], cells[22]) = ("`4.00", "`-0.02000");
    let (_, rows, bad) = read(&refund.replace(line, &cells.join(","))).unwrap();
    assert_eq!(bad, []);
    let back = &rows[2];
    let wanted = (&cny(-500), &Some(cny(-2)), &Some(cny(-398)));
    assert_eq!((&back.gross, &back.fee, &back.net), wanted);
}

#[test]
fn a_line_that_cannot_be_read_loses_itself_alone() {
    let bill = vector("bill.csv");
    let line = bill.lines().nth(2).unwrap().to_owned();
    for (from, to) in [
        (",`CNY,", ",`USD,"),
        (",`0.01,`0.00,`", ",`0.011,`0.00,`"),
        ("2021-01-28 15:35:18", "yesterday"),
        (",`NATIVE,", ","),
        ("`2021", "2021"),
    ] {
        let at = line.rfind(from).unwrap();
        let mut changed = line.clone();
        changed.replace_range(at..at + from.len(), to);
        let (_, rows, bad) = read(&bill.replace(&line, &changed)).unwrap();
        let numbers: Vec<u64> = bad.iter().map(|(number, _)| *number).collect();
        assert_eq!((rows.len(), numbers), (2, vec![3]), "{to}: {bad:?}");
    }
}

#[test]
fn a_comma_in_a_name_is_no_new_cell() {
    let (_, rows, bad) = read(&vector("bill.csv").replace("for testing", "tea, milk")).unwrap();
    assert_eq!((rows.len(), bad.len()), (3, 0));
}

#[test]
fn a_file_without_its_columns_or_its_summary_is_no_bill() {
    let bill = vector("bill.csv");
    let cut: String = bill.split_inclusive('\n').take(4).collect();
    for text in [String::new(), cut, bill.replace("商户订单号", "x"), bill.replace("`3,", "`many,")]
    {
        assert_eq!(read(&text).unwrap_err().code, "protocol", "{text}");
    }
}

proptest! {
    /// Whatever comes, nothing is read from it that is not there.
    #[test]
    fn no_text_breaks_the_reader(text in ".{0,400}") {
        let bill = vector("bill.csv").replace("`OTHERS", &text);
        if let Ok((_, rows, bad)) = read(&bill) {
            prop_assert!(rows.len() <= bill.lines().count());
            prop_assert!(rows.iter().all(|row| row.gross == cny(1)), "{bad:?}");
        }
    }
}

fn bill(kind: &str, period: &str) -> Operation {
    Operation::Bill(BillRequest {
        kind: kind.to_owned(),
        period: period.to_owned(),
        ticket: Vec::new(),
    })
}

fn link(digest: &str, url: &str) -> String {
    format!(r#"{{"hash_type":"{digest}","hash_value":"dcd7","download_url":"{url}"}}"#)
}

const LINK: &str = "https://api.test/v3/billdownload/file?token=x%2By&tartype=";

#[test]
fn a_day_is_asked_for_and_its_link_followed_with_a_signature() {
    let day = bill("trade", "2021-01-28");
    let (path, _) = accept(&build(&day).unwrap());
    assert_eq!(path, "/v3/bill/tradebill?bill_date=2021-01-28&bill_type=ALL");
    let Ok(Outcome::Bill(told)) = interpret(&day, &reply(200, &link("SHA1", LINK))) else {
        panic!("refused")
    };
    assert!(told.complete && told.more.is_none());
    let [file] = told.files.as_slice() else { panic!("{} files", told.files.len()) };
    assert_eq!(file.digest, Some(("sha1".to_owned(), "dcd7".to_owned())));
    assert_eq!(file.name, "1600314069_2021-01-28_trade.csv");
    let BillContent::Fetch(request) = &file.content else { panic!("{:?}", file.content) };
    assert_eq!(accept(request).0, "/v3/billdownload/file?token=x%2By&tartype=");
    for (kind, period) in
        [("fundflow", "2021-01-28"), ("trade", "2021-01"), ("trade", "2021-02-30"), ("trade", "")]
    {
        assert_eq!(build(&bill(kind, period)).unwrap_err().code, "invalid-request", "{period}");
    }
}

/// The signature is for the API alone, and a file is only as good as its digest.
#[test]
fn a_link_that_leads_elsewhere_is_not_followed() {
    let day = bill("trade", "2021-01-28");
    for body in [
        link("MD5", LINK),
        link("SHA1", "https://api.test.evil.test/v3/billdownload/file?token=x"),
        link("SHA1", "https://api.test@evil.test/v3/billdownload/file"),
        link("SHA1", "http://api.test/v3/billdownload/file"),
        link("SHA1", "https://api.test/v3/pay/transactions/native"),
    ] {
        assert_eq!(interpret(&day, &reply(200, &body)).unwrap_err().code, "protocol", "{body}");
    }
}

#[test]
fn a_day_without_a_bill() {
    let day = bill("trade", "2021-01-28");
    let Ok(Outcome::Bill(told)) = interpret(&day, &refusal(400, "NO_STATEMENT_EXIST")) else {
        panic!("refused")
    };
    assert!(told.files.is_empty() && told.complete, "nothing happened, for good");
    let fault = interpret(&day, &refusal(400, "STATEMENT_CREATING")).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.retry_after_ms), ("not-found", Some(1_800_000)));
    assert_eq!(interpret(&day, &refusal(500, "SYSTEM_ERROR")).unwrap_err().code, "unavailable");
}
