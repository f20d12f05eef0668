//! Building the request of a payment: the component against the same Rust code in this process.
//!
//! A call's time in the component has three parts, and each has its goal:
//! - what every call costs, whatever it does: a fresh store and instance, the payment's arguments in, an answer out, and
//!   the instance wiped. It is measured by a payment that the plugin refuses at once, with the same arguments;
//! - building: what the call takes beyond that, but for its signature. This is compared with native code, which needs
//!   none of the first part;
//! - the signature. The ratio with it compares all of the call, the first part included.

use std::time::{Duration, Instant};

use tollgate_plugin::contract::{NextAction, Operation, Outcome, Step};
use tollgate_sdk::contract::requests as native_requests;

use crate::fixture::{Fixture, host, native};
use tollgate_tests::figures::{Milli, fact, goal, median};

const PAIRS: usize = 21;
const CALLS: usize = 120;

/// A call's time, and two parts of it.
#[derive(Clone, Copy)]
struct Took {
    whole: Duration,
    signing: Duration,
    starting: Duration,
}

/// Median calls of one kind.
struct Side {
    whole: Duration,
    /// All but the signature.
    rest: Duration,
    signing: Duration,
    starting: Duration,
}

impl Side {
    fn of(calls: &[Took]) -> Side {
        let middle = |of: &dyn Fn(&Took) -> Duration| median(calls.iter().map(of).collect());
        Side {
            whole: middle(&|took| took.whole),
            rest: middle(&|took| took.whole.saturating_sub(took.signing)),
            signing: middle(&|took| took.signing),
            starting: middle(&|took| took.starting),
        }
    }
}

/// The same number of calls of each kind, interleaved.
struct Round {
    component: Side,
    refused: Side,
    native: Side,
}

impl Round {
    fn run(fixture: &Fixture) -> Round {
        let (mut component, mut refused, mut native) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..CALLS {
            component.push(by_component(fixture, &host::pay(), true));
            refused.push(by_component(fixture, &host::refused(), false));
            native.push(by_native(fixture));
        }
        Round {
            component: Side::of(&component),
            refused: Side::of(&refused),
            native: Side::of(&native),
        }
    }

    /// What the component takes beyond a call that it refuses at once, and beyond the signature.
    fn building(&self) -> Duration {
        self.component.rest.saturating_sub(self.refused.rest)
    }
}

pub fn measure() {
    let fixture = Fixture::new();
    same_result(&fixture);
    // The first round warms caches and the pool of instances.
    let rounds: Vec<Round> = (0..=PAIRS).map(|_| Round::run(&fixture)).skip(1).collect();
    let ratio = |of: &dyn Fn(&Round) -> Milli| median(rounds.iter().map(of).collect());
    let time =
        |of: &dyn Fn(&Round) -> Duration| Milli::micros(median(rounds.iter().map(of).collect()));
    goal(
        "payment request, component / native, no RSA",
        ratio(&|round| Milli::ratio(round.building(), round.native.rest)),
        "ratio",
        Milli::whole(3),
    );
    goal("fresh instance and crossing", time(&|round| round.refused.rest), "us", Milli::whole(25));
    goal(
        "payment request, component / native, with RSA",
        ratio(&|round| Milli::ratio(round.component.whole, round.native.whole)),
        "ratio",
        Milli(1100),
    );
    fact(
        "component with its instance / native, no RSA",
        ratio(&|round| Milli::ratio(round.component.rest, round.native.rest)),
        "ratio",
    );
    fact("payment request, component, no RSA", time(&|round| round.component.rest), "us");
    fact("  of it a fresh store and instance", time(&|round| round.component.starting), "us");
    fact(
        "  of it arguments in, answer out, wiping",
        time(&|round| round.refused.rest.saturating_sub(round.refused.starting)),
        "us",
    );
    fact("  of it building", time(&Round::building), "us");
    fact("payment request, native, no RSA", time(&|round| round.native.rest), "us");
    fact("payment request, component, with RSA", time(&|round| round.component.whole), "us");
    fact("payment request, native, with RSA", time(&|round| round.native.whole), "us");
    fact("RSA-2048 signature in the host", time(&|round| round.component.signing), "us");
    fact("RSA-2048 signature in native code", time(&|round| round.native.signing), "us");
    fact("payment request, with the hop to a blocking thread", hop(&fixture), "us");
}

fn by_component(fixture: &Fixture, operation: &Operation, is_built: bool) -> Took {
    let context = host::context();
    let started = Instant::now();
    let called = fixture.plugin.build_here(&context, &fixture.keys, operation, &[]);
    let whole = started.elapsed();
    let called = called.unwrap();
    assert_eq!(called.answer.is_ok(), is_built);
    Took { whole, signing: called.in_keys, starting: called.starting }
}

fn by_native(fixture: &Fixture) -> Took {
    let (context, operation) = (native::context(), native::pay());
    let started = Instant::now();
    let built = tollgate_alipay::build(&context, &fixture.native, &operation);
    let whole = started.elapsed();
    assert!(built.is_ok());
    Took { whole, signing: fixture.native.took(), starting: Duration::ZERO }
}

/// Both sides make the same form, or nothing else that is measured means anything.
fn same_result(fixture: &Fixture) {
    let called =
        fixture.plugin.build_here(&host::context(), &fixture.keys, &host::pay(), &[]).unwrap();
    let built =
        tollgate_alipay::build(&native::context(), &fixture.native, &native::pay()).unwrap();
    let Ok(Step::Done(Outcome::Report(report))) = called.answer else {
        panic!("no report of the component")
    };
    let native_requests::Step::Done(native_requests::Outcome::Report(plain)) = built else {
        panic!("no report of native code")
    };
    let NextAction::PostForm(form) = report.action else { panic!("no form of the component") };
    let native_requests::NextAction::PostForm(plain) = plain.action else {
        panic!("no form of native code")
    };
    assert_eq!((form.url, form.fields), (plain.url, plain.fields));
}

/// The whole call as flows make it: its turn, another thread, and back.
fn hop(fixture: &Fixture) -> Milli {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let calls = runtime.block_on(async {
        let mut calls = Vec::new();
        for _ in 0..CALLS * 4 {
            let (context, operation) = (host::context(), host::pay());
            let started = Instant::now();
            let called = fixture.plugin.build(context, &fixture.keys, &operation, Vec::new()).await;
            calls.push(started.elapsed());
            assert!(called.unwrap().answer.is_ok());
        }
        calls
    });
    Milli::micros(median(calls))
}
