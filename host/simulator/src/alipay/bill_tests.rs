//! The bill's bytes against the layout that Alipay publishes, and its edits.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::*;
use crate::ledger::Opening;
use crate::money::Currency;

fn at(text: &str) -> Timestamp {
    clock::read_china_text(text).unwrap()
}

fn opening(reference: &str, amount: i64) -> Opening {
    Opening {
        reference: reference.to_owned(),
        amount: Amount(amount),
        currency: Currency { code: "CNY".to_owned(), exponent: 2 },
        subject: "下单测试".to_owned(),
        product: "alipay.trade.page.pay".to_owned(),
        echoed: BTreeMap::new(),
        notify_url: None,
        return_url: None,
        quit_url: None,
        expires_at: at("2019-09-20 00:00:00"),
    }
}

fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let opened = at("2019-09-16 10:55:16");
    let number = "2019091622001458860515315453".to_owned();
    ledger.prepare(opening("service_1568601259302", 1), number, opened).unwrap();
    ledger.open("service_1568601259302", opened).unwrap();
    ledger.pay("service_1568601259302", at("2019-09-16 10:55:23")).unwrap();
    ledger
}

fn detail(ledger: &Ledger, day: &str, edits: &[&str]) -> String {
    let edits: Vec<Edit> = edits.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    for edit in &edits {
        edit.check().unwrap();
    }
    let period = Period::parse(day).unwrap();
    let exported = at("2019-09-17 05:46:49");
    let bill = Bill::of("2088721003899159", period, exported, ledger, &[], &edits);
    let mut bytes = Vec::new();
    bill.write_detail(&mut bytes).unwrap();
    Charset::Gbk.decode(&bytes).unwrap()
}

#[test]
fn the_detail_file_has_the_published_layout() {
    let text = detail(&ledger(), "2019-09-16", &[]);
    let expected = include_str!("../../tests/fixtures/bill-detail.csv");
    assert_eq!(text.replace("\r\n", "\n"), expected);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
}

#[test]
fn a_refund_is_a_negative_row_on_its_own_day() {
    let mut ledger = Ledger::default();
    ledger.prepare(opening("A", 10_000), "T".to_owned(), at("2019-09-16 23:00:00")).unwrap();
    ledger.pay("A", at("2019-09-16 23:59:59")).unwrap();
    let refunded = ledger.refund("A", Some("R1"), Amount(2_500), None, at("2019-09-17 00:00:00"));
    assert_eq!(refunded, Ok(true));
    let (first, second) = (detail(&ledger, "2019-09-16", &[]), detail(&ledger, "2019-09-17", &[]));
    assert!(first.contains("T\t,A\t,交易\t,") && first.contains(",100.00,100.00,"));
    assert!(first.contains(",\t,-0.60,0.00,"), "{first}");
    assert!(
        first.contains("#交易合计：1笔，商家实收共100.00元") && first.contains("#退款合计：0笔")
    );
    assert!(second.contains("T\t,A\t,退款\t,") && second.contains(",-25.00,-25.00,"));
    assert!(second.contains(",R1\t,0.00,0.00,"), "{second}");
    assert!(second.contains("#退款合计：1笔，商家实收退款共-25.00元"));
}

#[test]
fn an_empty_day_has_markers_and_the_header_only() {
    let text = detail(&ledger(), "2019-09-15", &[]);
    let rows = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(rows, 1);
}

#[test]
fn each_edit_plants_its_difference() {
    let one = "service_1568601259302";
    let row = |op: &str, value: &str| {
        let edit = format!(r#"{{"op":"{op}","reference":"{one}","value":"{value}"}}"#);
        let text = detail(&ledger(), "2019-09-16", &[&edit]);
        let rows = text.lines().filter(|line| line.contains(one)).map(str::to_owned);
        rows.collect::<Vec<_>>()
    };
    assert_eq!(row("drop_row", "").len(), 0);
    assert_eq!(row("duplicate_row", "").len(), 2);
    assert!(row("change_amount", "0.02")[0].contains(",0.02,0.02,"));
    assert!(row("change_fee", "-0.05")[0].contains(",\t,-0.05,0.00,"));
    assert!(row("change_status", "退款")[0].contains("\t,退款\t,"));
    assert!(row("shift_time", "60")[0].contains(",2019-09-16 10:56:23,"));
    let added = r#"{"op":"add_row","reference":"ghost","value":"3.00"}"#;
    let text = detail(&ledger(), "2019-09-16", &[added]);
    assert!(
        text.contains("\t,ghost\t,交易\t,") && text.contains("#交易合计：2笔，商家实收共3.01元")
    );
}

#[test]
fn cells_that_would_break_the_line_are_quoted() {
    assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    assert_eq!(cell("plain"), "plain");
}

#[test]
fn periods_are_days_or_months() {
    let month = Period::parse("2019-12").unwrap();
    assert_eq!((month.label.as_str(), month.to), ("201912", at("2020-01-01 00:00:00")));
    for text in ["2019-13", "2019-9-1", "20190916", ""] {
        assert_eq!(Period::parse(text), None, "{text}");
    }
}
