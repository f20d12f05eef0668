//! Tables of what the ledger allows and refuses.
#![allow(clippy::unwrap_used)]
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_703_141_270 + second).unwrap()
}

fn opening(reference: &str, minor: i64) -> Opening {
    Opening {
        reference: reference.to_owned(),
        amount: Amount(minor),
        currency: Currency { code: "CNY".to_owned(), exponent: 2 },
        subject: "Tea".to_owned(),
        product: "page".to_owned(),
        echoed: BTreeMap::new(),
        notify_url: None,
        return_url: None,
        quit_url: None,
        expires_at: at(3_600),
    }
}

fn paid(minor: i64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.prepare(opening("A", minor), "P1".to_owned(), at(0)).unwrap();
    ledger.pay("A", at(10)).unwrap();
    ledger.take_events();
    ledger
}

#[test]
fn a_trade_is_unknown_until_a_payer_opens_it() {
    let mut ledger = Ledger::default();
    ledger.prepare(opening("A", 100), "P1".to_owned(), at(0)).unwrap();
    assert_eq!(ledger.seen("A", at(1)).unwrap_err(), Refusal::UnknownTrade);
    assert_eq!(ledger.close("A", at(1)).unwrap_err(), Refusal::UnknownTrade);
    ledger.open("A", at(2)).unwrap();
    assert_eq!(ledger.seen("A", at(3)).unwrap().standing, Standing::Waiting);
    assert_eq!(ledger.reference_of("P1"), Some("A"));
}

#[test]
fn a_repeated_number_must_say_the_same() {
    let mut ledger = Ledger::default();
    ledger.prepare(opening("A", 100), "P1".to_owned(), at(0)).unwrap();
    assert_eq!(ledger.prepare(opening("A", 100), "P2".to_owned(), at(1)), Ok(()));
    assert_eq!(ledger.get("A").unwrap().provider_reference, "P1");
    let other = ledger.prepare(opening("A", 101), "P3".to_owned(), at(1));
    assert_eq!(other, Err(Refusal::OtherContent));
    ledger.pay("A", at(2)).unwrap();
    let again = ledger.prepare(opening("A", 100), "P4".to_owned(), at(3));
    assert_eq!(again, Err(Refusal::AlreadyPaid));
    assert_eq!(ledger.pay("A", at(4)).unwrap_err(), Refusal::AlreadyPaid);
}

#[test]
fn an_opened_trade_closes_when_its_time_is_over() {
    let mut ledger = Ledger::default();
    ledger.prepare(opening("A", 100), "P1".to_owned(), at(0)).unwrap();
    ledger.open("A", at(1)).unwrap();
    assert_eq!(ledger.pay("A", at(3_600)).unwrap_err(), Refusal::Closed);
    assert_eq!(ledger.get("A").unwrap().closed_at, Some(at(3_600)));
    let closed = Event { reference: "A".to_owned(), kind: EventKind::Closed };
    assert_eq!(ledger.take_events(), vec![closed]);
}

#[test]
fn refunds_add_up_to_the_trade_and_no_further() {
    let mut ledger = paid(1_000);
    let rows: [(Option<&str>, i64, Result<bool, Refusal>); 9] = [
        (Some("R1"), 0, Err(Refusal::RefundNotPositive)),
        (None, 300, Err(Refusal::RefundNumberMissing)),
        (Some("R1"), 300, Ok(true)),
        (Some("R1"), 300, Ok(false)),
        (Some("R1"), 301, Err(Refusal::RefundRepeatDiffers)),
        (Some("R2"), 701, Err(Refusal::RefundTooMuch)),
        (Some("R2"), 700, Ok(true)),
        (Some("R3"), 1, Err(Refusal::Closed)),
        (Some("R2"), 700, Ok(false)),
    ];
    for (number, minor, expected) in rows {
        let got = ledger.refund("A", number, Amount(minor), None, at(20));
        assert_eq!(got, expected, "{number:?} of {minor}");
    }
    let trade = ledger.get("A").unwrap();
    assert_eq!((trade.refunded(), trade.standing), (Amount(1_000), Standing::Closed));
    assert_eq!(ledger.take_events().len(), 2);
}

#[test]
fn only_paid_trades_are_refunded() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.refund("A", None, Amount(1), None, at(0)), Err(Refusal::UnknownTrade));
    ledger.prepare(opening("A", 100), "P1".to_owned(), at(0)).unwrap();
    assert_eq!(ledger.refund("A", None, Amount(100), None, at(0)), Err(Refusal::UnknownTrade));
    ledger.open("A", at(1)).unwrap();
    assert_eq!(ledger.refund("A", None, Amount(100), None, at(1)), Err(Refusal::WrongStanding));
    ledger.pay("A", at(2)).unwrap();
    ledger.finish("A").unwrap();
    assert_eq!(ledger.refund("A", None, Amount(100), None, at(3)), Err(Refusal::Finished));
}

#[test]
fn cancel_closes_or_refunds_within_a_day() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.cancel("none", at(0)), Ok(Cancelled::Nothing));
    ledger.prepare(opening("A", 100), "P1".to_owned(), at(0)).unwrap();
    ledger.open("A", at(1)).unwrap();
    assert_eq!(ledger.cancel("A", at(2)), Ok(Cancelled::Closed));

    let mut ledger = paid(100);
    assert_eq!(ledger.cancel("A", at(86_401)), Err(Refusal::CancelTooLate));
    assert_eq!(ledger.cancel("A", at(20)), Ok(Cancelled::Refunded));
    assert_eq!(ledger.get("A").unwrap().refunded(), Amount(100));
}
