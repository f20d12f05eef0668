//! Tables of how orders end, and what becomes of an order and its payments whatever happens in whatever order.

use proptest::prelude::*;

use crate::payment::{PaymentCommand, PaymentEffect, PaymentState, Told};

use super::*;

fn order(state: OrderState) -> Order {
    Order {
        state,
        amount: Money::new(1000, "CNY".parse().unwrap()),
        late: LateSuccess::Reopen,
        expires: Moment(100),
    }
}

fn payment(state: PaymentState, taken: i64, refunded: i64) -> Payment {
    Payment {
        state,
        taken,
        refunded,
        allocated: taken > 0,
        ..Payment::new(order(OrderState::Open).amount, Moment(0))
    }
}

#[test]
fn the_state_follows_the_payments() {
    use PaymentState::{Closed, Pending, Succeeded};
    let extra = Payment { allocated: false, ..payment(Succeeded, 1000, 1000) };
    let rows = [
        (OrderState::Open, vec![], OrderState::Open),
        (OrderState::Open, vec![payment(Pending, 0, 0)], OrderState::Open),
        (
            OrderState::Open,
            vec![payment(Closed, 0, 0), payment(Succeeded, 1000, 0)],
            OrderState::Paid,
        ),
        (OrderState::Paid, vec![payment(Succeeded, 1000, 1)], OrderState::PartiallyRefunded),
        (OrderState::PartiallyRefunded, vec![payment(Succeeded, 1000, 1000)], OrderState::Refunded),
        (OrderState::Closed, vec![payment(Succeeded, 1000, 0)], OrderState::Paid),
        (OrderState::Expired, vec![payment(Succeeded, 1000, 0)], OrderState::Paid),
        (OrderState::Closed, vec![payment(Closed, 0, 0)], OrderState::Closed),
        // A refund that was reversed.
        (OrderState::Refunded, vec![payment(Succeeded, 1000, 0)], OrderState::Paid),
        // One that is not counted, and went back.
        (OrderState::Paid, vec![payment(Succeeded, 1000, 0), extra], OrderState::Paid),
        (OrderState::Closed, vec![extra], OrderState::Closed),
    ];
    for (from, payments, wanted) in rows {
        let (after, effects) = order(from).derive(&payments);
        assert_eq!(after.state, wanted);
        assert_eq!(effects.len(), usize::from(from != wanted), "{from} to {wanted} is told once");
        assert_eq!(after.derive(&payments), (after, vec![]), "again changes nothing");
    }
}

#[test]
fn one_success_is_counted_and_others_go_back() {
    let first = payment(PaymentState::Succeeded, 1000, 0);
    let dead = payment(PaymentState::Closed, 0, 0);
    let sent_back = Payment { allocated: false, ..payment(PaymentState::Succeeded, 1000, 1000) };
    let counted = |late| Claim::Counted { late };
    let rows = [
        (OrderState::Open, counted(false), counted(false)),
        (OrderState::Closed, counted(true), Claim::Late),
        (OrderState::Expired, counted(true), Claim::Late),
        (OrderState::Paid, Claim::Duplicate, Claim::Duplicate),
        (OrderState::PartiallyRefunded, Claim::Duplicate, Claim::Duplicate),
        (OrderState::Refunded, Claim::Duplicate, Claim::Duplicate),
    ];
    for (state, reopen, refund) in rows {
        for (late, wanted) in [(LateSuccess::Reopen, reopen), (LateSuccess::Refund, refund)] {
            let order = Order { late, ..order(state) };
            for others in [&[][..], &[dead], &[dead, sent_back]] {
                assert_eq!(order.claim(others), wanted, "{state} {late:?}");
            }
            assert_eq!(order.claim(&[dead, first]), Claim::Duplicate, "{state} {late:?}");
        }
    }
}

#[test]
fn one_attempt_is_alive_at_a_time() {
    let open = order(OrderState::Open);
    assert_eq!(open.may_start_payment(&[], Moment(99)), Ok(()));
    assert_eq!(open.may_start_payment(&[], Moment(100)), Err(OrderRefusal::Expired));
    for state in PaymentState::ALL {
        let wanted = if state.is_alive() { Err(OrderRefusal::PaymentAlive) } else { Ok(()) };
        assert_eq!(open.may_start_payment(&[payment(state, 0, 0)], Moment(1)), wanted, "{state}");
    }
}

#[test]
fn each_state_and_how_it_ends() {
    use OrderRefusal::*;
    let rows = [
        (OrderState::Open, Ok(OrderState::Closed), Ok(OrderState::Expired)),
        (OrderState::Paid, Err(AlreadyPaid), Err(AlreadyPaid)),
        (OrderState::PartiallyRefunded, Err(AlreadyPaid), Err(AlreadyPaid)),
        (OrderState::Refunded, Err(AlreadyPaid), Err(AlreadyPaid)),
        (OrderState::Closed, Ok(OrderState::Closed), Err(Ended)),
        (OrderState::Expired, Err(Expired), Ok(OrderState::Expired)),
    ];
    for (from, closed, expired) in rows {
        assert_eq!(order(from).close(&[]).map(|(o, _)| o.state), closed, "close {from}");
        assert_eq!(
            order(from).expire(&[], Moment(100 + GRACE_MS * 1_000)).map(|(o, _)| o.state),
            expired,
            "expire {from}"
        );
    }
    let pending = [payment(PaymentState::Pending, 0, 0)];
    assert_eq!(order(OrderState::Open).close(&pending).err(), Some(PaymentAlive));
    for early in [99, 100, 99 + GRACE_MS * 1_000] {
        let ended = order(OrderState::Open).expire(&[], Moment(early));
        assert_eq!(ended.err(), Some(NotYetExpired), "{early}");
    }
}

/// What may happen to an order with several attempts.
#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Close,
    Expire,
    Pay(usize, PaymentCommand),
}

fn any_step() -> impl Strategy<Value = Step> {
    let told = prop::sample::select(vec![
        PaymentCommand::Offer,
        PaymentCommand::LoseSight,
        PaymentCommand::Learn(Told::Pending),
        PaymentCommand::Learn(Told::Failed),
        PaymentCommand::Learn(Told::Closed),
        PaymentCommand::Learn(Told::Succeeded(1000)),
        PaymentCommand::Learn(Told::Succeeded(1000)),
        PaymentCommand::Reverse(1000),
    ]);
    prop_oneof![
        3 => Just(Step::Start),
        1 => Just(Step::Close),
        1 => Just(Step::Expire),
        6 => (0usize..4, told).prop_map(|(at, told)| Step::Pay(at, told)),
    ]
}

/// An order, its attempts, and how often each was given back by itself.
struct Books {
    order: Order,
    payments: Vec<Payment>,
    given_back: Vec<usize>,
}

impl Books {
    fn step(&mut self, step: Step) {
        let late = Moment(100 + GRACE_MS * 1_000);
        match step {
            Step::Start => {
                if self.order.may_start_payment(&self.payments, Moment(1)).is_ok() {
                    self.payments.push(Payment::new(self.order.amount, Moment(1)));
                    self.given_back.push(0);
                }
            }
            Step::Close => {
                self.order = self.order.close(&self.payments).map_or(self.order, |ended| ended.0);
            }
            Step::Expire => {
                let ended = self.order.expire(&self.payments, late);
                self.order = ended.map_or(self.order, |ended| ended.0);
            }
            Step::Pay(at, command) => self.pay(at, command),
        }
    }

    fn pay(&mut self, at: usize, command: PaymentCommand) {
        let Some(before) = self.payments.get(at).copied() else { return };
        let Ok((mut after, effects)) = before.apply(command, Moment(2)) else { return };
        if effects.contains(&PaymentEffect::ClaimOrder) {
            let mut others = self.payments.clone();
            others.remove(at);
            match self.order.claim(&others) {
                Claim::Counted { .. } => after.allocated = true,
                Claim::Duplicate | Claim::Late => self.given_back[at] += 1,
            }
        }
        self.payments[at] = after;
        self.order = self.order.derive(&self.payments).0;
    }
}

proptest! {
    /// One attempt is alive at a time, one success is counted, and every other goes back once.
    #[test]
    fn every_success_is_counted_or_given_back(
        steps in proptest::collection::vec(any_step(), 0..60),
        late in prop::sample::select(LateSuccess::ALL.to_vec()),
    ) {
        let order = Order { late, ..order(OrderState::Open) };
        let mut books = Books { order, payments: vec![], given_back: vec![] };
        for step in steps {
            let before = books.order.state;
            books.step(step);
            prop_assert!(may_follow(before, books.order.state, late), "{before} {}", books.order.state);
            let alive = books.payments.iter().filter(|payment| payment.state.is_alive()).count();
            prop_assert!(alive <= 1);
            let counted = books.payments.iter().filter(|payment| payment.allocated).count();
            prop_assert!(counted <= 1);
            prop_assert_eq!(counted == 1, books.order.state == OrderState::Paid);
            for (payment, given_back) in books.payments.iter().zip(&books.given_back) {
                let took = usize::from(payment.state == PaymentState::Succeeded);
                prop_assert_eq!(usize::from(payment.allocated) + given_back, took);
            }
        }
    }
}

fn may_follow(before: OrderState, after: OrderState, late: LateSuccess) -> bool {
    use OrderState::{Closed, Expired, Open, Paid};
    match (before, after) {
        (before, after) if before == after => true,
        (Open, Paid | Closed | Expired) => true,
        (Closed | Expired, Paid) => late == LateSuccess::Reopen,
        _ => false,
    }
}
