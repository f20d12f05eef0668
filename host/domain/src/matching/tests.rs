//! One row for each rule of the comparison.

use super::*;
use crate::ids::{PaymentId, RefundId};
use crate::money::{Currency, Money};
use crate::payment::PaymentState;
use crate::refund::RefundState;
use crate::time::Moment;

pub(super) fn cny() -> Currency {
    "CNY".parse().unwrap()
}

/// Ten in the morning of the day that is compared.
pub(super) const MORNING: Moment = Moment(1_795_226_400_000_000);
const START: Moment = Moment(MORNING.0 - 36_000_000_000);
const END: Moment = Moment(START.0 + 86_400_000_000);

pub(super) fn window() -> Window {
    Window { start: START, end: END, previous_compared: true }
}

pub(super) fn payment(number: u8, minor: i64) -> OurPayment {
    let id = PaymentId::new(MORNING, [number; 10]);
    OurPayment {
        id,
        reference: format!("P{number}"),
        provider_reference: Some(format!("there{number}")),
        amount: Money::new(minor, cny()),
        state: PaymentState::Succeeded,
        completed: Some(MORNING),
        expected_fee: None,
        settled_elsewhere: false,
    }
}

pub(super) fn refund(number: u8, of: &OurPayment, minor: i64) -> OurRefund {
    OurRefund {
        id: RefundId::new(MORNING, [number; 10]),
        reference: format!("R{number}"),
        provider_reference: Some(format!("back{number}")),
        payment_reference: of.reference.clone(),
        payment_provider_reference: of.provider_reference.clone(),
        amount: Money::new(minor, cny()),
        state: RefundState::Succeeded,
        completed: Some(MORNING),
        settled_elsewhere: false,
    }
}

/// A payment's row without references.
pub(super) fn row(line: u64, minor: i64) -> StatementRow {
    StatementRow {
        place: Place { file: 0, line },
        kind: RowKind::Payment,
        status: RowStatus::Succeeded,
        payment_ref: None,
        provider_ref: None,
        refund_ref: None,
        provider_refund_ref: None,
        gross: Money::new(minor, cny()),
        fee: None,
        net: None,
        at: Some(MORNING),
        batch: None,
    }
}

pub(super) fn row_of(line: u64, payment: &OurPayment) -> StatementRow {
    StatementRow {
        payment_ref: Some(payment.reference.clone()),
        provider_ref: payment.provider_reference.clone(),
        ..row(line, payment.amount.minor)
    }
}

pub(super) fn row_of_refund(line: u64, refund: &OurRefund) -> StatementRow {
    StatementRow {
        kind: RowKind::Refund,
        payment_ref: Some(refund.payment_reference.clone()),
        provider_ref: refund.payment_provider_reference.clone(),
        refund_ref: Some(refund.reference.clone()),
        provider_refund_ref: refund.provider_reference.clone(),
        ..row(line, -refund.amount.minor)
    }
}

/// What is found, as words: `matched pay 0:1`, `amount pay 0:1 1.00 CNY / 2.00 CNY`.
pub(super) fn compare(
    window: Option<Window>,
    payments: &[OurPayment],
    refunds: &[OurRefund],
    rows: &[StatementRow],
) -> Vec<String> {
    let mut matcher = Matcher::new(window, Tolerance::USUAL);
    payments.iter().cloned().for_each(|payment| matcher.add_payment(payment));
    refunds.iter().cloned().for_each(|refund| matcher.add_refund(refund));
    let mut found: Vec<Finding> =
        rows.iter().filter_map(|row| matcher.take(row)).map(Finding::Differs).collect();
    found.extend(matcher.findings());
    let mut words: Vec<String> = found.iter().map(describe).collect();
    words.sort();
    words
}

fn describe(finding: &Finding) -> String {
    let name = |subject: &Subject| subject.to_string()[..3].to_owned();
    match finding {
        Finding::Matched(found) => format!("matched {} {}", name(&found.subject), found.place),
        Finding::CarriedOver(subject) => format!("carried {}", name(subject)),
        Finding::Differs(found) => {
            let subject = found.subject.as_ref().map_or("none".to_owned(), name);
            let place = found.place.map_or("nowhere".to_owned(), |place| place.to_string());
            let words = |said: Option<Said>| said.map_or("-".to_owned(), |said| said.to_string());
            let (ours, theirs) = (words(found.ours), words(found.theirs));
            format!("{} {subject} {place} {ours} / {theirs}", found.kind)
        }
    }
}

/// Compares one payment of 1.00 CNY with rows made from its own.
fn against(change: impl Fn(&mut OurPayment, &mut Vec<StatementRow>)) -> Vec<String> {
    let mut payment = payment(1, 100);
    let mut rows = vec![row_of(1, &payment)];
    change(&mut payment, &mut rows);
    compare(Some(window()), &[payment], &[], &rows)
}

#[test]
fn a_payment_is_found_by_our_reference_then_by_theirs() {
    let matched = vec!["matched pay 0:1"];
    assert_eq!(against(|_, _| {}), matched);
    assert_eq!(against(|_, rows| rows[0].provider_ref = None), matched);
    assert_eq!(against(|_, rows| rows[0].payment_ref = None), matched);
    assert_eq!(against(|_, rows| rows[0].payment_ref = Some("else".into())), matched);
    assert_eq!(against(|ours, _| ours.provider_reference = None), matched);
    let nothing = against(|_, rows| {
        rows[0].payment_ref = None;
        rows[0].provider_ref = None;
    });
    assert_eq!(
        nothing,
        ["missing_here none 0:1 - / 1.00 CNY", "missing_there pay nowhere 1.00 CNY / -"]
    );
}

#[test]
fn our_reference_outranks_theirs() {
    let (one, two) = (payment(1, 100), payment(2, 100));
    let crossed = StatementRow { provider_ref: two.provider_reference.clone(), ..row_of(1, &one) };
    let rows = [crossed, row_of(2, &two)];
    assert_eq!(
        compare(Some(window()), &[one, two], &[], &rows),
        ["matched pay 0:1", "matched pay 0:2"]
    );
}

#[test]
fn a_refund_is_found_by_its_references_and_its_payment() {
    let paid = payment(1, 100);
    let back = refund(1, &paid, 30);
    let against = |change: fn(&mut StatementRow)| {
        let mut row = row_of_refund(2, &back);
        change(&mut row);
        compare(Some(window()), &[], std::slice::from_ref(&back), &[row])
    };
    let matched = vec!["matched ref 0:2"];
    let lost =
        vec!["missing_here none 0:2 - / -0.30 CNY", "missing_there ref nowhere -0.30 CNY / -"];
    assert_eq!(against(|_| {}), matched);
    assert_eq!(against(|row| row.provider_refund_ref = None), matched);
    assert_eq!(against(|row| row.refund_ref = None), matched);
    assert_eq!(against(|row| row.payment_ref = None), matched);
    assert_eq!(against(|row| row.provider_ref = None), matched);
    assert_eq!(against(|row| (row.payment_ref, row.provider_ref) = (None, None)), matched);
    assert_eq!(against(|row| row.kind = RowKind::Reversal), matched);
    assert_eq!(against(|row| row.payment_ref = Some("other".into())), matched);
    assert_eq!(
        against(|row| {
            row.payment_ref = Some("other".into());
            row.provider_ref = Some("other".into());
        }),
        lost
    );
    assert_eq!(against(|row| (row.refund_ref, row.provider_refund_ref) = (None, None)), lost);
}

#[test]
fn amounts_and_currencies_are_compared_exactly() {
    let other = vec!["amount pay 0:1 1.00 CNY / 1.01 CNY"];
    assert_eq!(against(|_, rows| rows[0].gross.minor += 1), other);
    let usd = against(|_, rows| rows[0].gross.currency = "USD".parse().unwrap());
    assert_eq!(usd, ["amount pay 0:1 1.00 CNY / 1.00 USD"]);
}

#[test]
fn done_on_one_side_only() {
    let rows = [
        (PaymentState::Succeeded, RowStatus::Pending, vec!["status pay 0:1 succeeded / pending"]),
        (PaymentState::Succeeded, RowStatus::Failed, vec!["status pay 0:1 succeeded / failed"]),
        (
            PaymentState::Pending,
            RowStatus::Succeeded,
            vec!["missing_here pay 0:1 pending / 1.00 CNY"],
        ),
        (
            PaymentState::Closed,
            RowStatus::Succeeded,
            vec!["missing_here pay 0:1 closed / 1.00 CNY"],
        ),
        (PaymentState::Pending, RowStatus::Pending, vec![]),
        (PaymentState::Failed, RowStatus::Failed, vec![]),
        (PaymentState::Unknown, RowStatus::Failed, vec![]),
    ];
    for (state, status, wanted) in rows {
        let found = against(|ours, rows| {
            ours.state = state;
            rows[0].status = status;
        });
        assert_eq!(found, wanted, "{state} {status}");
    }
    let unmoved = compare(
        Some(window()),
        &[],
        &[],
        &[StatementRow { status: RowStatus::Failed, ..row_of(1, &payment(1, 100)) }],
    );
    assert_eq!(unmoved, Vec::<String>::new());
}

#[test]
fn rows_without_a_counterpart_are_left_alone() {
    for kind in [RowKind::Fee, RowKind::Payout, RowKind::Adjustment, RowKind::Other] {
        let found = compare(Some(window()), &[], &[], &[StatementRow { kind, ..row(1, 100) }]);
        assert_eq!(found, Vec::<String>::new(), "{kind}");
    }
    let chargeback = StatementRow { kind: RowKind::Chargeback, ..row_of(1, &payment(1, -100)) };
    let found = compare(Some(window()), &[], &[], &[chargeback]);
    assert_eq!(found, ["missing_here none 0:1 - / -1.00 CNY"]);
}

#[test]
fn a_record_that_was_taken_back_is_not_looked_for() {
    let (payment, mut matcher) = (payment(1, 100), Matcher::new(Some(window()), Tolerance::USUAL));
    let mut nameless = refund(1, &payment, 40);
    matcher.add_refund(nameless.clone());
    matcher.withdraw(Subject::Refund(nameless.id));
    assert_eq!(matcher.findings().count(), 0);
    // It comes back under the name by which the bill calls it.
    nameless.reference = "named".to_owned();
    matcher.add_refund(nameless.clone());
    let found: Vec<_> = matcher.findings().collect();
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn another_time_is_listed_and_matched_all_the_same() {
    let by = |millis: i64| against(move |_, rows| rows[0].at = Some(MORNING.plus_millis(millis)));
    assert_eq!(by(300_000), ["matched pay 0:1"]);
    assert_eq!(by(-300_000), ["matched pay 0:1"]);
    let late = by(300_001);
    assert_eq!(late.len(), 2);
    assert!(late[1].starts_with("time pay 0:1"), "{late:?}");
    assert_eq!(by(-86_400_000).len(), 2);
    assert_eq!(against(|_, rows| rows[0].at = None), ["matched pay 0:1"]);
    assert_eq!(against(|ours, _| ours.completed = None), ["matched pay 0:1"]);
}

#[test]
fn fees_are_compared_where_they_are_known() {
    let against = |expected: Option<i64>, fee: i64, net: Option<i64>| {
        against(move |ours, rows| {
            ours.expected_fee = expected;
            rows[0].fee = Some(Money::new(fee, cny()));
            rows[0].net = net.map(|minor| Money::new(minor, cny()));
        })
    };
    let matched = vec!["matched pay 0:1"];
    assert_eq!(against(None, 9, None), matched);
    assert_eq!(against(Some(6), 6, Some(94)), matched);
    assert_eq!(against(Some(6), 7, Some(93)), matched, "a minor unit of rounding");
    // A discount of the merchant's lies between.
    assert_eq!(against(Some(6), 6, Some(84)), matched);
    let rows = [
        (Some(6), 8, Some(92), "fee pay 0:1 0.06 CNY / 0.08 CNY"),
        (Some(6), 0, None, "fee pay 0:1 0.06 CNY / 0.00 CNY"),
        (None, 6, Some(95), "fee pay 0:1 0.05 CNY / 0.06 CNY"),
        (Some(6), 6, Some(100), "fee pay 0:1 0.00 CNY / 0.06 CNY"),
    ];
    for (expected, fee, net, wanted) in rows {
        assert_eq!(against(expected, fee, net), [wanted, "matched pay 0:1"]);
    }
}

#[test]
fn a_refunds_fee_goes_the_other_way() {
    let back = refund(1, &payment(1, 100), 100);
    for (fee, net, is_fine) in [(-6, -94, true), (0, -100, true), (-6, -84, true), (-6, -95, false)]
    {
        let mut row = row_of_refund(1, &back);
        row.fee = Some(Money::new(fee, cny()));
        row.net = Some(Money::new(net, cny()));
        let found = compare(None, &[], std::slice::from_ref(&back), &[row]);
        assert_eq!(found.len(), if is_fine { 1 } else { 2 }, "{fee} {net}");
    }
}

#[test]
fn the_row_that_agrees_best_speaks_for_a_record() {
    let other_amount = against(|_, rows| {
        let mut again = rows[0].clone();
        (again.place.line, rows[0].gross.minor) = (2, 55);
        rows.push(again);
    });
    assert_eq!(other_amount, ["duplicate pay 0:1 1.00 CNY / 0.55 CNY", "matched pay 0:2"]);
    let same = against(|_, rows| {
        let mut again = rows[0].clone();
        again.place.line = 2;
        rows.push(again);
    });
    assert_eq!(same, ["duplicate pay 0:2 1.00 CNY / 1.00 CNY", "matched pay 0:1"]);
    let tried_before = against(|_, rows| {
        let mut again = rows[0].clone();
        again.place.line = 2;
        rows[0].status = RowStatus::Failed;
        rows.push(again);
    });
    assert_eq!(tried_before, ["matched pay 0:2"], "a failed try is no second payment");
}

#[test]
fn what_an_earlier_bill_settled_is_a_duplicate() {
    let found = against(|ours, _| ours.settled_elsewhere = true);
    assert_eq!(found, ["duplicate pay 0:1 1.00 CNY / 1.00 CNY"]);
    let quiet = against(|ours, rows| {
        ours.settled_elsewhere = true;
        rows.clear();
    });
    assert_eq!(quiet, Vec::<String>::new());
}

#[test]
fn near_midnight_the_next_bill_may_tell() {
    let missing = vec!["missing_there pay nowhere 1.00 CNY / -"];
    let carried = vec!["carried pay"];
    let nothing: Vec<&str> = vec![];
    let minutes = |minutes: i64| minutes * 60_000;
    let rows = [
        (START, minutes(-11), true, &nothing),
        (START, minutes(-10), true, &missing),
        (START, minutes(-10), false, &nothing),
        (START, 0, true, &missing),
        (START, 0, false, &missing),
        (MORNING, 0, false, &missing),
        (END, minutes(-11), true, &missing),
        (END, minutes(-10), true, &carried),
        (END, minutes(9), true, &carried),
        (END, minutes(10), true, &nothing),
    ];
    for (from, millis, previous_compared, wanted) in rows {
        let completed = from.plus_millis(millis);
        let ours = OurPayment { completed: Some(completed), ..payment(1, 100) };
        let window = Window { previous_compared, ..window() };
        let found = compare(Some(window), std::slice::from_ref(&ours), &[], &[]);
        assert_eq!(&found, wanted, "{completed} {previous_compared}");
    }
}

#[test]
fn a_batch_proves_nothing_by_what_is_not_in_it() {
    assert_eq!(compare(None, &[payment(1, 100)], &[], &[]), Vec::<String>::new());
}

#[test]
fn what_was_not_added_is_asked_for() {
    let mut matcher = Matcher::new(None, Tolerance::USUAL);
    let ours = payment(1, 100);
    assert!(matcher.misses(&row_of(1, &ours)));
    matcher.add_payment(ours.clone());
    matcher.add_payment(ours.clone());
    assert!(!matcher.misses(&row_of(1, &ours)));
    assert!(matcher.misses(&row_of_refund(1, &refund(1, &ours, 30))));
    assert!(!matcher.misses(&StatementRow { kind: RowKind::Payout, ..row(1, 5) }));
    assert_eq!(matcher.findings().count(), 0, "added once, and no row for it");
}
