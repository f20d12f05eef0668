//! Tables of what a payment does in each state, and the lattice as a property.

use proptest::prelude::*;

use super::*;

const NOW: Moment = Moment(1_000);
const LATER: Moment = Moment(2_000);

fn payment(state: PaymentState) -> Payment {
    let amount = Money::new(1000, "CNY".parse().unwrap());
    let taken = if state == PaymentState::Succeeded { 1000 } else { 0 };
    Payment { state, taken, ..Payment::new(amount, NOW) }
}

fn after(state: PaymentState, command: PaymentCommand) -> Result<PaymentState, PaymentRefusal> {
    payment(state).apply(command, LATER).map(|(payment, _)| payment.state)
}

#[test]
fn each_state_and_what_is_told_in_it() {
    use PaymentState::*;
    let rows = [
        // from, pending, approved, authorized, succeeded, failed, closed, unknown, not found
        (Created, [Pending, Approved, Authorized, Succeeded, Failed, Closed, Created, Created]),
        (Pending, [Pending, Approved, Authorized, Succeeded, Failed, Closed, Pending, Pending]),
        (Unknown, [Pending, Approved, Authorized, Succeeded, Failed, Closed, Unknown, Unknown]),
        (Approved, [Approved, Approved, Authorized, Succeeded, Failed, Closed, Approved, Approved]),
        (
            Authorized,
            [Authorized, Authorized, Authorized, Succeeded, Failed, Closed, Authorized, Authorized],
        ),
        (Failed, [Failed, Failed, Failed, Succeeded, Failed, Failed, Failed, Failed]),
        (Closed, [Closed, Closed, Closed, Succeeded, Closed, Closed, Closed, Closed]),
        (Succeeded, [Succeeded; 8]),
    ];
    let told = [
        Told::Pending,
        Told::Approved,
        Told::Authorized,
        Told::Succeeded(1000),
        Told::Failed,
        Told::Closed,
        Told::Unknown,
        Told::NotFound,
    ];
    for (from, wanted) in rows {
        for (told, wanted) in told.into_iter().zip(wanted) {
            assert_eq!(
                after(from, PaymentCommand::Learn(told)),
                Ok(wanted),
                "{from} told {told:?}"
            );
        }
    }
}

#[test]
fn another_amount_is_never_believed() {
    for state in PaymentState::ALL {
        for minor in [0, 1, 999, 1001, -1000] {
            let told = PaymentCommand::Learn(Told::Succeeded(minor));
            assert_eq!(after(state, told), Err(PaymentRefusal::OtherAmount), "{state} {minor}");
        }
    }
}

#[test]
fn handing_out_makes_pending_what_nobody_has_told_more_of() {
    use PaymentState::*;
    let rows = [
        (Created, Pending),
        (Unknown, Pending),
        (Pending, Pending),
        (Succeeded, Succeeded),
        (Failed, Failed),
        (Closed, Closed),
    ];
    for (from, wanted) in rows {
        assert_eq!(after(from, PaymentCommand::Offer), Ok(wanted), "{from}");
    }
}

#[test]
fn a_refund_that_was_called_failed_is_booked_if_it_fits() {
    let paid = payment(PaymentState::Succeeded);
    let (after, effects) = paid.apply(PaymentCommand::RefundUnreserved(400), LATER).unwrap();
    assert_eq!((after.reserved, after.refunded), (0, 400));
    assert_eq!(effects, [PaymentEffect::DeriveOrder]);
    let (held, _) = paid.apply(PaymentCommand::Reserve(1000), LATER).unwrap();
    let refused = held.apply(PaymentCommand::RefundUnreserved(1), LATER);
    assert_eq!(refused, Err(PaymentRefusal::ExceedsPayment));
}

#[test]
fn a_lost_answer_is_unknown_and_never_failed() {
    assert_eq!(after(PaymentState::Created, PaymentCommand::LoseSight), Ok(PaymentState::Unknown));
    assert_eq!(
        after(PaymentState::Succeeded, PaymentCommand::LoseSight),
        Ok(PaymentState::Succeeded)
    );
}

#[test]
fn a_refusal_settles_only_what_was_never_sent() {
    for state in PaymentState::ALL {
        let wanted = if state == PaymentState::Created { PaymentState::Failed } else { state };
        assert_eq!(after(state, PaymentCommand::Refuse), Ok(wanted), "{state}");
    }
}

#[test]
fn success_announces_once_and_derives_the_order() {
    let (paid, effects) = payment(PaymentState::Pending)
        .apply(PaymentCommand::Learn(Told::Succeeded(1000)), LATER)
        .unwrap();
    assert_eq!((paid.taken, paid.changed), (1000, LATER));
    assert_eq!(effects, [PaymentEffect::Announce("payment.succeeded"), PaymentEffect::ClaimOrder]);
    let (again, effects) =
        paid.apply(PaymentCommand::Learn(Told::Succeeded(1000)), Moment(3_000)).unwrap();
    assert_eq!((again, effects), (paid, vec![]));
}

#[test]
fn refunds_reserve_no_more_than_was_taken() {
    use PaymentRefusal::*;
    let rows = [
        (0, Err(Amount(MoneyError::NotPositive))),
        (-5, Err(Amount(MoneyError::NotPositive))),
        (1001, Err(ExceedsPayment)),
        (i64::MAX, Err(Amount(MoneyError::Overflow))),
        (1000, Ok(0)),
        (1, Ok(999)),
    ];
    for (minor, wanted) in rows {
        let got = payment(PaymentState::Succeeded)
            .apply(PaymentCommand::Reserve(minor), LATER)
            .map(|(payment, _)| payment.refundable());
        assert_eq!(got, wanted, "{minor}");
    }
    for state in PaymentState::ALL.into_iter().filter(|state| *state != PaymentState::Succeeded) {
        assert_eq!(after(state, PaymentCommand::Reserve(1)), Err(NotSucceeded), "{state}");
    }
}

#[test]
fn a_success_that_is_reversed_keeps_both_facts() {
    use PaymentState::*;
    for state in PaymentState::ALL {
        let (after, effects) = payment(state).apply(PaymentCommand::Reverse(1000), LATER).unwrap();
        assert_eq!((after.state, after.taken, after.reversed), (Succeeded, 1000, 1000), "{state}");
        let reversed = PaymentEffect::Announce("payment.reversed");
        assert_eq!(effects.last(), Some(&reversed), "{state}");
        let claims = effects.contains(&PaymentEffect::ClaimOrder);
        assert_eq!(claims, state != Succeeded, "a success is claimed once: {state}");
        assert_eq!(after.apply(PaymentCommand::Reverse(1000), LATER), Ok((after, vec![])));
        let again = after.apply(PaymentCommand::Learn(Told::Succeeded(1000)), LATER);
        assert_eq!(again, Ok((after, vec![])), "{state}");
        assert_eq!(after.refundable(), 0);
    }
    for minor in [0, -1, 1001] {
        let refused = payment(Succeeded).apply(PaymentCommand::Reverse(minor), LATER);
        assert_eq!(refused, Err(PaymentRefusal::OtherAmount), "{minor}");
    }
}

#[test]
fn what_is_in_dispute_is_refunded_only_by_somebodys_word() {
    let contest = |disputed, charged_back| PaymentCommand::Contest { disputed, charged_back };
    let paid = payment(PaymentState::Succeeded);
    let (open, effects) = paid.apply(contest(600, 0), LATER).unwrap();
    assert_eq!((open.disputed, effects), (600, vec![]));
    assert_eq!(open.apply(contest(600, 0), LATER), Ok((open, vec![])));
    let refused = open.apply(PaymentCommand::Reserve(1), LATER);
    assert_eq!(refused, Err(PaymentRefusal::Disputed));
    assert!(open.apply(PaymentCommand::ReserveDespiteDispute(1000), LATER).is_ok());
    // What is lost is gone; whether the rest is given back is for somebody to say.
    let (lost, _) = open.apply(contest(0, 600), LATER).unwrap();
    assert_eq!(lost.refundable(), 400);
    let refused = lost.apply(PaymentCommand::ReserveDespiteDispute(401), LATER);
    assert_eq!(refused, Err(PaymentRefusal::ExceedsPayment));
    assert_eq!(lost.apply(PaymentCommand::Reserve(400), LATER), Err(PaymentRefusal::Disputed));
    assert!(lost.apply(PaymentCommand::ReserveDespiteDispute(400), LATER).is_ok());
    // Won: as if nothing had been.
    let (won, _) = open.apply(contest(0, 0), LATER).unwrap();
    assert_eq!(won.refundable(), 1000);
}

#[test]
fn a_reversed_refund_brings_the_money_back() {
    let (given, _) = payment(PaymentState::Succeeded)
        .apply(PaymentCommand::RefundUnreserved(400), LATER)
        .unwrap();
    let (after, effects) = given.apply(PaymentCommand::ReverseRefund(400), LATER).unwrap();
    assert_eq!((after.refunded, after.refundable()), (0, 1000));
    assert_eq!(effects, [PaymentEffect::DeriveOrder]);
    for minor in [0, -1, 401] {
        let refused = given.apply(PaymentCommand::ReverseRefund(minor), LATER);
        assert_eq!(refused, Err(PaymentRefusal::NotRefunded), "{minor}");
    }
}

/// Each state and each command: what it makes of the figures, and that it never breaks what they promise.
#[test]
fn no_command_in_any_state_breaks_the_figures() {
    for state in PaymentState::ALL {
        for command in every_command() {
            let before = payment(state);
            let Ok((after, effects)) = before.apply(command, LATER) else { continue };
            holds(&after);
            assert!(after.state.rank() >= state.rank(), "{state} {command:?}");
            if after == before {
                assert_eq!(effects, [], "{state} {command:?}: nothing changed, nothing follows");
            }
        }
    }
}

fn holds(payment: &Payment) {
    let Payment { taken, reserved, refunded, reversed, .. } = *payment;
    assert!(reserved >= 0 && refunded >= 0 && reversed >= 0, "{payment:?}");
    assert!(reserved + refunded <= taken, "{payment:?}");
    assert!(reversed <= taken && payment.refundable() >= 0, "{payment:?}");
    assert_eq!(taken > 0, payment.state == PaymentState::Succeeded, "{payment:?}");
}

fn every_command() -> Vec<PaymentCommand> {
    let told = [
        Told::Pending,
        Told::Approved,
        Told::Authorized,
        Told::Succeeded(1000),
        Told::Failed,
        Told::Closed,
        Told::Unknown,
        Told::NotFound,
    ];
    let mut commands: Vec<_> = told.into_iter().map(PaymentCommand::Learn).collect();
    for minor in [i64::MIN, -1, 0, 1, 999, 1000, 1001, i64::MAX] {
        commands.extend([
            PaymentCommand::Reserve(minor),
            PaymentCommand::ReserveDespiteDispute(minor),
            PaymentCommand::Refund(minor),
            PaymentCommand::Release(minor),
            PaymentCommand::RefundUnreserved(minor),
            PaymentCommand::ReverseRefund(minor),
            PaymentCommand::Reverse(minor),
        ]);
    }
    commands.extend([PaymentCommand::Offer, PaymentCommand::LoseSight, PaymentCommand::Refuse]);
    commands.push(PaymentCommand::Contest { disputed: 1000, charged_back: 0 });
    commands
}

fn any_command() -> impl Strategy<Value = PaymentCommand> {
    prop_oneof![
        Just(PaymentCommand::Offer),
        Just(PaymentCommand::LoseSight),
        Just(PaymentCommand::Refuse),
        Just(PaymentCommand::Learn(Told::Pending)),
        Just(PaymentCommand::Learn(Told::Approved)),
        Just(PaymentCommand::Learn(Told::Succeeded(1000))),
        Just(PaymentCommand::Learn(Told::Succeeded(1))),
        Just(PaymentCommand::Learn(Told::Failed)),
        Just(PaymentCommand::Learn(Told::Closed)),
        Just(PaymentCommand::Learn(Told::NotFound)),
        (1i64..700).prop_map(PaymentCommand::Reserve),
        (1i64..700).prop_map(PaymentCommand::Refund),
        (1i64..700).prop_map(PaymentCommand::Release),
        (1i64..700).prop_map(PaymentCommand::RefundUnreserved),
        (1i64..700).prop_map(PaymentCommand::ReserveDespiteDispute),
        (1i64..700).prop_map(PaymentCommand::ReverseRefund),
        (1i64..1000).prop_map(PaymentCommand::Reverse),
        (0i64..700, 0i64..700).prop_map(|(disputed, charged_back)| {
            PaymentCommand::Contest { disputed, charged_back }
        }),
    ]
}

proptest! {
    /// Whatever happens, nothing known is unlearned and no more goes back than came in.
    #[test]
    fn facts_only_rise_and_refunds_stay_covered(commands in proptest::collection::vec(any_command(), 0..40)) {
        let mut now = payment(PaymentState::Created);
        for command in commands {
            let before = now;
            if let Ok((next, _)) = now.apply(command, LATER) {
                now = next;
            }
            prop_assert!(now.state.rank() >= before.state.rank());
            prop_assert!(now.taken >= before.taken);
            let undone = matches!(command, PaymentCommand::ReverseRefund(_));
            prop_assert!(now.refunded >= before.refunded || undone);
            prop_assert!(now.reversed >= before.reversed);
            holds(&now);
        }
    }

    /// A history told in any order, each fact any number of times, ends in one state.
    #[test]
    fn the_order_of_messages_does_not_matter((told, shuffled) in any_history()) {
        let end = |facts: &[PaymentCommand]| {
            facts.iter().fold(payment(PaymentState::Created), |payment, fact| {
                payment.apply(*fact, LATER).map_or(payment, |(next, _)| next)
            })
        };
        prop_assert_eq!(end(&told), end(&shuffled));
    }
}

/// What one provider may truly tell of one payment, as it happened and as it came: shuffled, facts repeated.
fn any_history() -> impl Strategy<Value = (Vec<PaymentCommand>, Vec<PaymentCommand>)> {
    let learn = PaymentCommand::Learn;
    let paid = vec![
        learn(Told::Pending),
        learn(Told::NotFound),
        learn(Told::Approved),
        learn(Told::Authorized),
        learn(Told::Succeeded(1000)),
    ];
    // Ended by us, and paid all the same; refused at first, then paid.
    let late = vec![learn(Told::Pending), learn(Told::Closed), learn(Told::Succeeded(1000))];
    let second_try = vec![learn(Told::Failed), learn(Told::Unknown), learn(Told::Succeeded(1000))];
    let undone =
        vec![learn(Told::Succeeded(1000)), learn(Told::Failed), PaymentCommand::Reverse(1000)];
    let died = vec![learn(Told::Pending), learn(Told::Unknown), learn(Told::Failed)];
    let ended = vec![learn(Told::Approved), learn(Told::Closed)];
    prop::sample::select(vec![paid, late, second_try, undone, died, ended]).prop_flat_map(|told| {
        let again = prop::sample::subsequence(told.clone(), 0..=told.len());
        (Just(told), again).prop_flat_map(|(told, again)| {
            let all: Vec<_> = told.iter().chain(&again).copied().collect();
            (Just(told), Just(all).prop_shuffle())
        })
    })
}
