//! What holds for any bill: the order of its rows is nothing, our own bill matches, what is planted is found once.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::tests::{compare, payment, refund, row_of, row_of_refund, window};
use super::*;

/// Payments, some refunded in part, and the bill that tells of just them.
fn books() -> impl Strategy<Value = (Vec<OurPayment>, Vec<OurRefund>, Vec<StatementRow>)> {
    proptest::collection::vec((100i64..1_000_000, any::<bool>()), 1..40).prop_map(|amounts| {
        let (mut payments, mut refunds, mut rows) = (vec![], vec![], vec![]);
        for (number, (minor, is_refunded)) in (0u8..).zip(amounts) {
            let paid = payment(number, minor);
            rows.push(row_of(rows.len() as u64 + 1, &paid));
            if is_refunded {
                let back = refund(number, &paid, minor / 3);
                rows.push(row_of_refund(rows.len() as u64 + 1, &back));
                refunds.push(back);
            }
            payments.push(paid);
        }
        (payments, refunds, rows)
    })
}

/// What is done to one row of a bill, and what has to be found for it.
#[derive(Clone, Copy, Debug)]
enum Plant {
    Drop,
    Amount,
    Status,
    Time,
    Fee,
    Twice,
    Stranger,
}

/// A place that no row has.
fn next_line(rows: &[StatementRow]) -> u64 {
    rows.iter().map(|row| row.place.line).max().unwrap_or(0) + 1
}

fn plant(plant: Plant, rows: &mut Vec<StatementRow>, at: usize) -> DifferenceKind {
    let line = next_line(rows);
    let row = &mut rows[at];
    match plant {
        Plant::Drop => {
            rows.remove(at);
            DifferenceKind::MissingThere
        }
        Plant::Amount => {
            row.gross.minor += 1;
            DifferenceKind::Amount
        }
        Plant::Status => {
            row.status = RowStatus::Pending;
            DifferenceKind::Status
        }
        Plant::Time => {
            row.at = row.at.map(|at| at.plus_millis(400_000));
            DifferenceKind::Time
        }
        Plant::Fee => {
            (row.fee, row.net) = (Some(row.gross), Some(row.gross));
            DifferenceKind::Fee
        }
        Plant::Twice => {
            let again = StatementRow { place: Place { file: 0, line }, ..row.clone() };
            rows.push(again);
            DifferenceKind::Duplicate
        }
        Plant::Stranger => {
            let mut stranger = row.clone();
            stranger.place.line = line;
            for reference in [
                &mut stranger.payment_ref,
                &mut stranger.provider_ref,
                &mut stranger.refund_ref,
                &mut stranger.provider_refund_ref,
            ] {
                *reference = reference.take().map(|known| format!("{known}x"));
            }
            rows.push(stranger);
            DifferenceKind::MissingHere
        }
    }
}

const PLANTS: [Plant; 7] = [
    Plant::Drop,
    Plant::Amount,
    Plant::Status,
    Plant::Time,
    Plant::Fee,
    Plant::Twice,
    Plant::Stranger,
];

proptest! {
    #[test]
    fn the_bill_of_our_own_books_matches((payments, refunds, rows) in books()) {
        let found = compare(Some(window()), &payments, &refunds, &rows);
        prop_assert_eq!(found.len(), payments.len() + refunds.len());
        prop_assert!(found.iter().all(|words| words.starts_with("matched")));
    }

    #[test]
    fn each_planted_difference_is_found_once_and_no_other(
        (payments, refunds, mut rows) in books(),
        plants in proptest::collection::vec((any::<prop::sample::Index>(), 0..PLANTS.len()), 0..6),
    ) {
        // From the back, so that a dropped row moves none that comes after in this list.
        let mut chosen: Vec<(usize, usize)> =
            plants.into_iter().map(|(at, kind)| (at.index(rows.len()), kind)).collect();
        chosen.sort_unstable();
        chosen.dedup_by_key(|(at, _)| *at);
        let mut wanted: Vec<String> = chosen
            .into_iter()
            .rev()
            .map(|(at, kind)| plant(PLANTS[kind], &mut rows, at).as_str().to_owned())
            .collect();
        wanted.sort();
        let found = compare(Some(window()), &payments, &refunds, &rows);
        let found: Vec<&str> = found
            .iter()
            .map(|words| words.split(' ').next().unwrap())
            .filter(|word| *word != "matched")
            .collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn the_order_of_rows_is_nothing(
        (payments, refunds, rows) in books(),
        copies in proptest::collection::vec((any::<prop::sample::Index>(), 0..PLANTS.len()), 0..8),
        seed in any::<u64>(),
    ) {
        let mut rows = rows;
        for (at, kind) in copies {
            let at = at.index(rows.len());
            let mut again = rows[at].clone();
            again.place.line = next_line(&rows);
            rows.push(again);
            plant(PLANTS[kind], &mut rows, at);
            prop_assume!(!rows.is_empty());
        }
        let straight = compare(Some(window()), &payments, &refunds, &rows);
        let mut shuffled = rows.clone();
        let mut state = seed;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let (mut theirs, mut ours) = (payments.clone(), refunds.clone());
        theirs.reverse();
        ours.reverse();
        prop_assert_eq!(straight, compare(Some(window()), &theirs, &ours, &shuffled));
    }

    #[test]
    fn keys_tell_differences_apart(
        (payments, refunds, mut rows) in books(),
        kinds in proptest::collection::vec((any::<prop::sample::Index>(), 0..PLANTS.len()), 0..8),
    ) {
        for (at, kind) in kinds {
            let at = at.index(rows.len());
            plant(PLANTS[kind], &mut rows, at);
            prop_assume!(!rows.is_empty());
        }
        let mut matcher = Matcher::new(Some(window()), Tolerance::USUAL);
        payments.into_iter().for_each(|payment| matcher.add_payment(payment));
        refunds.into_iter().for_each(|refund| matcher.add_refund(refund));
        let mut found: Vec<Discrepancy> = rows.iter().filter_map(|row| matcher.take(row)).collect();
        found.extend(matcher.findings().filter_map(|finding| match finding {
            Finding::Differs(found) => Some(found),
            Finding::Matched(_) | Finding::CarriedOver(_) => None,
        }));
        let keys: BTreeSet<String> = found.iter().map(Discrepancy::key).collect();
        prop_assert_eq!(keys.len(), found.len());
    }
}
