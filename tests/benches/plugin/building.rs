//! Building the request of a payment: the component against the same Rust code in this process.

use std::time::{Duration, Instant};

use tollgate_plugin::contract::{NextAction, Outcome, Step};
use tollgate_sdk::contract::requests as native_requests;

use crate::figures::{Milli, fact, goal, median};
use crate::fixture::{Fixture, host, native};

const PAIRS: usize = 21;
const CALLS: usize = 120;

/// A call's time, with and without its signature.
#[derive(Clone, Copy)]
struct Took {
    whole: Duration,
    signing: Duration,
}

impl Took {
    fn rest(self) -> Duration {
        self.whole.saturating_sub(self.signing)
    }
}

/// Median calls of a side.
struct Side {
    whole: Duration,
    rest: Duration,
    signing: Duration,
}

impl Side {
    fn of(calls: &[Took]) -> Side {
        Side {
            whole: median(calls.iter().map(|took| took.whole).collect()),
            rest: median(calls.iter().map(|took| took.rest()).collect()),
            signing: median(calls.iter().map(|took| took.signing).collect()),
        }
    }
}

pub fn measure() {
    let fixture = Fixture::new();
    same_result(&fixture);
    let mut pairs = Vec::new();
    // The first pair warms caches and the pool of instances.
    for pair in 0..=PAIRS {
        let (mut component, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            component.push(by_component(&fixture));
            plain.push(by_native(&fixture));
        }
        if pair > 0 {
            pairs.push((Side::of(&component), Side::of(&plain)));
        }
    }
    let ratios = |of: fn(&Side) -> Duration| {
        median(pairs.iter().map(|(one, other)| Milli::ratio(of(one), of(other))).collect())
    };
    let times = |of: &dyn Fn(&(Side, Side)) -> Duration| {
        Milli::micros(median(pairs.iter().map(of).collect()))
    };
    goal(
        "payment request, component / native, no RSA",
        ratios(|side| side.rest),
        "ratio",
        Milli::whole(3),
    );
    goal("fresh instance and crossing", crossing(&fixture), "us", Milli::whole(25));
    goal(
        "payment request, component / native, with RSA",
        ratios(|side| side.whole),
        "ratio",
        Milli(1100),
    );
    fact("payment request, component, no RSA", times(&|pair| pair.0.rest), "us");
    fact("payment request, native, no RSA", times(&|pair| pair.1.rest), "us");
    fact("payment request, component, with RSA", times(&|pair| pair.0.whole), "us");
    fact("payment request, native, with RSA", times(&|pair| pair.1.whole), "us");
    fact("RSA-2048 signature in the host", times(&|pair| pair.0.signing), "us");
    fact("RSA-2048 signature in native code", times(&|pair| pair.1.signing), "us");
    fact("payment request, with the hop to a blocking thread", hop(&fixture), "us");
}

fn by_component(fixture: &Fixture) -> Took {
    let (context, operation) = (host::context(), host::pay());
    let started = Instant::now();
    let called = fixture.plugin.build_here(&context, &fixture.keys, &operation, &[]);
    let whole = started.elapsed();
    Took { whole, signing: called.unwrap().in_keys }
}

fn by_native(fixture: &Fixture) -> Took {
    let (context, operation) = (native::context(), native::pay());
    let started = Instant::now();
    let built = tollgate_alipay::build(&context, &fixture.native, &operation);
    let whole = started.elapsed();
    assert!(built.is_ok());
    Took { whole, signing: fixture.native.took() }
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

/// A call that does nothing: a fresh store and instance, arguments in, a refusal out.
fn crossing(fixture: &Fixture) -> Milli {
    let (context, operation) = (host::context(), host::nothing());
    let rounds = (0..PAIRS).map(|_| {
        let calls = (0..CALLS * 4).map(|_| {
            let started = Instant::now();
            let called = fixture.plugin.build_here(&context, &fixture.keys, &operation, &[]);
            let took = started.elapsed();
            assert!(called.unwrap().answer.is_err());
            took
        });
        median(calls.collect())
    });
    Milli::micros(median(rounds.collect()))
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
