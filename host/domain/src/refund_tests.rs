//! Tables of what a refund does in each state, and what becomes of its reserve as a property.

use proptest::prelude::*;

use super::*;

const COMMANDS: [RefundCommand; 10] = [
    RefundCommand::LoseSight,
    RefundCommand::Refuse,
    RefundCommand::Learn(RefundTold::Pending),
    RefundCommand::Learn(RefundTold::NeedsAction),
    RefundCommand::Learn(RefundTold::Succeeded),
    RefundCommand::Learn(RefundTold::Failed),
    RefundCommand::Learn(RefundTold::Unknown),
    RefundCommand::Learn(RefundTold::NotFound),
    RefundCommand::Strand,
    RefundCommand::Reverse,
];

fn refund(state: RefundState) -> Refund {
    Refund { state, ..Refund::new(300, Moment(1)) }
}

#[test]
fn each_state_and_what_happens_in_it() {
    use RefundState::{
        Failed, NeedsAction as Needs, Pending, Requested, Succeeded as Done, Unknown,
    };
    #[rustfmt::skip]
    let rows = [
        // from: lost, refused, pending, needs action, succeeded, failed, unknown, not found, stranded, reversed
        (Requested, [Unknown, Failed, Pending, Needs, Done, Failed, Unknown, Unknown, Needs, Done]),
        (Pending, [Pending, Pending, Pending, Needs, Done, Failed, Pending, Pending, Needs, Done]),
        (Unknown, [Unknown, Unknown, Pending, Needs, Done, Failed, Unknown, Unknown, Needs, Done]),
        (Needs, [Needs, Needs, Needs, Needs, Done, Failed, Needs, Needs, Needs, Done]),
        (Done, [Done; 10]),
        (Failed, [Failed, Failed, Failed, Failed, Done, Failed, Failed, Failed, Failed, Done]),
    ];
    for (state, wanted) in rows {
        for (command, wanted) in COMMANDS.into_iter().zip(wanted) {
            let (after, _) = refund(state).apply(command, Moment(2));
            assert_eq!(after.state, wanted, "{state} {command:?}");
            assert_eq!(after.reversed, command == RefundCommand::Reverse, "{state} {command:?}");
        }
    }
}

#[test]
fn a_success_that_is_reversed_gives_the_money_back_once() {
    let (done, _) =
        refund(RefundState::Pending).apply(RefundCommand::Learn(RefundTold::Succeeded), Moment(2));
    let (reversed, effects) = done.apply(RefundCommand::Reverse, Moment(3));
    assert_eq!((reversed.state, reversed.reversed), (RefundState::Succeeded, true));
    let wanted = [RefundEffect::TakeBack(300), RefundEffect::Announce("refund.reversed")];
    assert_eq!(effects, wanted);
    for command in COMMANDS {
        assert_eq!(reversed.apply(command, Moment(4)), (reversed, vec![]), "{command:?}");
    }
}

#[test]
fn what_nobody_here_can_settle_is_told_once() {
    let (stranded, effects) = refund(RefundState::Unknown).apply(RefundCommand::Strand, Moment(2));
    let wanted = [RefundEffect::Announce("refund.needs_action"), RefundEffect::KeepAsking];
    assert_eq!(effects, wanted);
    assert_eq!(stranded.apply(RefundCommand::Strand, Moment(3)), (stranded, vec![]));
}

proptest! {
    /// Whatever is told in whatever order, the reserve is settled or released once, and what went back comes back once.
    #[test]
    fn the_reserve_goes_one_way_once(history in proptest::collection::vec(0usize..COMMANDS.len(), 0..30)) {
        let mut refund = Refund::new(300, Moment(0));
        let (mut freed, mut back, mut given) = (0, 0, 0);
        for step in history {
            let (next, effects) = refund.apply(COMMANDS[step], Moment(1));
            for effect in effects {
                match effect {
                    RefundEffect::SettleReserve(300) => (freed, given) = (freed + 1, given + 1),
                    RefundEffect::ReleaseReserve(300) => freed += 1,
                    RefundEffect::SettleUnreserved(300) => given += 1,
                    RefundEffect::TakeBack(300) => back += 1,
                    _ => {}
                }
            }
            refund = next;
        }
        prop_assert_eq!(freed, usize::from(!refund.state.is_open()));
        prop_assert_eq!(given, usize::from(refund.state == RefundState::Succeeded));
        prop_assert_eq!(back, usize::from(refund.reversed));
    }

    /// True facts in any order, each any number of times, end in one state.
    #[test]
    fn the_order_of_messages_does_not_matter(
        shuffled in prop::sample::select(vec![
            vec![2, 7, 4, 4, 2, 6],
            vec![5, 4, 2],
            vec![2, 4, 9, 9, 4],
            vec![2, 5, 5, 7],
        ]).prop_flat_map(|told| (Just(told.clone()), Just(told).prop_shuffle()))
    ) {
        let end = |told: &[usize]| {
            told.iter().fold(Refund::new(300, Moment(1)), |refund, step| {
                refund.apply(COMMANDS[*step], Moment(1)).0
            })
        };
        prop_assert_eq!(end(&shuffled.0), end(&shuffled.1));
    }
}
