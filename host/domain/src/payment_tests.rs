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
    assert_eq!(effects, [PaymentEffect::Announce("payment.succeeded"), PaymentEffect::DeriveOrder]);
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
            prop_assert!(now.reserved >= 0 && now.refunded >= before.refunded);
            prop_assert!(now.reserved + now.refunded <= now.taken);
        }
    }

    /// A history told in any order ends in one state.
    #[test]
    fn the_order_of_messages_does_not_matter(
        mut told in Just(vec![Told::Pending, Told::Approved, Told::Succeeded(1000), Told::NotFound, Told::Pending])
            .prop_shuffle()
    ) {
        told.push(Told::Unknown);
        let end = told.into_iter().fold(payment(PaymentState::Created), |payment, told| {
            payment.apply(PaymentCommand::Learn(told), LATER).map_or(payment, |(next, _)| next)
        });
        prop_assert_eq!(end.state, PaymentState::Succeeded);
        prop_assert_eq!(end.taken, 1000);
    }
}
